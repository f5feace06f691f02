// Sparse R-CNN (Sun et al. 2021): a fixed number of learned boxes, each with learned features, that stages move onto the objects.
import { InputError } from '@goshawk/core';
import { Embedding, init, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../../config/index.js';
import { Detector } from '../detector.js';
import { type FeatureExtractor, makeFeatureExtractor } from '../feature-extractor.js';
import { readDetections } from '../fixed-detections.js';
import { framesOf, withFrames } from '../padded.js';
import { DynamicHead, type StagePredictions } from '../set-prediction/dynamic-head.js';
import { selectTop } from '../set-prediction/select-top.js';
import { setLosses } from '../set-prediction/set-loss.js';
import type { Detections, ImageBatch, Losses, Targets } from '../structures.js';

export type SparseRcnnOptions = Omit<SparseRcnnConfig, 'type' | 'classes'> & {
  /** Without the background. */
  readonly classes: number;
};

export class SparseRcnn extends Detector {
  readonly backbone: FeatureExtractor;
  /** [P, C]. */
  readonly initProposalFeatures: Embedding;
  /** [P, 4]: centre x, centre y, width, height, in shares of the picture. */
  readonly initProposalBoxes: Embedding;
  readonly head: DynamicHead;
  readonly #options: SparseRcnnOptions;

  constructor(options: SparseRcnnOptions) {
    super();
    this.#options = options;
    const { backbone, neck, head, proposals, classes } = options;
    this.backbone = makeFeatureExtractor(backbone, neck);
    const { channels, strides, roiLevels } = this.backbone;
    if (channels % head.attentionHeads !== 0)
      throw new InputError(
        'config-invalid',
        `model.head.attentionHeads: does not divide the ${channels} channels of the features: take a number that does`,
      );
    this.initProposalFeatures = new Embedding(proposals, channels);
    this.initProposalBoxes = wholePictures(new Embedding(proposals, 4));
    this.head = new DynamicHead({ ...head, channels, classes, strides: strides.slice(0, roiLevels) });
  }

  override loss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    return scope(() => {
      const { sizes } = framesOf(withFrames(batch));
      return setLosses(this.stagePredictions(batch), targets, sizes, this.#options);
    });
  }

  override predict(batch: ImageBatch): Detections[] {
    return noGrad(() => {
      const found = scope(() => {
        const { sizes } = framesOf(withFrames(batch));
        const { logits, boxes } = this.stagePredictions(batch);
        const { maxDetections = this.#options.proposals, scoreThreshold } = this.#options.head;
        return selectTop(logits.at(-1)!, boxes.at(-1)!, sizes, { maxDetections, scoreThreshold });
      });
      return readDetections(found);
    });
  }

  /** What each stage says of the batch. */
  stagePredictions(batch: ImageBatch): StagePredictions {
    const features = this.#features(batch.pixels);
    const { sizes } = framesOf(withFrames(batch));
    const images = batch.sizes.length;
    const { weight } = this.initProposalFeatures;
    const proposals = ops.expand(ops.unsqueeze(weight, 0), [images, ...weight.shape]);
    return this.head.forward(features, this.#boxesIn(sizes), proposals);
  }

  override runLayers(pixels: Tensor): void {
    scope(() => this.head.runLayers(this.#features(pixels), this.#options.proposals));
  }

  #features(pixels: Tensor): readonly Tensor[] {
    return this.backbone.forward(pixels).slice(0, this.backbone.roiLevels);
  }

  /** [N, P, 4] xyxy in network pixels, of pictures of these sizes. */
  #boxesIn(sizes: Tensor): Tensor {
    const { weight } = this.initProposalBoxes;
    const scaled = ops.mul(ops.unsqueeze(weight, 0), sizes.to(weight.dtype));
    const centre = ops.narrow(scaled, -1, 0, 2);
    const half = ops.mul(ops.narrow(scaled, -1, 2, 2), 0.5);
    return ops.cat([ops.sub(centre, half), ops.add(centre, half)], { dim: -1 });
  }
}

function wholePictures(boxes: Embedding): Embedding {
  noGrad(() => {
    init.constant(ops.narrow(boxes.weight, 1, 0, 2), 0.5);
    init.constant(ops.narrow(boxes.weight, 1, 2, 2), 1);
  });
  return boxes;
}
