// RetinaNet (Lin et al., Focal Loss for Dense Object Detection, 2017) on a backbone with a pyramid (torchvision) or on a SpineNet
// (SpineNet-Pytorch).
import { noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type { RetinanetConfig } from '../../config/index.js';
import { AnchorGenerator } from '../anchors.js';
import {
  type DenseCandidates,
  fixedRetinaLosses,
  RETINA_CONVENTIONS,
  type RetinaConventions,
  RetinaHead,
  retinaCandidates,
  retinaLosses,
  selectFixedRetinaDetections,
  selectRetinaDetections,
} from '../dense-heads/index.js';
import { Detector } from '../detector.js';
import { type FeatureExtractor, makeRetinaExtractor } from '../feature-extractor.js';
import { readDetections } from '../fixed-detections.js';
import { framesOf, padObjects, withFrames } from '../padded.js';
import { type Sizing, sizingOn } from '../sizing.js';
import type { Detections, ImageBatch, Losses, Targets } from '../structures.js';

export type RetinaNetOptions = Omit<RetinanetConfig, 'type' | 'classes'> & {
  /** Without the background. */
  readonly classes: number;
  /** Default: as is best where a batch lies. */
  readonly sizing?: Sizing;
};

export class RetinaNet extends Detector {
  readonly backbone: FeatureExtractor;
  readonly head: RetinaHead;
  readonly #options: RetinaNetOptions;
  readonly #conventions: RetinaConventions;
  readonly #anchors: AnchorGenerator;

  constructor(options: RetinaNetOptions) {
    super();
    this.#options = options;
    const { anchors, backbone, classes, head, neck } = options;
    const conventions = RETINA_CONVENTIONS[options.conventions];
    this.#conventions = conventions;
    this.backbone = makeRetinaExtractor(backbone, neck);
    const { channels, strides } = this.backbone;
    this.#anchors = new AnchorGenerator({
      sizes: strides.map((stride) =>
        octaveSizes(stride * anchors.octaveBaseScale, anchors.scalesPerOctave, conventions),
      ),
      ratios: anchors.ratios,
      cells: conventions.anchorCells,
      ...(conventions.strides === 'level' ? { strides } : {}),
    });
    this.head = new RetinaHead({
      ...head,
      inChannels: channels,
      channels: head.channels ?? channels,
      levels: strides.length,
      anchorsPerCell: this.#anchors.perCell,
      classes: classes + (conventions.hasBackgroundLogit ? 1 : 0),
    });
  }

  get anchors(): AnchorGenerator {
    return this.#anchors;
  }

  override loss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    return scope(() => {
      const prediction = this.head.forward(this.backbone.forward(batch.pixels));
      const anchors = ops.cat(this.#anchorsFor(batch, prediction.logits));
      const { classes, head } = this.#options;
      const options = { ...head, classes, conventions: this.#conventions };
      return this.#sizing(batch) === 'fixed'
        ? fixedRetinaLosses(prediction, anchors, padObjects(targets), options)
        : retinaLosses(prediction, anchors, targets, options);
    });
  }

  #sizing(batch: ImageBatch): Sizing {
    return this.#options.sizing ?? sizingOn(batch.pixels.device);
  }

  override predict(batch: ImageBatch): Detections[] {
    return noGrad(() => {
      if (this.#sizing(batch) === 'exact') return this.candidates(batch).map((own) => this.select(own));
      const found = scope(() => {
        const prediction = this.head.forward(this.backbone.forward(batch.pixels));
        const anchors = this.#anchorsFor(batch, prediction.logits);
        const { classes, head } = this.#options;
        const options = { ...head, classes, conventions: this.#conventions };
        return selectFixedRetinaDetections(prediction, anchors, framesOf(withFrames(batch)), options);
      });
      return readDetections(found);
    });
  }

  /** The best boxes of every level of each image, before those that cover one another are dropped. */
  candidates(batch: ImageBatch): DenseCandidates[] {
    const prediction = this.head.forward(this.backbone.forward(batch.pixels));
    const anchors = this.#anchorsFor(batch, prediction.logits);
    const { classes, head } = this.#options;
    const options = { ...head, classes, conventions: this.#conventions };
    return batch.sizes.map((size, index) =>
      retinaCandidates(prediction, anchors, { index, size, scale: batch.scales[index]! }, options),
    );
  }

  /** Those of one image that do not cover one another. */
  select(candidates: DenseCandidates): Detections {
    return selectRetinaDetections(candidates, { ...this.#options.head, conventions: this.#conventions });
  }

  override runLayers(pixels: Tensor): void {
    scope(() => {
      this.head.forward(this.backbone.forward(pixels));
    });
  }

  /** Anchors of each level, in the order of its logits. */
  #anchorsFor(batch: ImageBatch, maps: readonly Tensor[]): Tensor[] {
    const grids = maps.map((map) => [map.size(2), map.size(3)] as const);
    return this.#anchors.forGrids(grids, [batch.pixels.size(2), batch.pixels.size(3)], batch.pixels.device);
  }
}

/** Lengths of a level's square anchors: `count` steps from `base` to its double, which is the next level's. */
function octaveSizes(base: number, count: number, { wholeAnchorSizes }: RetinaConventions): number[] {
  return Array.from({ length: count }, (_, step) => {
    const size = base * 2 ** (step / count);
    return wholeAnchorSizes ? Math.trunc(size) : size;
  });
}
