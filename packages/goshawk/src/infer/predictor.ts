// A trained detector that takes pictures: prepare, network, post-process.
import {
  type Category,
  type Detection,
  InputError,
  keypointFlip,
  oneSidedProblem,
  type Preprocess,
  type RgbImage,
} from '@goshawk/core';
import { type Device, keep, scope } from '@goshawk/torch';
import type { AugmentConfig, Precision, RunConfig } from '../config/index.js';
import type { Batch } from '../data/index.js';
import {
  type Conventions,
  type Detections,
  type Detector,
  detectorKind,
  type ImageBatch,
  type MaskOutput,
} from '../models/index.js';
import { explainEngineError } from './engine-errors.js';
import { imageBatchOf } from './network-batch.js';
import { disposeDetections, type ImageSizes, onHost, postProcess } from './post-process.js';
import { inDtypeOf, inPrecision, requirePrecision } from './precision.js';
import { prepareBatch } from './prepare-batch.js';
import { StageTimes } from './stage-times.js';
import {
  type AugmentationOptions,
  detectAugmented,
  isAugmented,
  requireAugmentable,
} from './test-time-augmentation.js';

export interface PredictorOptions {
  readonly model: Detector;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  readonly preprocess: Preprocess;
  /** How masks become pixels; absent for models without. */
  readonly masks?: MaskOutput;
  readonly precision: Precision;
  /** Where the model is. Default 'cpu'. */
  readonly device?: Device;
  /** What `predict` shows to the model beyond the pictures as they are. Default nothing. */
  readonly augment?: AugmentConfig;
  /** Where boxes end. Default continuous. */
  readonly boxes?: Conventions['boxes'];
}

/** What of a config decides about predictions. */
export function predictorOptions(config: RunConfig): Omit<PredictorOptions, 'model' | 'categories'> {
  const { model } = config;
  const kind = detectorKind(model);
  return {
    preprocess: config.preprocess,
    masks: kind.masks,
    precision: config.train.precision,
    device: config.runtime.device,
    augment: config.inference.augment,
    boxes: kind.boxes,
  };
}

export class Predictor {
  readonly categories: readonly Category[];
  readonly #options: PredictorOptions;
  readonly #categoryIds: readonly number[];
  /** Of all predictions so far. */
  readonly stages = new StageTimes();
  readonly #augmentation: AugmentationOptions | undefined;

  /**
   * Puts the model into evaluation mode.
   * @throws InputError where it cannot be augmented as asked, or computed in that precision
   */
  constructor(options: PredictorOptions) {
    requirePrecision(options.precision, options.device);
    this.#options = options;
    this.categories = options.categories;
    this.#categoryIds = options.categories.map((category) => category.id);
    this.#augmentation = augmentationOf(options);
    options.model.eval();
  }

  /** Where the model's boxes end; a detection's width is always x2 - x1. */
  get boxes(): Conventions['boxes'] {
    return this.#options.boxes ?? 'continuous';
  }

  /** Whether `predict` shows the model more than the pictures as they are; `predictBatch` never does. */
  get isAugmented(): boolean {
    return this.#augmentation !== undefined;
  }

  /** Detections in each picture's own pixels, best first. Pictures of one call share a padded batch. */
  predict(images: readonly RgbImage[]): Detection[][] {
    if (this.#augmentation)
      return images.map((image, imageId) => this.predictAugmented(image).map((found) => ({ ...found, imageId })));
    const prepared = this.stages.during('pictures', () => prepareBatch(images, this.#options.preprocess));
    const described = prepared.images.map((size, index) => ({ ...size, imageId: index }));
    return this.predictBatch({ ...prepared, images: described });
  }

  /** Where the model is. */
  get device(): Device {
    return this.#options.device ?? 'cpu';
  }

  /** The same for a loader's batch. */
  predictBatch(batch: PredictableBatch): Detection[][] {
    return this.launchBatch(batch).read();
  }

  /** Runs the network over a loader's batch, whose memory may be used again when the detections are read. See {@link launch}. */
  launchBatch(batch: PredictableBatch): PendingDetections {
    return this.#launch(() => imageBatchOf(batch, this.device), batch.images);
  }

  /**
   * Runs the network over a batch that is on its device. On a card it may still be at work when this returns, while the host
   * prepares what comes next.
   */
  launch(batch: ImageBatch, images: readonly ImageSizes[]): PendingDetections {
    return this.#launch(() => batch, images);
  }

  #launch(batch: () => ImageBatch, images: readonly ImageSizes[]): PendingDetections {
    const found = this.#explained(() => keep(scope(() => this.#detect(batch()))));
    return {
      read: () => {
        try {
          return this.#explained(() => scope(() => this.#read(found, images)));
        } finally {
          disposeDetections(found);
        }
      },
    };
  }

  /**
   * Detections in one picture's own pixels, by all that `augment` asks for.
   * @param proposals `[n * 4]` xyxy in the picture's pixels, for models whose proposals are stored
   */
  predictAugmented(image: RgbImage, proposals?: Float32Array): Detection[] {
    const augmentation = this.#augmentation;
    if (!augmentation) throw new Error('internal: nothing augments this predictor');
    const { model, precision, device } = this.#options;
    const { width, height } = image;
    model.eval();
    return this.#explained(() =>
      scope(() => {
        const options = proposals ? { ...augmentation, proposals } : augmentation;
        const found = this.stages.during('network', () =>
          inPrecision(precision, device, () => detectAugmented(model, image, options)),
        );
        const sizes = { imageId: 0, width, height, originalWidth: width, originalHeight: height };
        return this.#read([found], [sizes])[0]!;
      }),
    );
  }

  #detect(batch: ImageBatch): Detections[] {
    const { model, precision, device } = this.#options;
    model.eval();
    return this.stages.during('network', () => [
      ...inPrecision(precision, device, () => model.predict(inDtypeOf(model, batch))),
    ]);
  }

  #read(found: readonly Detections[], images: readonly ImageSizes[]): Detection[][] {
    const options = { categoryIds: this.#categoryIds, masks: this.#options.masks };
    const onCpu = this.stages.during('network', () => onHost(found));
    return this.stages.during('post-processing', () =>
      onCpu.map((own, index) => postProcess(own, images[index]!, options)),
    );
  }

  #explained<T>(body: () => T): T {
    try {
      return body();
    } catch (error) {
      throw explainEngineError(error, { kind: 'prediction', precision: this.#options.precision });
    }
  }
}

function augmentationOf(options: PredictorOptions): AugmentationOptions | undefined {
  const { augment, boxes = 'continuous', preprocess, device, categories, model } = options;
  if (augment === undefined || !isAugmented(augment)) return undefined;
  const named = categories.find((category) => (category.keypoints?.length ?? 0) > 0);
  const flip = named && keypointFlip(named);
  const { enabled, flip: isFlipped, scaleFlip, aspectRatioFlip } = augment.keypoints;
  if (flip?.oneSided && enabled && (isFlipped || scaleFlip || aspectRatioFlip))
    throw new InputError(
      'config-invalid',
      `inference.augment.keypoints.flip: keypoint ${oneSidedProblem(flip.oneSided)}`,
    );
  const flipOrder = flip ? { keypointFlipOrder: flip.order } : {};
  const augmentation: AugmentationOptions = { augment, preprocess, boxes, device, ...flipOrder };
  requireAugmentable(model, augmentation);
  return augmentation;
}

/** Detections on their way; to be read once. */
export interface PendingDetections {
  /** In each picture's own pixels, best first. Waits for the device, for all of them at once. */
  read(): Detection[][];
}

export interface PredictableBatch extends Pick<Batch, 'pixels' | 'height' | 'width'> {
  readonly images: readonly Pick<
    Batch['images'][number],
    'imageId' | 'width' | 'height' | 'originalWidth' | 'originalHeight' | 'scaleX' | 'scaleY' | 'frame'
  >[];
}
