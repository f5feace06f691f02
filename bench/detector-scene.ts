// The scenes that both sides of the detector benchmarks learn from: random pixels, boxes and boxed masks by one rule.
import { createRandom, type RgbImage } from '@goshawk/core';

const OBJECTS = 7;

export interface Scene {
  readonly image: RgbImage;
  /** [OBJECTS * 4] xyxy pixels. */
  readonly boxes: Float32Array;
  /** [OBJECTS], 1..90. */
  readonly labels: BigInt64Array;
  readonly masks: Uint8Array;
  /** [OBJECTS * 5]: offset into masks, x, y, width, height. */
  readonly crops: BigInt64Array;
}

export function benchScene(height: number, width: number, index: number): Scene {
  const random = createRandom(0, index);
  const data = Uint8Array.from({ length: height * width * 3 }, () => random.integer(256));
  const boxes = new Float32Array(OBJECTS * 4);
  const labels = new BigInt64Array(OBJECTS);
  const crops = new BigInt64Array(OBJECTS * 5);
  let offset = 0;
  for (let i = 0; i < OBJECTS; i++) {
    const side = 40 + 30 * i;
    const x = (37 * (i + 1) * (index + 1)) % (width - side);
    const y = (53 * (i + 2) * (index + 1)) % (height - side);
    boxes.set([x, y, x + side, y + side], i * 4);
    labels[i] = BigInt(1 + ((i * 11) % 90));
    crops.set([offset, x, y, side, side].map(BigInt), i * 5);
    offset += side * side;
  }
  return { image: { data, width, height }, boxes, labels, masks: new Uint8Array(offset).fill(1), crops };
}
