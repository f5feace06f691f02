// The second stage: proposals are matched, pooled, classified, refined, and given masks or keypoints.
import { type Layer, Module, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig, KeypointHeadConfig, MaskHeadConfig } from '../../config/index.js';
import type { ResNetOptions } from '../backbones/resnet.js';
import type { Conventions } from '../conventions.js';
import { type Draws, drawFrom, indicesWhere, matchBoxes } from '../sampling.js';
import type { Detections, Features, ImageBatch, Losses, Targets } from '../structures.js';
import { type BoxHead, BoxPredictor, makeBoxHead, meanOverCells, Stage5BoxHead } from './box-head.js';
import { boxLosses } from './box-loss.js';
import { KeypointHead, KeypointPredictor } from './keypoint-head.js';
import { hasKeypointInside, keypointCells, keypointLoss } from './keypoint-loss.js';
import { MaskPredictor, makeMaskHead, type Stage5MaskHead } from './mask-head.js';
import { croppedMasks, drawnMasks, maskLoss, resizedMasks } from './mask-loss.js';
import { poolRois, type RoiPoolerOptions } from './roi-pooler.js';
import { type RoiSample, sampleProposals, toNetwork, toSecondStage } from './sample-proposals.js';
import { type Candidates, candidatesOf } from './select-detections.js';

export interface RoiHeadsOptions {
  /** Of the features. */
  readonly inChannels: number;
  /** Network pixels a cell of each level of features, finest first. */
  readonly strides: readonly number[];
  /** Background included. */
  readonly classes: number;
  /** Of an object; 0 without a keypoint head. */
  readonly keypoints: number;
  /** Whose last stage the heads of C4 models are; a ResNet. */
  readonly backbone?: ResNetOptions;
  readonly box: BoxHeadConfig;
  readonly mask?: MaskHeadConfig;
  readonly keypoint?: KeypointHeadConfig;
  readonly conventions: Conventions;
  readonly draws: Draws;
}

/** Boxes go through the heads behind the box head in multiples of this. */
const ROI_BATCH_MULTIPLE = 16;

export class RoiHeads extends Module {
  readonly boxHead: BoxHead;
  readonly boxPredictor: BoxPredictor;
  readonly maskHead?: Layer | Stage5MaskHead;
  readonly maskPredictor?: MaskPredictor;
  readonly keypointHead?: KeypointHead;
  readonly keypointPredictor?: KeypointPredictor;
  readonly #options: RoiHeadsOptions;

  constructor(options: RoiHeadsOptions) {
    super();
    const { inChannels, classes, backbone, box, mask, keypoint, keypoints } = options;
    this.#options = options;
    this.boxHead = makeBoxHead(box, inChannels, backbone);
    this.boxPredictor = new BoxPredictor(this.boxHead.outFeatures, classes, box);
    if (mask) {
      const { head, channels } = makeMaskHead(mask, inChannels, backbone);
      if (head) this.maskHead = head;
      const maskClasses = mask.classAgnostic ? 1 : classes;
      this.maskPredictor = new MaskPredictor(channels, mask.upsampleChannels ?? channels, maskClasses, mask);
    }
    if (keypoint) {
      this.keypointHead = new KeypointHead(inChannels, keypoint);
      this.keypointPredictor = new KeypointPredictor(keypoint.channels.at(-1)!, keypoints, keypoint);
    }
  }

  /** Losses of the second stage; the proposals, [P, 4] network pixels an image, get no gradient. */
  loss(batch: ImageBatch, features: Features, proposals: readonly Tensor[], targets: readonly Targets[]): Losses {
    const { box, conventions, draws, mask, keypoint } = this.#options;
    const samples = noGrad(() =>
      proposals.map((boxes, image) =>
        scope(() => sampleProposals(boxes, targets[image]!, batch.scales[image]!, box, conventions, draws)),
      ),
    );
    const labels = ops.cat(samples.map((sample) => sample.labels));
    const goals = ops.cat(samples.map((sample) => sample.goals));
    const rois = samples.map((sample) => sample.rois);
    const { prediction, shared } = scope(() => this.#predictBoxes(features, rois));
    return {
      ...boxLosses(prediction, labels, goals, box.smoothL1Beta),
      ...(mask && { loss_mask: scope(() => this.#maskLoss(batch, features, samples, targets, shared)) }),
      ...(keypoint && { loss_keypoint: scope(() => this.#keypointLoss(batch, features, proposals, targets)) }),
    };
  }

  /** Every class of every proposal of each image. */
  candidates(batch: ImageBatch, features: Features, proposals: readonly Tensor[]): Candidates[] {
    const { box, conventions } = this.#options;
    const { logits, offsets } = scope(() => this.#predictBoxes(features, proposals).prediction);
    let start = 0;
    return proposals.map((boxes, image) => {
      const count = boxes.size(0);
      const own = scope(() => {
        const prediction = {
          logits: ops.narrow(logits, 0, start, count),
          offsets: ops.narrow(offsets, 0, start, count),
        };
        const size = (conventions.secondStage === 'image' ? batch.originals : batch.sizes)[image]!;
        const measured = toSecondStage(boxes, batch.scales[image]!, conventions);
        return candidatesOf(prediction, measured, size, batch.scales[image]!, box, conventions);
      });
      start += count;
      return own;
    });
  }

  /** [D_i, M, M] probabilities of each detection's own class, an image. */
  masks(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] {
    return this.#perImage(found, () => {
      const rois = this.#networkBoxes(batch, found);
      const labels = found.map((own) => own.labels);
      return ops.sigmoid(this.#maskLogits(features, rois, labels).to('float32'));
    });
  }

  /** [D_i, K, H, H] logits, an image. */
  heatmaps(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] {
    return this.#perImage(found, () => this.#keypointLogits(features, this.#networkBoxes(batch, found)).to('float32'));
  }

  /** Runs every layer on features of one image, for counting: `box` RoIs and `mask` RoIs go through the heads. */
  runLayers(features: Features, { box, mask }: { readonly box: number; readonly mask: number }): void {
    const channels = features[0]!.size(1);
    const pooled = (count: number, cells: number): Tensor =>
      ops.new_zeros(features[0]!, [count, channels, cells, cells]).to({ memoryFormat: 'channels_last' });
    this.boxPredictor.forward(this.boxHead.forward(pooled(box, this.#options.box.poolSize)));
    if (this.maskPredictor) {
      const hidden = this.#maskFeatures(pooled(mask, this.#options.mask!.poolSize));
      this.maskPredictor.maskFcnLogits.forward(ops.relu_(this.maskPredictor.conv5Mask.forward(hidden)));
    }
    if (this.keypointPredictor)
      this.keypointPredictor.forward(this.keypointHead!.call(pooled(mask, this.#options.keypoint!.poolSize)));
  }

  #pool(features: Features, boxes: readonly Tensor[], options: RoiPoolerOptions): Tensor {
    return poolRois(features, boxes, this.#options.strides, options, this.#options.conventions);
  }

  /** Also the features that a mask head which shares the box head's stage goes on from. */
  #predictBoxes(features: Features, rois: readonly Tensor[]) {
    const pooled = this.#pool(features, rois, this.#options.box);
    if (this.boxHead instanceof Stage5BoxHead && this.#options.mask?.kind === 'stage5_shared') {
      const shared = this.boxHead.features(pooled);
      return { prediction: this.boxPredictor.forward(meanOverCells(shared)), shared };
    }
    return { prediction: this.boxPredictor.forward(this.boxHead.forward(pooled)), shared: undefined };
  }

  #networkBoxes(batch: ImageBatch, found: readonly Detections[]): Tensor[] {
    return found.map((own, image) =>
      own.pixels === 'network' ? own.boxes : toNetwork(own.boxes, batch.scales[image]!),
    );
  }

  #maskLoss(
    batch: ImageBatch,
    features: Features,
    samples: readonly RoiSample[],
    targets: readonly Targets[],
    shared: Tensor | undefined,
  ): Tensor {
    const positive = samples.map((sample) => ({
      rois: ops.narrow(sample.rois, 0, 0, sample.positives),
      boxes: ops.narrow(sample.boxes, 0, 0, sample.positives),
      objects: ops.narrow(sample.objects, 0, 0, sample.positives),
      labels: ops.narrow(sample.labels, 0, 0, sample.positives),
    }));
    const labels = positive.map((own) => own.labels);
    const logits = shared
      ? this.#predictMasks(positiveRows(shared, samples), ops.cat(labels))
      : this.#maskLogits(
          features,
          positive.map((own) => own.rois),
          labels,
        );
    const resolution = logits.size(1);
    const { mask } = this.#options;
    const goals = noGrad(() => scope(() => this.#maskGoals(batch, positive, targets, resolution)));
    const loss = maskLoss(logits, goals);
    return mask!.lossWeight === 1 ? loss : ops.mul(loss, mask!.lossWeight);
  }

  #maskGoals(
    batch: ImageBatch,
    positive: readonly { readonly rois: Tensor; readonly boxes: Tensor; readonly objects: Tensor }[],
    targets: readonly Targets[],
    resolution: number,
  ): Tensor {
    const { conventions } = this.#options;
    if (conventions.maskTargets === 'polygons')
      return ops.cat(
        positive.map((own, image) =>
          drawnMasks(own.boxes, polygonsOf(targets[image]!, image, batch, conventions), resolution),
        ),
      );
    const samples = positive.map((own, image) => ({
      proposals: own.rois,
      objects: own.objects,
      masks: required(targets[image]!.masks, image, 'masks'),
      size: batch.sizes[image]!,
    }));
    return conventions.maskTargets === 'cropped'
      ? croppedMasks(samples, resolution)
      : resizedMasks(samples, resolution);
  }

  /**
   * Learns from its own draw: proposals that find an object of which a visible keypoint lies inside them
   * (Detectron's add_keypoint_rcnn_blobs).
   */
  #keypointLoss(
    batch: ImageBatch,
    features: Features,
    proposals: readonly Tensor[],
    targets: readonly Targets[],
  ): Tensor {
    const { box, keypoint, keypoints: count } = this.#options;
    const limit = Math.round(box.batchSizePerImage * box.positiveFraction);
    const chosen = noGrad(() =>
      scope(() => proposals.map((boxes, image) => this.#keypointRois(boxes, targets[image]!, batch, image, limit))),
    );
    const logits = this.#keypointLogits(
      features,
      chosen.map((own) => own.rois),
    );
    const side = logits.size(2);
    const goals = noGrad(() =>
      scope(() =>
        keypointCells(ops.cat(chosen.map((own) => own.keypoints)), ops.cat(chosen.map((own) => own.boxes)), side),
      ),
    );
    const capacity = keypoint!.normalize === 'batch' ? proposals.length * limit * count : undefined;
    const loss = keypointLoss(logits, goals, capacity);
    return keypoint!.lossWeight === 1 ? loss : ops.mul(loss, keypoint!.lossWeight);
  }

  #keypointRois(proposals: Tensor, target: Targets, batch: ImageBatch, image: number, limit: number) {
    const { box, conventions, draws, keypoints: count } = this.#options;
    const scale = batch.scales[image]!;
    const keypoints = required(target.keypoints, image, 'keypoints');
    const candidates = ops.cat([proposals, target.boxes]);
    const measured = toSecondStage(candidates, scale, conventions);
    const matches = matchBoxes(toSecondStage(target.boxes, scale, conventions), measured, {
      foregroundIou: box.foregroundIou,
      backgroundIou: box.backgroundIou,
      allowLowQuality: false,
      convention: conventions.boxes,
    });
    const positive = indicesWhere(ops.ge(matches, 0));
    const perImage = { x: scale.x, y: scale.y };
    const own = ops.index_select(
      conventions.secondStage === 'network' ? keypoints : unscaledKeypoints(keypoints, perImage),
      0,
      ops.index_select(matches, 0, positive),
    );
    const boxes = ops.index_select(measured, 0, positive);
    const seen = count > 0 && positive.size(0) > 0 ? indicesWhere(hasKeypointInside(own, boxes)) : positive;
    const drawn = drawFrom(seen, Math.min(limit, seen.size(0)), draws);
    return {
      rois: ops.index_select(candidates, 0, ops.index_select(positive, 0, drawn)),
      boxes: ops.index_select(boxes, 0, drawn),
      keypoints: ops.index_select(own, 0, drawn),
    };
  }

  #maskFeatures(pooled: Tensor): Tensor {
    if (this.maskHead) return this.maskHead.call(pooled);
    if (this.boxHead instanceof Stage5BoxHead) return this.boxHead.features(pooled);
    return pooled;
  }

  #predictMasks(hidden: Tensor, labels: Tensor): Tensor {
    return this.maskPredictor!.forward(hidden, this.#options.mask!.classAgnostic ? ops.zeros_like(labels) : labels);
  }

  /** [sum of K_i, M, M] logits of each box's own class. */
  #maskLogits(features: Features, boxes: readonly Tensor[], labels: readonly Tensor[]): Tensor {
    return withFillers(boxes, (filled, fillers) => {
      const pooled = this.#pool(features, filled, this.#options.mask!);
      const all = ops.cat([...labels, ...(fillers > 0 ? [ops.new_zeros(labels[0]!, [fillers])] : [])]);
      return this.#predictMasks(this.#maskFeatures(pooled), all);
    });
  }

  /** [sum of K_i, keypoints, H, H] logits. */
  #keypointLogits(features: Features, boxes: readonly Tensor[]): Tensor {
    return withFillers(boxes, (filled) =>
      this.keypointPredictor!.forward(this.keypointHead!.call(this.#pool(features, filled, this.#options.keypoint!))),
    );
  }

  /** One tensor over all detections, cut into those of the images. */
  #perImage(found: readonly Detections[], compute: () => Tensor): Tensor[] {
    const all = scope(compute);
    let start = 0;
    return found.map((own) => {
      const count = own.boxes.size(0);
      start += count;
      return ops.narrow(all, 0, start - count, count);
    });
  }
}

/**
 * oneDNN compiles a kernel for every size it meets: a number of boxes that differs at each step would cost time and
 * memory each time. A few fillers, cut off again, leave few sizes, and no empty batch, which libtorch 1.13's
 * convolutions refuse in the channels_last format.
 */
function withFillers(boxes: readonly Tensor[], run: (boxes: readonly Tensor[], fillers: number) => Tensor): Tensor {
  const count = boxes.reduce((sum, own) => sum + own.size(0), 0);
  const fillers = Math.max(1, Math.ceil(count / ROI_BATCH_MULTIPLE)) * ROI_BATCH_MULTIPLE - count;
  if (fillers === 0) return run(boxes, 0);
  const last = boxes.length - 1;
  const filled = boxes.map((own, image) => (image === last ? ops.cat([own, ops.new_zeros(own, [fillers, 4])]) : own));
  return ops.narrow(run(filled, fillers), 0, 0, count);
}

/** The rows of [sum of S_i, ...] that belong to positives. */
function positiveRows(shared: Tensor, samples: readonly RoiSample[]): Tensor {
  let start = 0;
  const parts = samples.map(({ rois, positives }) => {
    const own = ops.narrow(shared, 0, start, positives);
    start += rois.size(0);
    return own;
  });
  return ops.cat(parts);
}

function polygonsOf(target: Targets, image: number, batch: ImageBatch, conventions: Conventions) {
  const polygons = required(target.polygons, image, 'polygons');
  if (conventions.secondStage === 'network') return polygons;
  const { x, y } = batch.scales[image]!;
  return polygons.map((object) => object.map((polygon) => polygon.map((value, i) => value / (i % 2 === 0 ? x : y))));
}

function unscaledKeypoints(keypoints: Tensor, { x, y }: { readonly x: number; readonly y: number }): Tensor {
  const [column, row, visibility] = ops.unbind(keypoints, { dim: 2 }) as [Tensor, Tensor, Tensor];
  return ops.stack([ops.div(column, x), ops.div(row, y), visibility], { dim: 2 });
}

function required<T>(value: T | undefined, image: number, what: string): T {
  if (value === undefined) throw new Error(`internal: image ${image} of the batch came without ${what}`);
  return value;
}
