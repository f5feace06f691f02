// From heatmaps to keypoints (Detectron's heatmaps_to_keypoints): each is enlarged to its box, and its maximum is the place.

/**
 * [K * 4] of each keypoint: x, y, the enlarged heatmap's logit there, and its share of the softmax over all places.
 * @param heatmaps [K * side * side] logits of one object, rows first
 * @param box x1, y1, x2, y2; the keypoints come in the same pixels
 * @param minSize heatmaps are enlarged to at least this many pixels a side
 */
export function decodeHeatmaps(
  heatmaps: Float32Array,
  side: number,
  box: ArrayLike<number>,
  minSize = 0,
): Float32Array {
  const [x1, y1] = [box[0]!, box[1]!];
  // In float32, as the originals measure: what is a whole number there must not become one pixel more here.
  const width = Math.max(Math.fround(box[2]! - x1), 1);
  const height = Math.max(Math.fround(box[3]! - y1), 1);
  const columns = Math.max(Math.ceil(width), Math.ceil(minSize));
  const rows = Math.max(Math.ceil(height), Math.ceil(minSize));
  const [across, down] = [bicubicTaps(columns, side), bicubicTaps(rows, side)];
  const count = heatmaps.length / (side * side);
  const keypoints = new Float32Array(count * 4);
  // Rows of the map enlarged across.
  const wide = new Float32Array(side * columns);
  for (let point = 0; point < count; point++) {
    const map = heatmaps.subarray(point * side * side, (point + 1) * side * side);
    for (let row = 0; row < side; row++)
      for (let column = 0; column < columns; column++) {
        let sum = 0;
        for (let tap = column * 4; tap < column * 4 + 4; tap++)
          sum += map[row * side + across.places[tap]!]! * across.weights[tap]!;
        wide[row * columns + column] = sum;
      }
    let [best, at, total] = [-Infinity, 0, 0];
    for (let row = 0; row < rows; row++)
      for (let column = 0; column < columns; column++) {
        let value = 0;
        for (let tap = row * 4; tap < row * 4 + 4; tap++)
          value += wide[down.places[tap]! * columns + column]! * down.weights[tap]!;
        value = Math.fround(value);
        // The sum of exponentials is kept relative to the best so far.
        if (value > best) {
          total = total * Math.exp(best - value) + 1;
          [best, at] = [value, row * columns + column];
        } else total += Math.exp(value - best);
      }
    const x = ((at % columns) + 0.5) * (width / columns) + x1;
    const y = (Math.floor(at / columns) + 0.5) * (height / rows) + y1;
    keypoints.set([x, y, best, 1 / total], point * 4);
  }
  return keypoints;
}

// OpenCV's and PyTorch's.
const A = -0.75;

/** For each place of an enlarged axis its four cells, borders repeated, and their weights; centres at halves. */
function bicubicTaps(length: number, side: number): { readonly places: Int32Array; readonly weights: Float64Array } {
  const places = new Int32Array(length * 4);
  const weights = new Float64Array(length * 4);
  for (let at = 0; at < length; at++) {
    const source = (side / length) * (at + 0.5) - 0.5;
    const low = Math.floor(source);
    const share = source - low;
    for (let tap = 0; tap < 4; tap++) {
      places[at * 4 + tap] = Math.min(Math.max(low - 1 + tap, 0), side - 1);
      weights[at * 4 + tap] = cubic(Math.abs(share + 1 - tap));
    }
  }
  return { places, weights };
}

/** Keys' cubic convolution at a distance of 0 to 2. */
function cubic(x: number): number {
  return x <= 1 ? ((A + 2) * x - (A + 3)) * x * x + 1 : ((A * x - 5 * A) * x + 8 * A) * x - 4 * A;
}
