// From SOLO's cells to the detections of one image: points NMS, masks, rescoring, Matrix NMS.
import { ops, scope, type Tensor, zeros } from '@goshawk/torch';
import { bestOf } from '../best-of.js';
import type { Detections, HeightWidth } from '../structures.js';
import { type MatrixNmsOptions, matrixNmsFactors } from './matrix-nms.js';

export interface SelectMasksOptions {
  readonly scoreThreshold: number;
  readonly maskThreshold: number;
  readonly preNmsTopN: number;
  readonly nms: MatrixNmsOptions['kind'];
  readonly nmsSigma: number;
  readonly minScore: number;
  readonly maxDetections: number;
}

/** The masks that an image's cells would have. */
export interface MaskSource {
  /** Of the masks, in cells of `stride` network pixels a side. */
  readonly size: HeightWidth;
  readonly stride: number;
  /** [n] int64 cells of all levels -> [n, P] float32 probabilities. */
  masksOf(cells: Tensor): Tensor;
}

/** Masks at a time: a model that knows nothing yet may want all 4000 of an image, which no memory has to hold. */
const MASKS_AT_A_TIME = 512;

/**
 * Probabilities of the classes of [N, C, S, S] logits, where none of the neighbours left, above and left above is likelier; 0
 * elsewhere: of the cells around one object the likeliest stay (points NMS).
 * @returns [N, S * S, C] float32
 */
export function cellScores(logits: Tensor): Tensor {
  return scope(() => {
    const scores = ops.sigmoid(logits.to('float32'));
    const [images = 0, classes = 0, rows = 0, columns = 0] = scores.shape;
    // The pool's windows that end at each cell; one row and column more lie behind the map.
    const pooled = ops.max_pool2d(scores, [2, 2], { stride: [1, 1], padding: [1, 1] });
    const best = ops.narrow(ops.narrow(pooled, 2, 0, rows), 3, 0, columns);
    const peaks = ops.mul(scores, ops.eq(best, scores));
    return ops.reshape(ops.permute(peaks, [0, 2, 3, 1]), [images, rows * columns, classes]);
  });
}

/**
 * @param scores [cells, C] of {@link cellScores}, the levels one after another
 * @param strides [cells] float32: a mask of no more cells than its level's stride is none
 */
export function selectMasks(
  scores: Tensor,
  strides: Tensor,
  source: MaskSource,
  options: SelectMasksOptions,
): Detections {
  const { scoreThreshold, maskThreshold, preNmsTopN, minScore, maxDetections } = options;
  return scope(() => {
    const hopeful = ops.gt(ops.amax(scores, { dim: 1 }), scoreThreshold);
    const cells = ops.reshape(ops.nonzero(hopeful), [-1]);
    if (cells.length === 0) return nothing(source, scores);
    const { masks, areas, certainty } = measureMasks(cells, source, maskThreshold);
    const own = ops.index_select(scores, 0, cells);
    const isMask = ops.unsqueeze(ops.gt(areas, ops.index_select(strides, 0, cells)), 1);
    const isCandidate = ops.logical_and(ops.gt(own, scoreThreshold), isMask);
    const rescored = ops.where(isCandidate, ops.mul(own, ops.unsqueeze(certainty, 1)), -Infinity);
    const classes = scores.size(1);
    const limit = Math.min(preNmsTopN, rescored.length);
    const [top, places] = bestOf(ops.reshape(rescored, [-1]), limit);
    const candidates = ops.sum(ops.gt(top, -Infinity).to('int64')).item();
    if (candidates === 0) return nothing(source, scores);
    const best = ops.narrow(places, 0, 0, candidates);
    const rows = ops.floor_divide(best, classes);
    const labels = ops.add(ops.remainder(best, classes), 1);
    const soft = masks ? ops.index_select(masks, 0, rows) : source.masksOf(ops.index_select(cells, 0, rows));
    const binary = ops.gt(soft, maskThreshold).to('float32');
    const factors = matrixNmsFactors(binary, labels, { kind: options.nms, sigma: options.nmsSigma });
    const lowered = ops.mul(ops.narrow(top, 0, 0, candidates), factors);
    const good = ops.where(ops.ge(lowered, minScore), lowered, -Infinity);
    const [final, order] = bestOf(good, Math.min(maxDetections, candidates));
    const count = ops.sum(ops.gt(final, -Infinity).to('int64')).item();
    const kept = ops.narrow(order, 0, 0, count);
    const [height, width] = source.size;
    const probabilities = ops.view(ops.index_select(soft, 0, kept), [count, height, width]);
    return {
      pixels: 'network',
      boxes: boxesAround(ops.view(ops.index_select(binary, 0, kept), [count, height, width]), source.stride),
      scores: ops.narrow(final, 0, 0, count),
      labels: ops.index_select(labels, 0, kept),
      wholeMasks: { probabilities, stride: source.stride },
    };
  });
}

interface MeasuredMasks {
  /** [n, P]; absent where they are too many to be held at once. */
  readonly masks?: Tensor;
  /** [n] float32: cells above the threshold. */
  readonly areas: Tensor;
  /** [n] their mean probability; of no meaning without any. */
  readonly certainty: Tensor;
}

function measureMasks(cells: Tensor, source: MaskSource, threshold: number): MeasuredMasks {
  const measure = (masks: Tensor): Omit<MeasuredMasks, 'masks'> =>
    scope(() => {
      const inside = ops.gt(masks, threshold);
      const areas = ops.sum(inside, [1]).to('float32');
      return { areas, certainty: ops.div(ops.sum(ops.mul(masks, inside), [1]), areas) };
    });
  if (cells.length <= MASKS_AT_A_TIME) {
    const masks = source.masksOf(cells);
    return { masks, ...measure(masks) };
  }
  const parts = ops.split(cells, MASKS_AT_A_TIME).map((part) => scope(() => measure(source.masksOf(part))));
  return { areas: ops.cat(parts.map((part) => part.areas)), certainty: ops.cat(parts.map((part) => part.certainty)) };
}

function nothing({ size: [height, width], stride }: MaskSource, like: Tensor): Detections {
  const { device } = like;
  return {
    pixels: 'network',
    boxes: zeros([0, 4], { device }),
    scores: zeros([0], { device }),
    labels: zeros([0], { dtype: 'int64', device }),
    wholeMasks: { probabilities: zeros([0, height, width], { device }), stride },
  };
}

/** [D, 4] xyxy in network pixels around [D, h, w] masks of 0 and 1; an empty mask gives zeros. */
function boxesAround(masks: Tensor, stride: number): Tensor {
  const extent = (dim: 1 | 2): readonly [first: Tensor, end: Tensor] => {
    const any = ops.amax(masks, { dim });
    const cells = any.size(1);
    const first = ops.argmax(any, { dim: 1 });
    const last = ops.argmax(ops.flip(any, [1]), { dim: 1 });
    const isAny = ops.amax(any, { dim: 1 });
    return [first, ops.mul(ops.rsub(last, cells), isAny)];
  };
  if (masks.size(0) === 0) return zeros([0, 4], { device: masks.device });
  const [x1, x2] = extent(1);
  const [y1, y2] = extent(2);
  return ops.mul(
    ops.stack(
      [x1, y1, x2, y2].map((side) => side.to('float32')),
      { dim: 1 },
    ),
    stride,
  );
}
