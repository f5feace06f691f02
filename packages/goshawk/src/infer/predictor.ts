// A trained detector that takes pictures: prepare, network, post-process.
import type { Category, Detection, Preprocess, RgbImage } from '@goshawk/core';
import { autocast, type Device, scope } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import type { Batch } from '../data/index.js';
import { CONVENTIONS, type Detector } from '../models/index.js';
import { imageBatchOf } from './network-batch.js';
import { postProcess } from './post-process.js';
import { prepareBatch } from './prepare-batch.js';

export interface PredictorOptions {
  readonly model: Detector;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  readonly preprocess: Preprocess;
  readonly maskThreshold: number;
  /** Whether a pixel of exactly that probability belongs to a mask. Default inclusive. */
  readonly maskThresholdRule?: 'inclusive' | 'exclusive';
  readonly precision: 'fp32' | 'bf16';
  /** Where the model is. Default 'cpu'. */
  readonly device?: Device;
}

/** What of a config decides about predictions. */
export function predictorOptions(
  config: RunConfig,
): Pick<PredictorOptions, 'preprocess' | 'maskThreshold' | 'maskThresholdRule' | 'precision' | 'device'> {
  const { model } = config;
  return {
    preprocess: config.preprocess,
    maskThreshold: model.type === 'mask_rcnn' ? model.maskHead.threshold : 0.5,
    maskThresholdRule: model.type === 'mask_rcnn' ? CONVENTIONS[model.conventions].maskThreshold : 'inclusive',
    precision: config.train.precision,
    device: config.runtime.device,
  };
}

export class Predictor {
  readonly categories: readonly Category[];
  readonly #options: PredictorOptions;
  readonly #categoryIds: readonly number[];

  /** Puts the model into evaluation mode. */
  constructor(options: PredictorOptions) {
    this.#options = options;
    this.categories = options.categories;
    this.#categoryIds = options.categories.map((category) => category.id);
    options.model.eval();
  }

  /** Detections in each picture's own pixels, best first. Pictures of one call share a padded batch. */
  predict(images: readonly RgbImage[]): Detection[][] {
    const prepared = prepareBatch(images, this.#options.preprocess);
    const described = prepared.images.map((size, index) => ({ ...size, imageId: index }));
    return this.predictBatch({ ...prepared, images: described });
  }

  /** The same for a loader's batch. */
  predictBatch(batch: PredictableBatch): Detection[][] {
    const { model, maskThreshold, maskThresholdRule, precision, device } = this.#options;
    model.eval();
    return scope(() => {
      const found = inPrecision(precision, device, () => model.predict(imageBatchOf(batch, device)));
      return found.map((own, index) =>
        postProcess(own, batch.images[index]!, { categoryIds: this.#categoryIds, maskThreshold, maskThresholdRule }),
      );
    });
  }
}

export interface PredictableBatch extends Pick<Batch, 'pixels' | 'height' | 'width'> {
  readonly images: readonly Pick<
    Batch['images'][number],
    'imageId' | 'width' | 'height' | 'originalWidth' | 'originalHeight' | 'scaleX' | 'scaleY'
  >[];
}

/** Runs the network part of a step in the config's precision; weights and losses stay float32. */
export function inPrecision<T>(precision: 'fp32' | 'bf16', device: Device | undefined, body: () => T): T {
  return precision === 'fp32' ? body() : autocast('bfloat16', body, { device });
}
