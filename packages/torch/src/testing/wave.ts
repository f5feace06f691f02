// Tensors of plain numbers that another program can make too.
import { tensor } from '../tensor/create.js';
import type { Tensor } from '../tensor/tensor.js';

/** float64 with the elements sin(0.7 i + phase), i in C order: what the fixtures' make.py calls wave(). */
export function wave(shape: readonly number[], phase: number): Tensor {
  const count = shape.reduce((product, side) => product * side, 1);
  const values = Float64Array.from({ length: count }, (_, i) => Math.sin(i * 0.7 + phase));
  return tensor(values, { shape });
}
