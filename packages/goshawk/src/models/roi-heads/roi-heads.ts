// The second stage: proposals are matched, pooled, classified, refined, and given masks or keypoints.
import { type Layer, Module, noGrad, onFillerRows, ops, scope, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig, KeypointHeadConfig, MaskHeadConfig } from '../../config/index.js';
import type { ResNetOptions } from '../backbones/resnet.js';
import type { Conventions } from '../conventions.js';
import type { FixedDetections } from '../fixed-detections.js';
import { atLeastSingle, inAll } from '../losses.js';
import {
  type FramedBatch,
  type Frames,
  framesOf,
  type PaddedBoxes,
  type PaddedObjects,
  zeroUnless,
} from '../padded.js';
import { type Draws, drawsOf, indicesWhere } from '../sampling.js';
import type { Detections, Features, ImageBatch, Losses, Targets } from '../structures.js';
import {
  type BoxHead,
  type BoxPrediction,
  BoxPredictor,
  makeBoxHead,
  meanOverCells,
  Stage5BoxHead,
} from './box-head.js';
import { boxLosses } from './box-loss.js';
import { candidateNames, type ProposedBoxes, paddedCandidateNames } from './candidate-names.js';
import { fillBatch, ofFilled, withoutFillers } from './filled-batch.js';
import { fixedCandidates, selectFixedDetections } from './fixed-candidates.js';
import { fixedBoxLosses, fixedKeypointLoss, fixedMaskLoss } from './fixed-losses.js';
import { fixedMaskGoals } from './fixed-mask-goals.js';
import {
  type FixedRoiSample,
  fixedKeypointsInSecondStage,
  fixedKeypointsOfPositives,
  type MatchedProposals,
  matchProposals,
  paddedKeypoints,
  sampleFixedKeypoints,
  sampleFixedProposals,
} from './fixed-samples.js';
import { KeypointHead, KeypointPredictor } from './keypoint-head.js';
import { keypointCells, keypointLoss } from './keypoint-loss.js';
import { MaskPredictor, makeMaskHead, maskCells, type Stage5MaskHead } from './mask-head.js';
import { maskGoals, maskLoss } from './mask-loss.js';
import { poolRois, type RoiPoolerOptions } from './roi-pooler.js';
import { keypointRoiLimit, keypointsOfPositives, sampleKeypoints } from './sample-keypoints.js';
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
    const { inChannels, classes, backbone, box, mask, keypoint, keypoints, conventions } = options;
    this.#options = options;
    this.boxHead = makeBoxHead(box, inChannels, backbone);
    this.boxPredictor = new BoxPredictor(this.boxHead.outFeatures, classes, box);
    if (mask) {
      const { head, channels } = makeMaskHead(mask, inChannels, backbone);
      if (head) this.maskHead = head;
      const maskClasses = mask.classAgnostic ? 1 : classes;
      const cells = maskCells(mask.kind, this.#maskPooling().poolSize);
      this.maskPredictor = new MaskPredictor(channels, mask.upsampleChannels ?? channels, maskClasses, {
        ...mask,
        cells,
      });
    }
    if (keypoint) {
      this.keypointHead = new KeypointHead(inChannels, keypoint);
      this.keypointPredictor = new KeypointPredictor(keypoint.channels.at(-1)!, keypoints, keypoint, conventions);
    }
  }

  /** Losses of the second stage; the proposals get no gradient. */
  loss(batch: ImageBatch, features: Features, proposed: ProposedBoxes, targets: readonly Targets[]): Losses {
    const { box, conventions, mask, keypoint } = this.#options;
    const proposals = proposed.boxes;
    const names = (): Tensor[] => candidateNames(proposed, targets);
    const draws = drawsOf(this.#options.draws, batch, 'proposals', names);
    const samples = noGrad(() =>
      proposals.map((boxes, image) =>
        scope(() =>
          sampleProposals(boxes, targets[image]!, batch.scales[image]!, box, conventions, draws.ofImage(image)),
        ),
      ),
    );
    const labels = ops.cat(samples.map((sample) => sample.labels));
    const goals = ops.cat(samples.map((sample) => sample.goals));
    const rois = samples.map((sample) => sample.rois);
    const { prediction, shared } = scope(() => this.#predictBoxes(features, rois));
    return {
      ...boxLosses(prediction, labels, goals, box.smoothL1Beta),
      ...(mask && { loss_mask: scope(() => this.#maskLoss(batch, features, samples, targets, shared)) }),
      ...(keypoint && {
        loss_keypoint: scope(() => this.#keypointLoss(batch, features, { proposals, samples, names }, targets)),
      }),
    };
  }

  /** The same of proposals of fixed size, and so without waiting for a card. */
  lossFixed(
    batch: FramedBatch,
    features: Features,
    proposals: PaddedBoxes,
    { targets, objects }: { readonly targets: readonly Targets[]; readonly objects: PaddedObjects },
  ): Losses {
    const { box, conventions, mask, keypoint } = this.#options;
    const names = (): Tensor => paddedCandidateNames(proposals, objects);
    const draws = drawsOf(this.#options.draws, batch, 'proposals', names);
    const frames = framesOf(batch);
    const matched = noGrad(() => matchProposals(proposals, objects, frames, box, conventions));
    const sample = noGrad(() => sampleFixedProposals(matched, objects, box, conventions, draws));
    const { prediction, shared } = scope(() => this.#predictFixedBoxes(features, sample));
    return {
      ...scope(() => fixedBoxLosses(prediction, sample, box.smoothL1Beta)),
      ...(mask && { loss_mask: scope(() => this.#fixedMaskLoss(batch, features, sample, targets, shared)) }),
      ...(keypoint && {
        loss_keypoint: scope(() =>
          this.#fixedKeypointLoss(batch, features, { matched, sample, frames, names }, objects),
        ),
      }),
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

  /** The detections among them, without what further heads say; in fixed sizes, and so without waiting for a card. */
  detectFixed(batch: FramedBatch, features: Features, proposals: PaddedBoxes): FixedDetections {
    const { box, conventions } = this.#options;
    const rois = zeroUnless(proposals.valid, proposals.boxes);
    return scope(() => {
      const prediction = this.pooledBoxes(this.#pool(features, rois, box));
      const candidates = fixedCandidates(prediction, proposals, framesOf(batch), box, conventions);
      return selectFixedDetections(candidates, rois.size(1), box, conventions);
    });
  }

  /** [D_i, M, M] probabilities of each detection's own class, an image. */
  masks(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] {
    return this.#perImage(found, () => {
      const rois = this.#networkBoxes(batch, found);
      const labels = found.map((own) => own.labels);
      return ops.sigmoid(atLeastSingle(this.#maskLogits(features, rois, labels))).to('float32');
    });
  }

  /** [D_i, K, H, H] logits, an image. */
  heatmaps(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] {
    return this.#perImage(found, () => atLeastSingle(this.#keypointLogits(features, this.#networkBoxes(batch, found))));
  }

  /** Runs every layer on features of one image, for counting: `box` RoIs and `mask` RoIs go through the heads. */
  runLayers(features: Features, { box, mask }: { readonly box: number; readonly mask: number }): void {
    const channels = features[0]!.size(1);
    const pooled = (count: number, cells: number): Tensor =>
      ops.new_zeros(features[0]!, [count, channels, cells, cells]).to({ memoryFormat: 'channels_last' });
    this.boxPredictor.forward(this.boxHead.forward(pooled(box, this.#options.box.poolSize)));
    if (this.maskPredictor) {
      const hidden = this.#maskFeatures(pooled(mask, this.#maskPooling().poolSize));
      this.maskPredictor.allClasses(hidden);
    }
    if (this.keypointPredictor)
      this.keypointPredictor.forward(this.keypointHead!.call(pooled(mask, this.#options.keypoint!.poolSize)));
  }

  /** How the features of each head's boxes are cut out. */
  get pooling(): {
    readonly box: RoiPoolerOptions;
    readonly mask?: RoiPoolerOptions;
    readonly keypoint?: RoiPoolerOptions;
  } {
    const { box, mask, keypoint } = this.#options;
    return { box, ...(mask && { mask: this.#maskPooling() }), ...(keypoint && { keypoint }) };
  }

  /** From the box head's [K, C, S, S] features to what it says of each box. */
  pooledBoxes(pooled: Tensor): BoxPrediction {
    return this.boxPredictor.forward(this.boxHead.forward(pooled));
  }

  /** From the mask head's [K, C, S, S] features and [K] int64 classes to [K, M, M] logits. */
  pooledMasks(pooled: Tensor, labels: Tensor): Tensor {
    return this.#predictMasks(this.#maskFeatures(pooled), labels);
  }

  /** From the keypoint head's [K, C, S, S] features to [K, keypoints, H, H] logits. */
  pooledHeatmaps(pooled: Tensor): Tensor {
    return this.keypointPredictor!.forward(this.keypointHead!.call(pooled));
  }

  #pool(features: Features, boxes: readonly Tensor[] | Tensor, options: RoiPoolerOptions): Tensor {
    return poolRois(features, boxes, this.#options.strides, options, this.#options.conventions);
  }

  /** Also, fillers included, the features that a mask head which shares the box head's stage goes on from. */
  #predictBoxes(features: Features, rois: readonly Tensor[]) {
    const filled = fillBatch(rois, 1);
    const pooled = this.#pool(features, filled.boxes, this.#options.box);
    const boxHead = this.boxHead;
    const isShared = this.#options.mask?.kind === 'stage5_shared';
    const stage = isShared && boxHead instanceof Stage5BoxHead ? boxHead : undefined;
    const shared = stage && ofFilled(filled, () => stage.features(pooled));
    const { logits, offsets } = this.boxPredictor.forward(
      shared ? meanOverCells(shared) : ofFilled(filled, () => boxHead.forward(pooled)),
    );
    const prediction = { logits: withoutFillers(logits, filled), offsets: withoutFillers(offsets, filled) };
    return { prediction, shared };
  }

  /** Of [N * S] rows; also the features of the first N * L, for a mask head that shares the box head's stage. */
  #predictFixedBoxes(features: Features, { rois, valid, positives }: FixedRoiSample) {
    const boxHead = this.boxHead;
    const pooled = this.#pool(features, rois, this.#options.box);
    const isReal = isBatchNorm(this.#boxHeadNorm()) ? valid : undefined;
    if (!(boxHead instanceof Stage5BoxHead && this.#options.mask?.kind === 'stage5_shared'))
      return { prediction: this.boxPredictor.forward(ofRealRows(pooled, isReal, (own) => boxHead.forward(own))) };
    const stage = ofRealRows(pooled, isReal, (own) => boxHead.features(own));
    const perImage = ops.view(stage, [...valid.shape, ...stage.shape.slice(1)]);
    const first = ops.flatten(ops.narrow(perImage, 1, 0, positives.valid.size(1)), { start_dim: 0, end_dim: 1 });
    return { prediction: this.boxPredictor.forward(meanOverCells(stage)), shared: first };
  }

  #fixedMaskLoss(
    batch: ImageBatch,
    features: Features,
    { positives }: FixedRoiSample,
    targets: readonly Targets[],
    shared: Tensor | undefined,
  ): Tensor {
    const { mask, conventions } = this.#options;
    const isReal = this.#learnsStatistics() ? positives.valid : undefined;
    const hidden =
      shared ??
      ofRealRows(this.#pool(features, positives.rois, this.#maskPooling()), isReal, (own) => this.#maskFeatures(own));
    const logits = this.#predictMasks(hidden, ops.view(positives.labels, [-1]));
    const goals = noGrad(() => fixedMaskGoals(positives, targets, batch, logits.size(1), conventions));
    return weighted(fixedMaskLoss(logits, goals, positives.valid), mask!.lossWeight);
  }

  #fixedKeypointLoss(
    batch: FramedBatch,
    features: Features,
    drawn: {
      readonly matched: MatchedProposals;
      readonly sample: FixedRoiSample;
      readonly frames: Frames;
      readonly names: () => Tensor;
    },
    objects: PaddedObjects,
  ): Tensor {
    const { box, keypoint, keypoints: count, conventions } = this.#options;
    const { matched, sample, frames, names } = drawn;
    const draws = drawsOf(this.#options.draws, batch, 'keypoints', names);
    const { valid, rois, boxes, keypoints } = noGrad(() => {
      const measured = fixedKeypointsInSecondStage(paddedKeypoints(objects, count), frames, conventions);
      return conventions.keypointRois === 'box_head'
        ? fixedKeypointsOfPositives(sample.positives, measured)
        : sampleFixedKeypoints(matched, measured, box, conventions, draws);
    });
    const logits = this.keypointPredictor!.forward(this.keypointHead!.call(this.#pool(features, rois, keypoint!)));
    const perRow = (values: Tensor): Tensor => ops.flatten(values, { start_dim: 0, end_dim: 1 });
    const goals = noGrad(() => keypointCells(perRow(keypoints), perRow(boxes), logits.size(2)));
    const capacity = keypoint!.normalize === 'batch' ? inAll(valid.size(0)) * keypointRoiLimit(box) * count : undefined;
    return weighted(fixedKeypointLoss(logits, goals, valid, capacity), keypoint!.lossWeight);
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
    const { mask, conventions } = this.#options;
    const positives = samples.map((sample, image) => ({
      rois: ops.narrow(sample.rois, 0, 0, sample.positives),
      boxes: ops.narrow(sample.boxes, 0, 0, sample.positives),
      objects: ops.narrow(sample.objects, 0, 0, sample.positives),
      target: targets[image]!,
      size: batch.sizes[image]!,
      scale: batch.scales[image]!,
    }));
    const labels = samples.map((sample) => ops.narrow(sample.labels, 0, 0, sample.positives));
    const logits = shared
      ? this.#sharedMaskLogits(shared, samples, ops.cat(labels))
      : this.#maskLogits(
          features,
          positives.map((own) => own.rois),
          labels,
        );
    const goals = noGrad(() => scope(() => maskGoals(positives, logits.size(1), conventions)));
    return weighted(maskLoss(logits, goals), mask!.lossWeight);
  }

  #keypointLoss(
    batch: ImageBatch,
    features: Features,
    drawn: {
      readonly proposals: readonly Tensor[];
      readonly samples: readonly RoiSample[];
      readonly names: () => readonly Tensor[];
    },
    targets: readonly Targets[],
  ): Tensor {
    const { box, keypoint, keypoints: count, conventions } = this.#options;
    const { proposals, samples: ofBoxes, names } = drawn;
    const draws = drawsOf(this.#options.draws, batch, 'keypoints', names);
    const samples = noGrad(() =>
      targets.map((target, image) =>
        scope(() =>
          conventions.keypointRois === 'box_head'
            ? keypointsOfPositives(ofBoxes[image]!, target, batch.scales[image]!, conventions)
            : sampleKeypoints(proposals[image]!, target, batch.scales[image]!, box, conventions, draws.ofImage(image)),
        ),
      ),
    );
    const logits = this.#keypointLogits(
      features,
      samples.map((own) => own.rois),
    );
    const goals = noGrad(() =>
      keypointCells(
        ops.cat(samples.map((own) => own.keypoints)),
        ops.cat(samples.map((own) => own.boxes)),
        logits.size(2),
      ),
    );
    const capacity =
      keypoint!.normalize === 'batch' ? inAll(proposals.length) * keypointRoiLimit(box) * count : undefined;
    return weighted(keypointLoss(logits, goals, capacity), keypoint!.lossWeight);
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
    const filled = fillBatch(boxes, this.training && this.#learnsStatistics() ? 1 : ROI_BATCH_MULTIPLE);
    const pooled = this.#pool(features, filled.boxes, this.#maskPooling());
    const fillers = pooled.size(0) - filled.count;
    const all = ops.cat([...labels, ops.new_zeros(labels[0]!, [fillers])]);
    return withoutFillers(
      ofFilled(filled, () => this.pooledMasks(pooled, all)),
      filled,
    );
  }

  /** The same of the positives, whose features the box head has already computed. */
  #sharedMaskLogits(shared: Tensor, samples: readonly RoiSample[], labels: Tensor): Tensor {
    const count = labels.size(0);
    if (count > 0) return this.#predictMasks(positiveRows(shared, samples), labels);
    const filler = this.#predictMasks(ops.narrow(shared, 0, 0, 1), ops.new_zeros(labels, [1]));
    return ops.narrow(filler, 0, 0, 0);
  }

  /** A shared stage reads what the box head reads. */
  #maskPooling(): RoiPoolerOptions {
    const { box, mask } = this.#options;
    return mask!.kind === 'stage5_shared' ? box : mask!;
  }

  /** Whether fillers would leave their mark in a batch norm's statistics. */
  #learnsStatistics(): boolean {
    const { mask, backbone } = this.#options;
    return isBatchNorm(mask!.kind === 'convolutions' ? mask!.norm : backbone?.norm);
  }

  #boxHeadNorm(): string | undefined {
    const { box, backbone } = this.#options;
    if (box.kind === 'two_layer') return undefined;
    return box.kind === 'convolutions' ? box.norm : backbone?.norm;
  }

  /** [sum of K_i, keypoints, H, H] logits. */
  #keypointLogits(features: Features, boxes: readonly Tensor[]): Tensor {
    const filled = fillBatch(boxes, ROI_BATCH_MULTIPLE);
    const pooled = this.#pool(features, filled.boxes, this.#options.keypoint!);
    return withoutFillers(this.pooledHeatmaps(pooled), filled);
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
 * `body` of [K, ...] rows. With `isReal` ([K] flags in any shape) it sees the real rows alone, as a batch norm's statistics must:
 * their number is read, and what it gives for the others is 0.
 */
function ofRealRows(rows: Tensor, isReal: Tensor | undefined, body: (rows: Tensor) => Tensor): Tensor {
  if (isReal === undefined) return body(rows);
  const found = indicesWhere(ops.view(isReal, [-1]));
  const isNone = found.size(0) === 0;
  // Never none, as in exact sizes.
  const places = isNone ? ops.new_zeros(found, [1]) : found;
  const taken = ops.index_select(rows, 0, places);
  const own = isNone ? onFillerRows(() => body(taken)) : body(taken);
  return ops.index_copy(ops.new_zeros(own, [rows.size(0), ...own.shape.slice(1)]), 0, places, own);
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

/** Whether rows have a part in one another's norm. */
function isBatchNorm(norm: string | undefined): boolean {
  return norm === 'batch' || norm === 'sync_batch';
}

function weighted(loss: Tensor, weight: number): Tensor {
  return weight === 1 ? loss : ops.mul(loss, weight);
}
