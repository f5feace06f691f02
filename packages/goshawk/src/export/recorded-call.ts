// What is known of a call of an operator that becomes nodes of a graph.
import type { OpArgument } from '@goshawk/torch';
import type { Value } from './onnx/graph.js';

/** A call that depends on the inputs. */
export interface SeenCall {
  readonly name: string;
  readonly args: readonly OpArgument[];
  /** Shapes of the tensors that come out. */
  readonly shapes: readonly (readonly number[])[];
  /** And of those that go in, by place; lists of tensors one after another. */
  readonly inputShapes: readonly (readonly number[])[];
}

/** Length of an axis in the two runs. */
export type AxisPair = readonly [number, number];

/** A call, with what stands for its tensors and what is open. */
export interface RecordedCall extends SeenCall {
  /** The same call's on the other size. */
  readonly otherArgs: readonly OpArgument[];
  /** Of the tensors among the arguments, lists one after another. */
  readonly inputs: readonly Value[];
  /** Lengths in both runs of the inputs' axes, and of the results'. */
  readonly axes: readonly (readonly AxisPair[])[];
  readonly resultAxes: readonly (readonly AxisPair[])[];
  /** [1] int64: some value's axis that is as long in both runs. */
  readonly lengthOf: (pair: AxisPair) => Value | undefined;
  /** [2] int64: the sides of some map that has these in both runs. */
  readonly areaOf: (sides: readonly [AxisPair, AxisPair]) => Value | undefined;
}
