// From a module's forward() to nodes of a graph: it runs twice, on examples of two sizes, while every call of an operator is looked
// at. What differs between the two runs depends on the size and stays open; all else is a constant. So there is one description of
// every layer, the one that trains.
import {
  allowWinograd,
  interceptOperators,
  noGrad,
  type OpArgument,
  type OpResult,
  ops,
  scope,
  Tensor,
} from '@goshawk/torch';
import type { Graph, Value } from './onnx/graph.js';
import type { AxisPair, RecordedCall, SeenCall } from './recorded-call.js';
import { translate } from './translate-operators.js';
import { WrittenParts } from './written-parts.js';

/** What a part of the network is shown: tensors of two sizes, in all but the axes that stay open the same. */
export type Examples = readonly [small: readonly Tensor[], large: readonly Tensor[]];

/**
 * The nodes of `body`, which must call the same operators whatever the size and read no values.
 * @param inputs what stands for the examples' tensors in the graph
 * @param names of tensors, for the file's reader
 */
export function recordNetwork(
  graph: Graph,
  inputs: readonly Value[],
  names: ReadonlyMap<Tensor, string>,
  examples: () => Examples,
  body: (inputs: readonly Tensor[]) => readonly Tensor[],
): Value[] {
  return noGrad(() =>
    scope(() => {
      const [small, large] = examples();
      const first = new Trace();
      first.run(small, body);
      const second = new Trace(first, { graph, inputs, names });
      return second.run(large, body);
    }),
  );
}

interface Recording {
  readonly graph: Graph;
  readonly inputs: readonly Value[];
  readonly names: ReadonlyMap<Tensor, string>;
}

class Trace {
  readonly calls: SeenCall[] = [];
  readonly #other: Trace | undefined;
  readonly #recording: Recording | undefined;
  /** What depends on the inputs; in the first run their nodes do not matter. */
  readonly #values = new Map<Tensor, Value | undefined>();
  readonly #constants = new Map<Tensor, Value>();
  /** Values with their axes, for lengths that are another value's. */
  readonly #known: { readonly value: Value; readonly axes: readonly AxisPair[] }[] = [];

  readonly #parts = new WrittenParts();
  /** Of the inputs. */
  #shapes: readonly (readonly number[])[] = [];

  /** @param other the first run, for the second */
  constructor(other?: Trace, recording?: Recording) {
    this.#other = other;
    this.#recording = recording;
  }

  run(inputs: readonly Tensor[], body: (inputs: readonly Tensor[]) => readonly Tensor[]): Value[] {
    // The engine's own convolution by whatever kernel is one node.
    const isAllowed = allowWinograd(false);
    try {
      this.#shapes = inputs.map((tensor) => tensor.shape);
      inputs.forEach((tensor, i) => {
        const value = this.#recording?.inputs[i];
        this.#values.set(tensor, value);
        if (value) this.#known.push({ value, axes: pairs([tensor.shape], [this.#other!.#shapes[i]!])[0]! });
      });
      const outputs = interceptOperators(
        (name, args, proceed) => this.#see(name, args, proceed),
        () => body(inputs),
      );
      return this.#recording ? outputs.map((tensor) => this.#valueOf(tensor)) : [];
    } finally {
      allowWinograd(isAllowed);
    }
  }

  #see(name: string, args: readonly OpArgument[], proceed: (args: readonly OpArgument[]) => OpResult): OpResult {
    const tensors = args.flat().filter((arg) => arg instanceof Tensor);
    // What depends on weights alone is a constant.
    if (!tensors.some((tensor) => this.#values.has(tensor)) && !COUNTING.test(name)) return proceed(args);
    const inputShapes = tensors.map((tensor) => [...tensor.shape]);
    const result = proceed(args);
    const results = (Array.isArray(result) ? result : [result]).filter((each) => each instanceof Tensor);
    const call = { name, args, shapes: results.map((each) => [...each.shape]), inputShapes };
    const number = this.calls.push(call) - 1;
    if (!this.#recording) {
      for (const each of results) this.#values.set(each, undefined);
    } else this.#record(call, this.#other!.calls[number], tensors, results);
    this.#follow(name, args, results);
    return result;
  }

  /** Keeps track of tensors that share memory. */
  #follow(name: string, args: readonly OpArgument[], results: readonly Tensor[]): void {
    const [first, second] = args;
    const [result] = results;
    if (!(first instanceof Tensor) || !result) return;
    const isSource = this.#recording !== undefined;
    if (name === 'aten::narrow') {
      const [axis, start, length] = args.slice(1).map(Number) as [number, number, number];
      const stretch = { of: first, axis: axis < 0 ? axis + first.rank : axis, start, length };
      const current = isSource ? this.#parts.read(this.#recording!.graph, stretch) : undefined;
      if (current) this.#values.set(result, current);
      this.#parts.see(result, stretch);
    } else if (name === 'aten::copy_' && second instanceof Tensor && this.#parts.isView(first)) {
      if (isSource) this.#parts.write(first, this.#valueOf(second), (whole) => this.#valueOf(whole));
    } else if (isInPlace(name)) {
      if (this.#parts.isView(first)) throw new Error(`internal: ${name} over a part of a tensor cannot be exported`);
      // Operators that write give what they wrote over another handle.
      this.#values.set(first, this.#values.get(result));
    }
  }

  #record(call: SeenCall, other: SeenCall | undefined, tensors: readonly Tensor[], results: readonly Tensor[]): void {
    if (!other || other.shapes.length !== call.shapes.length)
      throw new Error(
        `internal: ${call.name}: a network that calls other operators for other sizes cannot be exported`,
      );
    const { graph } = this.#recording!;
    const axes = pairs(call.inputShapes, other.inputShapes);
    // A constant of another shape would be one that the size made.
    const isFixed = (tensor: Tensor, i: number): boolean =>
      this.#values.has(tensor) || axes[i]!.every(([small, large]) => small === large);
    if (!tensors.every(isFixed))
      throw new Error(`internal: ${call.name}: a tensor that the size makes cannot be exported`);
    const recorded: RecordedCall = {
      ...call,
      otherArgs: other.args,
      inputs: tensors.map((tensor) => this.#valueOf(tensor)),
      axes,
      resultAxes: pairs(call.shapes, other.shapes),
      lengthOf: (pair) => this.#lengthOf(pair),
      areaOf: (sides) => this.#areaOf(sides),
    };
    const values = translate(graph, recorded);
    results.forEach((tensor, i) => {
      this.#values.set(tensor, values[i]);
      this.#known.push({ value: values[i]!, axes: recorded.resultAxes[i]! });
    });
  }

  #valueOf(tensor: Tensor): Value {
    const { graph, names } = this.#recording!;
    const written = this.#parts.settle(graph, tensor);
    if (written) this.#values.set(tensor, written);
    const known = this.#values.get(tensor) ?? this.#constants.get(tensor);
    if (known) return known;
    const plain = ops.reshape(tensor, [...tensor.shape]);
    const data =
      plain.dtype === 'int64'
        ? graph.integers(plain.toNumbers(), tensor.shape)
        : graph.floats(plain.toFloat32Array(), tensor.shape, names.get(tensor));
    this.#constants.set(tensor, data);
    return data;
  }

  /** [1] int64: an axis of some value that is as long in both runs. */
  #lengthOf([small, large]: AxisPair): Value | undefined {
    if (small === large) return undefined;
    for (const { value, axes } of this.#known) {
      const axis = axes.findIndex((pair) => pair[0] === small && pair[1] === large);
      if (axis >= 0) return this.#recording!.graph.length(value, axis);
    }
    return undefined;
  }

  /** [2] int64: the last two axes of a map with these. */
  #areaOf(sides: readonly [AxisPair, AxisPair]): Value | undefined {
    const found = this.#known.find(
      ({ axes }) =>
        axes.length === 4 && sides.every((side, i) => axes[i + 2]![0] === side[0] && axes[i + 2]![1] === side[1]),
    );
    return found && this.#recording!.graph.slice(this.#recording!.graph.shape(found.value), 0, 2, 4);
  }
}

/** What makes a tensor of nothing but its length. */
const COUNTING = /^aten::(arange|linspace)/;

/** `relu_`, `add_.Tensor`: aten's names of what writes over its first argument. */
function isInPlace(name: string): boolean {
  return /_(\.\w+)?$/.test(name);
}

function pairs(own: readonly (readonly number[])[], other: readonly (readonly number[])[]): AxisPair[][] {
  return own.map((shape, i) => shape.map((length, axis) => [other[i]![axis]!, length] as const));
}
