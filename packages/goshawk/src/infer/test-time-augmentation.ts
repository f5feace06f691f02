// Test-time augmentation (Detectron's BBOX_AUG, MASK_AUG and KPS_AUG): a detector sees several views of a picture,
// and what it says about them is put together before detections are chosen.
import { InputError, type Preprocess, type RgbImage } from '@goshawk/core';
import { type Device, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type { AugmentConfig, BoxAugmentConfig } from '../config/index.js';
import {
  type Candidates,
  type Conventions,
  DecoupledSolo,
  type DenseCandidates,
  type Detections,
  type Detector,
  type Features,
  Rcnn,
  RetinaNet,
  Solov2,
} from '../models/index.js';
import { combineHeatmaps, combineMasks, unflipHeatmaps, unflipMasks, type ViewMaps } from './combine-maps.js';
import { furtherViews, identityView, type OpenView, openView, type View } from './image-views.js';
import { inDtypeOf } from './precision.js';

export interface AugmentationOptions {
  readonly augment: AugmentConfig;
  readonly preprocess: Preprocess;
  readonly boxes: Conventions['boxes'];
  /** For each keypoint the one that it becomes in a mirrored picture; needed where keypoints are mirrored. */
  readonly keypointFlipOrder?: readonly number[];
  readonly device?: Device;
  /** Stored proposals in the picture's pixels, `[n * 4]` xyxy, for models that take them. */
  readonly proposals?: Float32Array;
}

/** Whether anything beyond the picture as it is takes part. */
export function isAugmented({ boxes, masks, keypoints }: AugmentConfig): boolean {
  return boxes.enabled || masks.enabled || keypoints.enabled;
}

/** @throws InputError where a detector cannot be augmented as the options say */
export function requireAugmentable(model: Detector, options: AugmentationOptions): asserts model is Rcnn | RetinaNet {
  const refuse = (message: string) => new InputError('config-invalid', `inference.augment${message}`);
  const { augment, preprocess, keypointFlipOrder } = options;
  if (model instanceof Solov2 || model instanceof DecoupledSolo)
    throw refuse(': needs boxes that the masks lie in, and SOLO has none: disable boxes, masks and keypoints');
  if (!(model instanceof RetinaNet) && !(model instanceof Rcnn && model.roiHeads))
    throw refuse(': is for detectors of objects: disable boxes, masks and keypoints for a model of proposals');
  const hasOwnBoxes = model instanceof RetinaNet || model.rpn !== undefined;
  if (augment.boxes.scores !== 'union' && hasOwnBoxes)
    throw refuse(
      `.boxes.scores: is ${augment.boxes.scores}, but ${model instanceof RetinaNet ? 'RetinaNet' : 'a region proposal network'} gives every view boxes of its own: set scores and coordinates to union`,
    );
  for (const [name, { enabled, scales }] of Object.entries(augment)) {
    if (enabled && scales.length > 0 && preprocess.resize.rule === 'none')
      throw refuse(
        `.${name}.scales: has no effect with preprocess.resize.rule none: leave scales out, or choose a rule`,
      );
  }
  const { keypoints } = augment;
  const isMirrored = keypoints.flip || keypoints.scaleFlip || keypoints.aspectRatioFlip;
  const hasKeypoints = model instanceof Rcnn && model.roiHeads?.keypointPredictor !== undefined;
  if (keypoints.enabled && isMirrored && hasKeypoints && !keypointFlipOrder)
    throw refuse(
      '.keypoints.flip: the categories do not name their keypoints, so left and right are unknown: set flip, scaleFlip and aspectRatioFlip to false',
    );
}

/** Detections in one picture, in its own pixels, best first. The model is in evaluation mode. */
export function detectAugmented(model: Detector, image: RgbImage, options: AugmentationOptions): Detections {
  requireAugmentable(model, options);
  if (model instanceof RetinaNet) return detectDense(model, image, options);
  return noGrad(() =>
    scope(() => {
      const { boxes, masks, keypoints } = options.augment;
      const identity = openFor(model, image, identityView(options.preprocess.resize), options);
      const features = scope(() => model.features(identity.batch));
      const own = toPicture(model.candidates(identity.batch, features)[0]!, identity);
      const candidates = boxes.enabled ? augmentCandidates(model, image, own, options) : own;
      const found = model.select(candidates);
      const isEmpty = found.boxes.size(0) === 0;
      const hasMasks = model.roiHeads?.maskPredictor !== undefined;
      const hasKeypoints = model.roiHeads?.keypointPredictor !== undefined;
      const maskViews = masks.enabled && hasMasks && !isEmpty ? furtherViews(masks, options.preprocess.resize) : [];
      const keypointViews =
        keypoints.enabled && hasKeypoints && !isEmpty ? furtherViews(keypoints, options.preprocess.resize) : [];
      const maps = new MapCollector(model, found, options);
      maps.add(identity, features, identityView(options.preprocess.resize), {
        masks: hasMasks,
        keypoints: hasKeypoints,
      });
      for (const view of distinct([...maskViews, ...keypointViews])) {
        const opened = openFor(model, image, view, options);
        const wanted = { masks: includes(maskViews, view), keypoints: includes(keypointViews, view) };
        maps.add(
          opened,
          scope(() => model.features(opened.batch)),
          view,
          wanted,
        );
      }
      return model.withMaps(found, ...maps.combined());
    }),
  );
}

/** The boxes of all views compete. */
function detectDense(model: RetinaNet, image: RgbImage, options: AugmentationOptions): Detections {
  const { boxes: config } = options.augment;
  const { resize } = options.preprocess;
  const identity = identityView(resize);
  return noGrad(() =>
    scope(() => {
      const views = [...(config.enabled ? furtherViews(config, resize) : []), identity].map((view) =>
        scope((): DenseCandidates => {
          const opened = openFor(model, image, view, options);
          const found = toPicture(model.candidates(opened.batch)[0]!, opened);
          const unfit = config.sizeDependent ? unfitBoxes(found.boxes, view, resize, config, options.boxes) : undefined;
          return unfit ? { ...found, ...picked(found, ops.logical_not(unfit)) } : found;
        }),
      );
      const all = (part: (own: DenseCandidates) => Tensor): Tensor => ops.cat(views.map(part));
      return model.select({
        pixels: 'image',
        boxes: all(({ boxes }) => boxes),
        scores: all(({ scores }) => scores),
        labels: all(({ labels }) => labels),
      });
    }),
  );
}

function picked({ boxes, scores, labels }: DenseCandidates, wanted: Tensor) {
  const rows = ops.squeeze(ops.nonzero(wanted), 1);
  return {
    boxes: ops.index_select(boxes, 0, rows),
    scores: ops.index_select(scores, 0, rows),
    labels: ops.index_select(labels, 0, rows),
  };
}

/** Candidates of all views in the picture's pixels, the picture itself last. */
function augmentCandidates(model: Rcnn, image: RgbImage, own: Candidates, options: AugmentationOptions): Candidates {
  const { boxes: config } = options.augment;
  const { resize } = options.preprocess;
  const further = furtherViews(config, resize).map((view) =>
    scope(() => {
      const opened = openFor(model, image, view, options);
      const [found] = model.candidates(
        opened.batch,
        scope(() => model.features(opened.batch)),
      );
      const candidates = toPicture(found!, opened);
      const unfit = config.sizeDependent
        ? unfitBoxes(candidates.boxes, view, resize, config, options.boxes)
        : undefined;
      return unfit ? { ...candidates, scores: ops.masked_fill(candidates.scores, unfit, 0) } : candidates;
    }),
  );
  const all = [...further, own];
  return {
    pixels: 'image',
    boxes: combineCandidates(
      all.map(({ boxes }) => boxes),
      config.coordinates,
    ),
    scores: combineCandidates(
      all.map(({ scores }) => scores),
      config.scores,
    ),
  };
}

/** The last is that of the picture itself. */
function combineCandidates(values: readonly Tensor[], heuristic: BoxAugmentConfig['scores']): Tensor {
  switch (heuristic) {
    case 'union':
      return ops.cat(values);
    case 'average':
      return ops.mean(ops.stack(values), [0]);
    case 'identity':
      return values.at(-1)!;
  }
}

function toPicture<T extends Pick<Candidates, 'boxes' | 'pixels'>>(candidates: T, view: OpenView): T {
  return { ...candidates, pixels: 'image', boxes: view.toPicture(candidates.boxes, candidates.pixels) };
}

/** Which of [..., 4] boxes are small in a smaller view or large in a larger one; undefined for a view of the usual size. */
function unfitBoxes(
  boxes: Tensor,
  view: View,
  { minSize }: Preprocess['resize'],
  { smallArea, largeArea }: BoxAugmentConfig,
  convention: Conventions['boxes'],
): Tensor | undefined {
  if (view.minSize === minSize) return undefined;
  const areas = areasOf(boxes, convention);
  return view.minSize < minSize ? ops.lt(areas, smallArea) : ops.ge(areas, largeArea);
}

/** [...] of boxes [..., 4]. */
function areasOf(boxes: Tensor, convention: Conventions['boxes']): Tensor {
  const edge = convention === 'inclusive' ? 1 : 0;
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
  return ops.mul(ops.add(ops.sub(x2, x1), edge), ops.add(ops.sub(y2, y1), edge));
}

/** Gathers the masks and heatmaps of the same detections in several views. */
class MapCollector {
  readonly #model: Rcnn;
  readonly #found: Detections;
  readonly #options: AugmentationOptions;
  readonly #areas: readonly number[];
  readonly #masks: ViewMaps[] = [];
  readonly #heatmaps: ViewMaps[] = [];

  constructor(model: Rcnn, found: Detections, options: AugmentationOptions) {
    this.#model = model;
    this.#found = found;
    this.#options = options;
    this.#areas = areasOf(found.boxes, options.boxes).toNumbers();
  }

  add(
    { batch, toNetwork }: OpenView,
    features: Features,
    view: View,
    wanted: { readonly masks: boolean; readonly keypoints: boolean },
  ): void {
    const { augment, keypointFlipOrder } = this.#options;
    const inView = [{ ...this.#found, pixels: 'network' as const, boxes: toNetwork(this.#found.boxes) }];
    const masks = wanted.masks ? this.#model.masks(batch, features, inView)?.[0] : undefined;
    if (masks) {
      const maps = view.flip ? unflipMasks(masks) : masks;
      this.#masks.push({ maps, counts: this.#counts(view, augment.masks) });
    }
    const heatmaps = wanted.keypoints ? this.#model.heatmaps(batch, features, inView)?.[0] : undefined;
    if (heatmaps) {
      const maps = view.flip ? unflipHeatmaps(heatmaps, keypointFlipOrder!) : heatmaps;
      this.#heatmaps.push({ maps, counts: this.#counts(view, augment.keypoints) });
    }
  }

  /** Masks and heatmaps, where the model has them. */
  combined(): [Tensor | undefined, Tensor | undefined] {
    const { masks, keypoints } = this.#options.augment;
    return [
      combineIfSeveral(this.#masks, (views) => combineMasks(views, masks.heuristic)),
      combineIfSeveral(this.#heatmaps, (views) => combineHeatmaps(views, keypoints.heuristic)),
    ];
  }

  #counts(
    view: View,
    { sizeDependent, largeArea }: { readonly sizeDependent: boolean; readonly largeArea: number },
  ): boolean[] | undefined {
    const { minSize } = this.#options.preprocess.resize;
    if (!sizeDependent || view.minSize === minSize) return undefined;
    return this.#areas.map((area) => (view.minSize < minSize ? area >= largeArea : area < largeArea));
  }
}

function combineIfSeveral(
  views: readonly ViewMaps[],
  combine: (views: readonly ViewMaps[]) => Tensor,
): Tensor | undefined {
  return views.length > 1 ? combine(views) : views[0]?.maps;
}

function distinct(views: readonly View[]): View[] {
  return views.filter((view, index) => views.findIndex((other) => isSame(other, view)) === index);
}

function includes(views: readonly View[], view: View): boolean {
  return views.some((other) => isSame(other, view));
}

function isSame(a: View, b: View): boolean {
  return a.flip === b.flip && a.aspectRatio === b.aspectRatio && a.minSize === b.minSize && a.maxSize === b.maxSize;
}

function openFor(model: Detector, image: RgbImage, view: View, options: AugmentationOptions): OpenView {
  const opened = openView(image, view, options);
  return { ...opened, batch: inDtypeOf(model, opened.batch) };
}
