// Masks inside boxes, resized as OpenCV's bilinear resize does it with bytes of 0 and 1.

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
    const columns = taps(Math.max(x2 - x1 + 1, 1), resolution);
    const rows = taps(Math.max(y2 - y1 + 1, 1), resolution);
    rows.forEach((row, y) => {
      columns.forEach((column, x) => {
        const above = at(column.low, row.low) * (1 - column.share) + at(column.high, row.low) * column.share;
        const below = at(column.low, row.high) * (1 - column.share) + at(column.high, row.high) * column.share;
        // A byte: half and more rounds up.
        const value = above * (1 - row.share) + below * row.share;
        goals[(index * resolution + y) * resolution + x] = value >= 0.5 ? 1 : 0;
      });
    });
  });
  return goals;
}

interface Tap {
  readonly low: number;
  readonly high: number;
  /** Of the high one; OpenCV keeps it in steps of 1 / 2048. */
  readonly share: number;
}

/** What each of `resolution` outputs reads of `length` pixels; pixel centres lie at halves. */
function taps(length: number, resolution: number): Tap[] {
  return Array.from({ length: resolution }, (_, index) => {
    const place = (index + 0.5) * (length / resolution) - 0.5;
    const low = Math.floor(place);
    const share = Math.round((place - low) * 2048) / 2048;
    if (low < 0) return { low: 0, high: 0, share: 0 };
    if (low >= length - 1) return { low: length - 1, high: length - 1, share: 0 };
    return { low, high: low + 1, share };
  });
}
