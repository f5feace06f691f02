// The second stage: proposals are matched, pooled, classified, refined, and given masks; as in torchvision.
import { Module, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import { type BoxWeights, encodeBoxes } from '../box-coder.js';
import { BACKGROUND, drawSample, matchBoxes } from '../sampling.js';
import type { Detections, Features, ImageBatch, Losses, Targets } from '../structures.js';
import { BoxPredictor, boxLosses, selectDetections, TwoLayerBoxHead } from './box-head.js';
import { MaskHead, MaskPredictor, maskLoss } from './mask-head.js';
import { poolRois } from './roi-pooler.js';

export interface BoxHeadOptions {
  readonly foregroundIou: number;
  readonly backgroundIou: number;
  readonly batchSizePerImage: number;
  readonly positiveFraction: number;
  readonly hiddenSize: number;
  readonly poolSize: number;
  readonly samplingRatio: number;
  readonly regressionWeights: BoxWeights;
  readonly scoreThreshold: number;
  readonly nmsThreshold: number;
  readonly maxDetections: number;
}

export interface MaskHeadOptions {
  readonly poolSize: number;
  readonly samplingRatio: number;
  readonly channels: readonly number[];
}

export interface RoiHeadsOptions {
  readonly inChannels: number;
  /** Background included. */
  readonly classes: number;
  readonly box: BoxHeadOptions;
  readonly mask?: MaskHeadOptions;
}

/** Boxes go through the mask head in multiples of this. */
const MASK_BATCH_MULTIPLE = 16;

/** What the second stage learns from in one image. */
interface RoiSample {
  readonly proposals: Tensor;
  /** [S] int64 object of each; 0 where there is none. */
  readonly objects: Tensor;
  /** [S] int64, 0 for background. */
  readonly labels: Tensor;
  readonly goals: Tensor;
  /** How many of the first are positive. */
  readonly positives: number;
}

export class RoiHeads extends Module {
  readonly boxHead: TwoLayerBoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly maskHead?: MaskHead;
  readonly maskPredictor?: MaskPredictor;
  readonly #options: RoiHeadsOptions;

  constructor(options: RoiHeadsOptions) {
    super();
    const { inChannels, classes, box, mask } = options;
    this.#options = options;
    this.boxHead = new TwoLayerBoxHead(inChannels * box.poolSize ** 2, box.hiddenSize);
    this.boxPredictor = new BoxPredictor(box.hiddenSize, classes);
    if (mask) {
      const last = mask.channels[mask.channels.length - 1] ?? inChannels;
      this.maskHead = new MaskHead(inChannels, mask.channels);
      this.maskPredictor = new MaskPredictor(last, last, classes);
    }
  }

  /** Losses of the second stage; the proposals get no gradient. `features`: the pyramid levels that are pooled. */
  loss(batch: ImageBatch, features: Features, proposals: readonly Tensor[], targets: readonly Targets[]): Losses {
    const samples = noGrad(() => proposals.map((boxes, image) => scope(() => this.#sample(boxes, targets[image]!))));
    const boxes = samples.map((sample) => sample.proposals);
    const prediction = scope(() => {
      const pooled = poolRois(features, boxes, batch.pixels.size(2), this.#pooling(this.#options.box));
      return this.boxPredictor.forward(this.boxHead.forward(pooled));
    });
    const labels = ops.cat(samples.map((sample) => sample.labels));
    const goals = ops.cat(samples.map((sample) => sample.goals));
    const losses = boxLosses(prediction, labels, goals);
    if (!this.#options.mask) return losses;
    return { ...losses, loss_mask: scope(() => this.#maskLoss(batch, features, samples, targets)) };
  }

  /** Detections of each image, masks included where the model has them. */
  detect(batch: ImageBatch, features: Features, proposals: readonly Tensor[]): Detections[] {
    const { logits, offsets } = scope(() => {
      const pooled = poolRois(features, proposals, batch.pixels.size(2), this.#pooling(this.#options.box));
      return this.boxPredictor.forward(this.boxHead.forward(pooled));
    });
    let start = 0;
    const found = proposals.map((boxes, image) => {
      const count = boxes.size(0);
      const own = scope(() =>
        selectDetections(
          ops.narrow(logits, 0, start, count),
          ops.narrow(offsets, 0, start, count),
          boxes,
          batch.sizes[image]!,
          this.#options.box,
        ),
      );
      start += count;
      return own;
    });
    return this.#options.mask ? this.#addMasks(batch, features, found) : found;
  }

  #pooling({ poolSize, samplingRatio }: { readonly poolSize: number; readonly samplingRatio: number }) {
    return { outputSize: poolSize, samplingRatio };
  }

  #sample(proposals: Tensor, target: Targets): RoiSample {
    const { foregroundIou, backgroundIou, batchSizePerImage, positiveFraction, regressionWeights } = this.#options.box;
    // The objects' own boxes take part: in the first steps no proposal reaches them.
    const candidates = ops.cat([proposals, target.boxes]);
    const matches = matchBoxes(target.boxes, candidates, { foregroundIou, backgroundIou, allowLowQuality: false });
    const drawn = drawSample(matches, { count: batchSizePerImage, positiveFraction });
    const chosen = ops.cat([drawn.positive, drawn.negative]);
    const boxes = ops.index_select(candidates, 0, chosen);
    const match = ops.index_select(matches, 0, chosen);
    const objects = ops.clamp(match, { min: 0 });
    const positives = drawn.positive.size(0);
    if (target.boxes.size(0) === 0) {
      return { proposals: boxes, objects, labels: ops.zeros_like(match), goals: ops.zeros_like(boxes), positives };
    }
    const labels = ops.mul(ops.index_select(target.labels, 0, objects), ops.gt(match, BACKGROUND).to('int64'));
    const goals = encodeBoxes(ops.index_select(target.boxes, 0, objects), boxes, regressionWeights);
    return { proposals: boxes, objects, labels, goals, positives };
  }

  #maskLoss(batch: ImageBatch, features: Features, samples: readonly RoiSample[], targets: readonly Targets[]): Tensor {
    const positive = samples.map(({ proposals, objects, labels, positives }) => ({
      boxes: ops.narrow(proposals, 0, 0, positives),
      objects: ops.narrow(objects, 0, 0, positives),
      labels: ops.narrow(labels, 0, 0, positives),
    }));
    const logits = this.#maskLogits(batch, features, positive);
    return maskLoss(
      logits,
      positive.map(({ boxes, objects }, image) => {
        const masks = targets[image]!.masks;
        if (!masks) throw new Error(`internal: image ${image} of the batch came without masks`);
        return { proposals: boxes, objects, masks, size: batch.sizes[image]! };
      }),
    );
  }

  #addMasks(batch: ImageBatch, features: Features, found: readonly Detections[]): Detections[] {
    const masks = scope(() => ops.sigmoid(this.#maskLogits(batch, features, found).to('float32')));
    let start = 0;
    return found.map((own) => {
      const count = own.boxes.size(0);
      const withMasks = { ...own, masks: ops.narrow(masks, 0, start, count) };
      start += count;
      return withMasks;
    });
  }

  /** [sum of K_i, M, M] logits of each box's own class. */
  #maskLogits(
    batch: ImageBatch,
    features: Features,
    found: readonly { readonly boxes: Tensor; readonly labels: Tensor }[],
  ): Tensor {
    const count = found.reduce((sum, own) => sum + own.boxes.size(0), 0);
    // oneDNN compiles a kernel for every size it meets: a number of boxes that differs at each step would cost time and
    // memory each time. A few fillers, cut off again, leave few sizes, and no empty batch, which libtorch 1.13's
    // convolutions refuse in the channels_last format.
    const fillers = Math.max(1, Math.ceil(count / MASK_BATCH_MULTIPLE)) * MASK_BATCH_MULTIPLE - count;
    const last = found.length - 1;
    const boxes = found.map((own, image) =>
      image === last && fillers > 0 ? ops.cat([own.boxes, ops.new_zeros(own.boxes, [fillers, 4])]) : own.boxes,
    );
    const labels = found.map((own) => own.labels);
    if (fillers > 0) labels.push(ops.new_zeros(labels[last]!, [fillers]));
    const pooled = poolRois(features, boxes, batch.pixels.size(2), this.#pooling(this.#options.mask!));
    const logits = this.maskPredictor!.forward(this.maskHead!.call(pooled), ops.cat(labels));
    return fillers > 0 ? ops.narrow(logits, 0, 0, count) : logits;
  }
}
