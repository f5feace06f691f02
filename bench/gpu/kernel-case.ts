// What a kernel is tried on: inputs made on the CPU, from which the same is computed there and on the card.
import { callOp, type DType, type OpArgument, type Tensor } from '@goshawk/torch';
import type { Draw } from './kernel-draw.js';

export interface KernelCase {
  readonly name: string;
  /** On the CPU. */
  readonly inputs: (random: Draw) => Tensor[];
  /** Of the inputs, wherever they lie. */
  readonly compute: (...inputs: Tensor[]) => Tensor[];
  /** Inputs to which the first result's gradient is compared too. */
  readonly differentiate?: readonly number[];
  /** Whether their memory format is the engine's affair. */
  readonly anyGradientLayout?: boolean;
  /** Instead of what a result's dtype allows: for all that are no integers, or by dtype. */
  readonly tolerance?: number | Partial<Record<DType, number>>;
}

/** A call of one operator by name; all of its results. */
export function run(name: string, ...args: OpArgument[]): Tensor[] {
  const result = callOp(`goshawk::${name}`, ...args);
  return (Array.isArray(result) ? result : [result]).flat() as Tensor[];
}

export const FLOATS: readonly DType[] = ['float32', 'float16', 'bfloat16', 'float64'];
export const LAYOUTS = ['contiguous_format', 'channels_last'] as const;
