// Masks inside boxes, resized as OpenCV's bilinear resize does it with bytes of 0 and 1. Its fixed-point arithmetic, which cuts
// off what is behind two bits (resize.cpp, VResizeLinear), decides the cells that are about half covered.

/**
 * @param boxes P x 4 xyxy in the masks' pixels, cut to whole ones; the last belongs to the box
 * @param objects P rows of `crops`
 * @param pixels all masks' cut-outs one after another, rows first
 * @param crops G x 5: offset into pixels, x, y, width, height; outside of its cut-out a mask is 0
 * @returns P x M x M values 0 and 1
 */
export function resizeMasksInside(
  boxes: Float32Array,
  objects: readonly number[],
  pixels: Uint8Array,
  crops: readonly number[],
  resolution: number,
): Float32Array {
  const goals = new Float32Array(objects.length * resolution * resolution);
  objects.forEach((object, index) => {
    const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = boxes.subarray(index * 4, index * 4 + 4).map(Math.trunc);
    const [offset = 0, left = 0, top = 0, width = 0, height = 0] = crops.slice(object * 5, object * 5 + 5);
    const at = (x: number, y: number): number => {
      const column = x1 + x - left;
      const row = y1 + y - top;
      const isInside = column >= 0 && row >= 0 && column < width && row < height;
      return isInside ? pixels[offset + row * width + column]! : 0;
    };
    const columns = taps(Math.max(x2 - x1 + 1, 1), resolution, 'columns');
    const rows = taps(Math.max(y2 - y1 + 1, 1), resolution, 'rows');
    rows.forEach((row, y) => {
      columns.forEach((column, x) => {
        const above = at(column.low, row.low) * column.lowWeight + at(column.high, row.low) * column.highWeight;
        const below = at(column.low, row.high) * column.lowWeight + at(column.high, row.high) * column.highWeight;
        const quarters = ((row.lowWeight * (above >> 4)) >> 16) + ((row.highWeight * (below >> 4)) >> 16);
        goals[(index * resolution + y) * resolution + x] = (quarters + 2) >> 2;
      });
    });
  });
  return goals;
}

interface Tap {
  readonly low: number;
  readonly high: number;
  /** In 1 / 2048. */
  readonly lowWeight: number;
  readonly highWeight: number;
}

export const WEIGHT_UNIT = 2048;

/** What each of `resolution` outputs reads of `length` pixels; pixel centres lie at halves. */
function taps(length: number, resolution: number, axis: 'columns' | 'rows'): Tap[] {
  const last = length - 1;
  return Array.from({ length: resolution }, (_, index) => {
    const place = Math.fround((index + 0.5) * (length / resolution) - 0.5);
    const low = Math.floor(place);
    const share = Math.fround(place - low);
    // Beyond the border a column reads one pixel, a row the same one twice, each share rounded by itself.
    const isBeyond = axis === 'columns' && (low < 0 || low >= last);
    return {
      low: Math.min(Math.max(low, 0), last),
      high: Math.min(Math.max(low + 1, 0), last),
      lowWeight: isBeyond ? WEIGHT_UNIT : fixedPoint(Math.fround(1 - share)),
      highWeight: isBeyond ? 0 : fixedPoint(share),
    };
  });
}

/** In 1 / 2048, halves to even. */
function fixedPoint(share: number): number {
  const scaled = share * WEIGHT_UNIT;
  const floor = Math.floor(scaled);
  return scaled - floor === 0.5 ? floor + (floor & 1) : Math.round(scaled);
}
