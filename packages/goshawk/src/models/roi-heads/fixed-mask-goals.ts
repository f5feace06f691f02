// What the mask head learns, for rows of which some are positives: mask-loss.ts of samples of fixed size.
import { arange, cropMaskTargets, ops, type Tensor, tensor } from '@goshawk/torch';
import type { Conventions } from '../conventions.js';
import { padRows, rowsAt } from '../padded.js';
import { type ImageBatch, requiredPart, type Targets } from '../structures.js';
import type { FixedPositives } from './fixed-samples.js';
import { polygonsToImage } from './mask-loss.js';
import { maskPolygons } from './mask-polygons.js';
import { WEIGHT_UNIT } from './mask-resize.js';

/** [N * L, M, M] float32 goals of 0 and 1 (cropped: 0 to 1), as the conventions make them; of no meaning where no positive is. */
export function fixedMaskGoals(
  positives: FixedPositives,
  targets: readonly Targets[],
  batch: Pick<ImageBatch, 'sizes' | 'scales'>,
  resolution: number,
  conventions: Conventions,
): Tensor {
  switch (conventions.maskTargets) {
    case 'cropped':
      return croppedMasks(positives, targets, batch, resolution);
    case 'polygons':
    case 'own_polygons':
      return drawnMasks(positives, targets, batch, resolution, conventions);
    case 'resized':
      return resizedMasks(positives, targets, resolution);
  }
}

function croppedMasks(
  { rois, objects }: FixedPositives,
  targets: readonly Targets[],
  { sizes }: Pick<ImageBatch, 'sizes'>,
  resolution: number,
): Tensor {
  return ops.cat(
    targets.map((target, image) => {
      const { pixels, crops } = requiredPart(target, 'masks');
      if (crops.size(0) === 0) return ops.new_zeros(rois, [rois.size(1), resolution, resolution]);
      const [imageHeight, imageWidth] = sizes[image]!;
      const own = (values: Tensor): Tensor => ops.select(values, 0, image);
      return cropMaskTargets(pixels, crops, own(rois), own(objects), { imageHeight, imageWidth, resolution });
    }),
  );
}

/**
 * Polygons are drawn by the host: it reads the positives' boxes and objects of the whole batch, once, and waits for them.
 */
function drawnMasks(
  { boxes, objects, valid }: FixedPositives,
  targets: readonly Targets[],
  { scales }: Pick<ImageBatch, 'scales'>,
  resolution: number,
  conventions: Conventions,
): Tensor {
  const [, most = 0] = valid.shape;
  // A number an object below 2 ** 24, as float32 holds exactly; -1 where no positive is.
  const numbers = ops.unsqueeze(ops.where(valid, objects, -1).to('float32'), 2);
  const rows = ops.cat([boxes, numbers], { dim: 2 }).toFloat32Array();
  const cells = resolution * resolution;
  const goals = new Float32Array(targets.length * most * cells);
  targets.forEach((target, image) => {
    const polygons = requiredPart(target, 'polygons');
    const measured = conventions.secondStage === 'network' ? polygons : polygonsToImage(polygons, scales[image]!);
    const places = Array.from({ length: most }, (_, row) => image * most + row).filter((at) => rows[at * 5 + 4]! >= 0);
    const corners = Float32Array.from(places.flatMap((at) => [...rows.subarray(at * 5, at * 5 + 4)]));
    const own = conventions.maskTargets === 'own_polygons' ? places.map((at) => rows[at * 5 + 4]!) : undefined;
    const drawn = maskPolygons(corners, measured, resolution, own);
    places.forEach((at, index) => {
      goals.set(drawn.subarray(index * cells, (index + 1) * cells), at * cells);
    });
  });
  return tensor(goals, { shape: [targets.length * most, resolution, resolution], device: boxes.device });
}

/** What mask-resize.ts computes for one box after the other, in whole numbers as there. */
function resizedMasks({ rois, objects }: FixedPositives, targets: readonly Targets[], resolution: number): Tensor {
  const [images = 0, most = 0] = objects.shape;
  const masks = targets.map((target) => requiredPart(target, 'masks'));
  const crops = rowsAt(padRows(masks.map((own) => own.crops)), objects);
  const [offset, ...place] = ops.unbind(ops.view(crops, [images, most, 5, 1, 1]), { dim: 2 }) as [Tensor, ...Tensor[]];
  const [left, top, width, height] = place as [Tensor, Tensor, Tensor, Tensor];
  const corners = ops.view(rois.to('int64'), [images, most, 4, 1, 1]);
  const [x1, y1, x2, y2] = ops.unbind(corners, { dim: 2 }) as [Tensor, Tensor, Tensor, Tensor];
  const columns = taps(x1, x2, resolution, 'columns');
  const rows = taps(y1, y2, resolution, 'rows');
  const column = ops.sub(ops.add(columns.places, x1), left);
  const row = ops.sub(ops.add(rows.places, y1), top);
  const within = (value: Tensor, length: Tensor): Tensor => ops.logical_and(ops.ge(value, 0), ops.lt(value, length));
  // [N, L, 2 rows, M, 2 columns, M]: each pixel that a cell reads.
  const down = (values: Tensor): Tensor => ops.view(values, [images, most, 2, resolution, 1, 1]);
  const across = (values: Tensor): Tensor => ops.view(values, [images, most, 1, 1, 2, resolution]);
  const isInside = ops.logical_and(down(within(row, height)), across(within(column, width)));
  const at = ops.add(down(ops.add(ops.mul(row, width), offset)), across(column));
  const index = ops.view(ops.where(isInside, at, 0), [images, -1]);
  const read = masks.map(({ pixels }, image) =>
    pixels.length === 0
      ? ops.zeros_like(ops.select(index, 0, 0))
      : ops.index_select(pixels, 0, ops.select(index, 0, image)).to('int64'),
  );
  const pixel = ops.mul(ops.view(ops.stack(read), isInside.shape), isInside);
  const lines = ops.floor_divide(ops.sum(ops.mul(pixel, across(columns.weights)), [4]), 16);
  const weighted = ops.floor_divide(ops.mul(lines, ops.view(rows.weights, [images, most, 2, resolution, 1])), 65536);
  const goals = ops.floor_divide(ops.add(ops.sum(weighted, [2]), 2), 4);
  return ops.view(goals, [images * most, resolution, resolution]).to('float32');
}

/** Which two pixels each output reads along an axis, counted from a box's first, and their weights; both [N, L, 2, M] int64. */
function taps(from: Tensor, to: Tensor, resolution: number, axis: 'columns' | 'rows') {
  const length = ops.clamp(ops.add(ops.sub(to, from), 1), { min: 1 });
  const last = ops.sub(length, 1);
  const middles = ops.add(arange(0, resolution, { dtype: 'float64', device: from.device }), 0.5);
  const place = ops.sub(ops.mul(ops.div(length.to('float64'), resolution), middles), 0.5).to('float32');
  const floor = ops.floor(place);
  const shares = ops.sub(place, floor);
  const low = floor.to('int64');
  const inBox = (value: Tensor): Tensor => ops.minimum(ops.clamp(value, { min: 0 }), last);
  const fixedPoint = (share: Tensor): Tensor => ops.round(ops.mul(share, WEIGHT_UNIT)).to('int64');
  const weights = [fixedPoint(ops.rsub(shares, 1)), fixedPoint(shares)] as const;
  // Beyond the border a column reads one pixel.
  const isBeyond = ops.logical_or(ops.lt(low, 0), ops.ge(low, last));
  const [lowWeight, highWeight] =
    axis === 'rows' ? weights : [ops.where(isBeyond, WEIGHT_UNIT, weights[0]), ops.where(isBeyond, 0, weights[1])];
  return {
    places: ops.cat([inBox(low), inBox(ops.add(low, 1))], { dim: 2 }),
    weights: ops.cat([lowWeight, highWeight], { dim: 2 }),
  };
}
