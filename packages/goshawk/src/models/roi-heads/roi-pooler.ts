// Features of boxes, cut out of one map or of the level of a feature pyramid that a box's size asks for.
import { ops, roiAlignMultilevel, roiPool, Tensor, tensor } from '@goshawk/torch';
import { CONVENTIONS, type Conventions } from '../conventions.js';
import { zeroUnless } from '../padded.js';
import type { Features } from '../structures.js';
import { roiCrop } from './roi-crop.js';

export interface RoiPoolerOptions {
  /** Cells on each side of the output. */
  readonly poolSize: number;
  readonly pooling: 'align' | 'pool' | 'crop';
  /** Samples along each side of a cell of RoIAlign; 0: as many as the box has pixels there. */
  readonly samplingRatio: number;
}

// Feature Pyramid Networks, equation 1: a box of 224 pixels, ImageNet's size, belongs to level 4.
export const CANONICAL_SIZE = 224;
export const CANONICAL_LEVEL = 4;

/** Index into the levels (finest first) of each [K, 4] xyxy box, int64. */
export function assignLevels(
  boxes: Tensor,
  finestLevel: number,
  levelCount: number,
  {
    boxes: convention,
    roiLevels: { epsilonTo, epsilon },
  }: Pick<Conventions, 'boxes' | 'roiLevels'> = CONVENTIONS.torchvision,
): Tensor {
  const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: 1 }) as [Tensor, Tensor, Tensor, Tensor];
  const last = convention === 'inclusive' ? 1 : 0;
  // Scaled to the network's pixels, an inclusive box of less than a pixel can come out with a negative side.
  const side = (from: Tensor, to: Tensor): Tensor => ops.clamp(ops.add(ops.sub(to, from), last), { min: 0 });
  const size = ops.sqrt(ops.mul(side(x1, x2), side(y1, y2)));
  const relative = ops.div(size, CANONICAL_SIZE);
  const logarithm =
    epsilonTo === 'size'
      ? ops.add(ops.log2(ops.add(relative, epsilon)), CANONICAL_LEVEL)
      : ops.add(ops.add(ops.log2(relative), CANONICAL_LEVEL), epsilon);
  // A box that is not a number, of a training gone wrong, must not read beside the levels.
  const level = ops.nan_to_num(ops.floor(logarithm));
  const coarsest = finestLevel + levelCount - 1;
  return ops.sub(ops.clamp(level, { min: finestLevel, max: coarsest }), finestLevel).to('int64');
}

/**
 * For each octave from the finest stride to the coarsest the level that boxes of its size are cut out of: the coarsest that is no
 * coarser, of several of one stride the first, as in torchvision. Strides that double give 0, 1, 2, ...
 */
export function levelOfOctaves(strides: readonly number[]): readonly number[] {
  const octaves = strides.map((stride) => Math.round(Math.log2(stride)));
  const [finest = 0, coarsest = 0] = [octaves[0], octaves.at(-1)];
  return Array.from({ length: coarsest - finest + 1 }, (_, i) =>
    octaves.indexOf(octaves.findLast((octave) => octave <= finest + i)!),
  );
}

function placed(octaves: Tensor, levels: readonly number[]): Tensor {
  if (levels.every((level, octave) => level === octave)) return octaves;
  return ops.index_select(tensor(BigInt64Array.from(levels, BigInt), { device: octaves.device }), 0, octaves);
}

/** [K, 5] rows (image index, x1, y1, x2, y2) of the boxes of all images. */
export function roisOf(boxes: readonly Tensor[]): Tensor {
  return ops.cat(boxes.map((own, image) => ops.cat([ops.new_full(own, [own.size(0), 1], image), own], { dim: 1 })));
}

/** The same of [N, K, 4] boxes: [N * K, 5]. */
export function roisOfBatch(boxes: Tensor): Tensor {
  const [images = 0, count = 0] = boxes.shape;
  const number = ops.view(ops.arange(0, images, { dtype: boxes.dtype, device: boxes.device }), [images, 1, 1]);
  return ops.view(ops.cat([ops.expand(number, [images, count, 1]), boxes], { dim: 2 }), [-1, 5]);
}

/**
 * @param features levels, finest first
 * @param boxes xyxy in network pixels: [K_i, 4] of each image; or [N, K, 4], with which nothing waits for a card
 * @param strides network pixels a cell of each level
 * @returns [sum of K_i, C, poolSize, poolSize]
 */
export function poolRois(
  features: Features,
  boxes: readonly Tensor[] | Tensor,
  strides: readonly number[],
  { poolSize, pooling, samplingRatio }: RoiPoolerOptions,
  conventions: Pick<Conventions, 'boxes' | 'roiLevels' | 'roiEnd'> = CONVENTIONS.torchvision,
): Tensor {
  const sizing = boxes instanceof Tensor ? 'fixed' : 'exact';
  const rois = boxes instanceof Tensor ? roisOfBatch(boxes) : roisOf(boxes);
  const scales = strides.map((stride) => 1 / stride);
  const corners = ops.narrow(rois, 1, 1, 4);
  const finest = conventions.roiLevels.finest === 'two' ? 2 : Math.round(Math.log2(strides[0] ?? 1));
  const places = levelOfOctaves(strides);
  const levels =
    features.length === 1
      ? ops.new_zeros(rois, [rois.size(0)]).to('int64')
      : placed(assignLevels(corners, finest, places.length, conventions), places);
  if (pooling === 'align') {
    const isCorner = conventions.roiEnd === 'corner';
    return roiAlignMultilevel(features, isCorner ? rois : toNextPixel(rois, levels, strides), levels, {
      spatialScales: scales,
      outputSize: poolSize,
      samplingRatio,
      aligned: !isCorner,
    });
  }
  const poolOne = (feature: Tensor, own: Tensor, spatialScale: number): Tensor =>
    pooling === 'pool'
      ? roiPool(feature, own, { spatialScale, outputSize: poolSize })
      : roiCrop(feature, own, { spatialScale, outputSize: poolSize }, sizing);
  if (features.length === 1) return poolOne(features[0]!, rois, scales[0]!);
  if (sizing === 'fixed') {
    const own = features.map((feature, level) =>
      zeroUnless(ops.eq(levels, level), poolOne(feature, rois, scales[level]!)),
    );
    return own.reduce((sum, pooled) => ops.add(sum, pooled));
  }
  // Level by level; then back into the order of the boxes.
  const pooled: Tensor[] = [];
  const origins: Tensor[] = [];
  features.forEach((feature, level) => {
    const own = ops.squeeze(ops.nonzero(ops.eq(levels, level)), 1);
    if (own.size(0) === 0) return;
    pooled.push(poolOne(feature, ops.index_select(rois, 0, own), scales[level]!));
    origins.push(own);
  });
  if (pooled.length === 0) return ops.new_zeros(features[0]!, [0, features[0]!.size(1), poolSize, poolSize]);
  return ops.index_select(ops.cat(pooled), 0, ops.argsort(ops.cat(origins)));
}

/**
 * RoIs that end one pixel behind their corner. The kernel's aligned form sets no smallest size, but moves RoIs by half a
 * cell: they are moved back before.
 */
function toNextPixel(rois: Tensor, levels: Tensor, strides: readonly number[]): Tensor {
  const halfCells = ops.cat(strides.map((stride) => ops.new_full(rois, [1], stride / 2)));
  const moved = ops.unsqueeze(ops.index_select(halfCells, 0, levels), 1);
  const start = ops.add(ops.narrow(rois, 1, 1, 2), moved);
  const end = ops.add(ops.add(ops.narrow(rois, 1, 3, 2), 1), moved);
  return ops.cat([ops.narrow(rois, 1, 0, 1), start, end], { dim: 1 });
}
