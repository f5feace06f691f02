// Polygons drawn inside boxes: the training masks of Detectron and maskrcnn-benchmark.
import { decodeMask, polygonsToRle } from '@goshawk/core';
import { overlapOf } from './box-overlap.js';

/**
 * P x M x M values 0 and 1, rows first.
 * @param boxes P x 4 xyxy in the polygons' pixels
 * @param own P numbers of objects. Absent: those whose outlines overlap the boxes most
 */
export function maskPolygons(
  boxes: Float32Array,
  objects: readonly (readonly Float64Array[])[],
  resolution: number,
  own: readonly number[] = mostOverlapped(boxes, objects),
): Float32Array {
  const cells = resolution * resolution;
  const goals = new Float32Array((boxes.length / 4) * cells);
  for (let box = 0; box < boxes.length / 4; box++) {
    const polygons = objects[own[box]!];
    if (polygons?.length)
      goals.set(drawInside(polygons, boxes.subarray(box * 4, box * 4 + 4), resolution), box * cells);
  }
  return goals;
}

function mostOverlapped(boxes: Float32Array, objects: readonly (readonly Float64Array[])[]): number[] {
  const outlines = new Float32Array(objects.flatMap(boundingBox));
  return Array.from({ length: boxes.length / 4 }, (_, box) => {
    let best = 0;
    let bestOverlap = -1;
    for (let object = 0; object < objects.length; object++) {
      const overlap = overlapOf(boxes, box, outlines, object, 'inclusive');
      if (overlap > bestOverlap) [best, bestOverlap] = [object, overlap];
    }
    return best;
  });
}

/** M x M pixels, rows first. */
function drawInside(polygons: readonly Float64Array[], box: Float32Array, resolution: number): Uint8Array {
  const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = box;
  // Not one pixel more: polygons are continuous even where boxes include their last pixel.
  const width = Math.max(x2 - x1, 1);
  const height = Math.max(y2 - y1, 1);
  const moved = polygons.map((polygon) =>
    Array.from(polygon, (value, i) =>
      i % 2 === 0 ? ((value - x1) * resolution) / width : ((value - y1) * resolution) / height,
    ),
  );
  return decodeMask(polygonsToRle(moved, [resolution, resolution]));
}

function boundingBox(polygons: readonly Float64Array[]): number[] {
  const box = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY];
  for (const polygon of polygons) {
    polygon.forEach((value, i) => {
      box[i % 2] = Math.min(box[i % 2]!, value);
      box[2 + (i % 2)] = Math.max(box[2 + (i % 2)]!, value);
    });
  }
  return box;
}
