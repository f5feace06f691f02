// Random tensors for the cases of kernels.
import { createRandom, type Random } from '@goshawk/core';
import { type DType, type Tensor, tensor } from '@goshawk/torch';

/** Random tensors of a case. */
export class Draw {
  readonly #random: Random;

  constructor(seed: number) {
    this.#random = createRandom(seed, 9);
  }

  number(low: number, high: number): number {
    return low + (high - low) * this.#random.uniform();
  }

  integer(below: number): number {
    return this.#random.integer(below);
  }

  /** Uniform within low..high. */
  values(shape: readonly number[], { low = -1, high = 1, dtype = 'float32' as DType } = {}): Tensor {
    const count = shape.reduce((product, side) => product * side, 1);
    const data = Float32Array.from({ length: count }, () => this.number(low, high));
    return tensor(data, { shape }).to({ dtype });
  }

  integers(shape: readonly number[], below: number, from = 0): Tensor {
    const count = shape.reduce((product, side) => product * side, 1);
    return tensor(
      BigInt64Array.from({ length: count }, () => BigInt(from + this.integer(below))),
      { shape },
    );
  }

  /** [count, 4] xyxy inside a picture; whole numbers where `whole`, which makes ties. */
  boxes(count: number, { size = 200, least = 4, most = 80, whole = false, dtype = 'float32' as DType } = {}): Tensor {
    const round = (value: number): number => (whole ? Math.round(value) : value);
    const rows = Array.from({ length: count }, () => {
      const [width, height] = [this.number(least, most), this.number(least, most)];
      const [x, y] = [this.number(0, size - width), this.number(0, size - height)];
      return [x, y, x + width, y + height].map(round);
    });
    return tensor(Float32Array.from(rows.flat()), { shape: [count, 4] }).to({ dtype });
  }

  /** [count, 5] batch index and box. */
  rois(count: number, images: number, options: { size?: number; dtype?: DType } = {}): Tensor {
    const boxes = this.boxes(count, options).to({ dtype: 'float32' }).toNumbers();
    const rows = Array.from({ length: count }, (_, i) => [i % images, ...boxes.slice(4 * i, 4 * i + 4)]);
    return tensor(Float32Array.from(rows.flat()), { shape: [count, 5] }).to({ dtype: options.dtype ?? 'float32' });
  }
}
