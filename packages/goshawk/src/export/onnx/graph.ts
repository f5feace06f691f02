// A graph that grows node by node. Every method adds what its name says and gives the value that comes out.
import { createHash } from 'node:crypto';
import { isHalved, toHalves } from './halves.js';
import {
  ONNX_TYPES,
  type OnnxAttribute,
  type OnnxModel,
  type OnnxNode,
  type OnnxPort,
  type OnnxTensor,
  type OnnxType,
} from './model-proto.js';

/** What flows along an edge of the graph. */
export interface Value {
  readonly name: string;
  readonly dtype: OnnxType;
}

/** A value, or a number that becomes a constant of the other operand's type. */
export type Operand = Value | number;

export type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** RoiAlign-16, LayerNormalization-17; runs on ONNX Runtime from 1.13 on. */
export const OPSET = 17;

export type WeightStorage = 'float32' | 'float16';

export class Graph {
  readonly #nodes: OnnxNode[] = [];
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #inputs: OnnxPort[] = [];
  readonly #outputs: OnnxPort[] = [];
  readonly #constants = new Map<string, Value>();
  /** How often each name was wanted. */
  readonly #names = new Map<string, number>();
  readonly #weights: WeightStorage;
  readonly #fewestHalved: number;

  /**
   * @param weights how large constants are stored; halves are cast back as the file is loaded
   * @param fewestHalved numbers of a constant from which on that holds
   */
  constructor(weights: WeightStorage = 'float32', fewestHalved = 0) {
    this.#weights = weights;
    this.#fewestHalved = fewestHalved;
  }

  input(name: string, dtype: OnnxType, shape: OnnxPort['shape']): Value {
    this.#inputs.push({ name, dtype, shape });
    return this.#named(name, dtype);
  }

  /** A number that whoever runs the graph may replace. */
  setting(name: string, dtype: 'float32' | 'int64', value: number): Value {
    const data = dtype === 'float32' ? Float32Array.of(value) : BigInt64Array.of(BigInt(value));
    this.#inputs.push({ name, dtype, shape: [1] });
    this.#initializers.set(name, { dtype, shape: [1], data: new Uint8Array(data.buffer) });
    return this.#named(name, dtype);
  }

  output(name: string, value: Value, shape: OnnxPort['shape']): void {
    this.#nodes.push({ operator: 'Identity', name, inputs: [value.name], outputs: [name], attributes: {} });
    this.#outputs.push({ name, dtype: value.dtype, shape });
  }

  /** Constants of equal contents are stored once. */
  floats(data: Float32Array, shape: readonly number[], name = 'constant'): Value {
    return this.#constant('float32', data, shape, name);
  }

  integers(values: readonly number[], shape: readonly number[] = [values.length]): Value {
    return this.#constant('int64', BigInt64Array.from(values, BigInt), shape, 'constant');
  }

  float(value: number): Value {
    return this.floats(Float32Array.of(value), []);
  }

  node(operator: string, inputs: readonly (Value | undefined)[], attributes: Attributes = {}, dtype?: OnnxType): Value {
    return this.nodes(operator, inputs, [dtype ?? inputs[0]!.dtype], attributes)[0]!;
  }

  /** A node of several outputs, of these types. */
  nodes(
    operator: string,
    inputs: readonly (Value | undefined)[],
    dtypes: readonly OnnxType[],
    attributes: Attributes = {},
  ): Value[] {
    const outputs = dtypes.map((dtype) => this.#named(operator, dtype));
    this.#nodes.push({
      operator,
      name: outputs[0]!.name,
      inputs: inputs.map((input) => input?.name ?? ''),
      outputs: outputs.map(({ name }) => name),
      attributes,
    });
    return outputs;
  }

  add = (a: Operand, b: Operand): Value => this.#pair('Add', a, b);
  sub = (a: Operand, b: Operand): Value => this.#pair('Sub', a, b);
  mul = (a: Operand, b: Operand): Value => this.#pair('Mul', a, b);
  /** Of integers: the quotient's whole part. */
  div = (a: Operand, b: Operand): Value => this.#pair('Div', a, b);
  min = (a: Operand, b: Operand): Value => this.#pair('Min', a, b);
  max = (a: Operand, b: Operand): Value => this.#pair('Max', a, b);
  greater = (a: Operand, b: Operand): Value => this.#pair('Greater', a, b, 'bool');
  atLeast = (a: Operand, b: Operand): Value => this.#pair('GreaterOrEqual', a, b, 'bool');
  less = (a: Operand, b: Operand): Value => this.#pair('Less', a, b, 'bool');
  equal = (a: Operand, b: Operand): Value => this.#pair('Equal', a, b, 'bool');
  and = (a: Value, b: Value): Value => this.node('And', [a, b]);

  where(condition: Value, a: Operand, b: Operand): Value {
    const [left, right] = this.#operands(a, b);
    return this.node('Where', [condition, left, right], {}, left.dtype);
  }

  cast(value: Value, dtype: OnnxType): Value {
    if (value.dtype === dtype) return value;
    return this.node('Cast', [value], { to: { int: ONNX_TYPES[dtype] } }, dtype);
  }

  /** @param axes copied (0), worked out (-1) or given */
  reshape(value: Value, axes: readonly number[] | Value): Value {
    const shape = 'name' in axes ? axes : this.integers(axes);
    return this.node('Reshape', [value, shape]);
  }

  unsqueeze(value: Value, ...axes: number[]): Value {
    return this.node('Unsqueeze', [value, this.integers(axes)]);
  }

  squeeze(value: Value, ...axes: number[]): Value {
    return this.node('Squeeze', [value, this.integers(axes)]);
  }

  transpose(value: Value, order: readonly number[]): Value {
    return this.node('Transpose', [value], { perm: { ints: order } });
  }

  concat(values: readonly Value[], axis: number): Value {
    return values.length === 1 ? values[0]! : this.node('Concat', values, { axis: { int: axis } });
  }

  /** `start` up to `end` of an axis; a large `end` is its length. */
  slice(value: Value, axis: number, start: number | Value, end: number | Value): Value {
    const bound = (at: number | Value): Value => (typeof at === 'number' ? this.integers([at]) : at);
    return this.node('Slice', [value, bound(start), bound(end), this.integers([axis])]);
  }

  /** One place of an axis, which goes. */
  select(value: Value, axis: number, index: number): Value {
    return this.node('Gather', [value, this.integers([index], [])], { axis: { int: axis } });
  }

  gather(value: Value, indices: Value, axis = 0): Value {
    return this.node('Gather', [value, indices], { axis: { int: axis } });
  }

  gatherElements(value: Value, indices: Value, axis: number): Value {
    return this.node('GatherElements', [value, indices], { axis: { int: axis } });
  }

  /** [K, axes of the leading ones] int64 places -> what stands there. */
  gatherAt(value: Value, places: Value): Value {
    return this.node('GatherND', [value, places]);
  }

  /** `value` with `updates` at [K, axes] places. */
  scatterAt(value: Value, places: Value, updates: Value): Value {
    return this.node('ScatterND', [value, places, updates]);
  }

  expand(value: Value, shape: Value): Value {
    return this.node('Expand', [value, shape]);
  }

  shape(value: Value): Value {
    return this.node('Shape', [value], {}, 'int64');
  }

  /** [1] int64 length of an axis. */
  length(value: Value, axis: number): Value {
    return this.node('Shape', [value], { start: { int: axis }, end: { int: axis + 1 } }, 'int64');
  }

  /** A tensor of this shape and one number. */
  full(shape: Value, value: number, dtype: 'float32' | 'int64' = 'float32'): Value {
    const scalar = dtype === 'float32' ? this.float(value) : this.integers([value], []);
    return this.expand(scalar, shape);
  }

  /** 0, 1, ... below `length` ([1] int64). */
  range(length: Value): Value {
    return this.node('Range', [this.integers([0], []), this.squeeze(length, 0), this.integers([1], [])]);
  }

  /** [K, rank] int64 places of what is true, in order. */
  places(flags: Value): Value {
    return this.transpose(this.node('NonZero', [flags], {}, 'int64'), [1, 0]);
  }

  /** The `count` ([1] int64) largest along an axis, largest first, of equal ones the first; at most as many as there are. */
  largest(value: Value, count: Operand, axis: number): { readonly values: Value; readonly places: Value } {
    const wanted = typeof count === 'number' ? this.integers([count]) : count;
    const bounded = this.min(wanted, this.length(value, axis));
    const attributes = { axis: { int: axis }, largest: { int: 1 }, sorted: { int: 1 } };
    const [values, places] = this.nodes('TopK', [value, bounded], [value.dtype, 'int64'], attributes);
    return { values: values!, places: places! };
  }

  clip(value: Value, low: Value | undefined, high: Value | undefined): Value {
    return this.node('Clip', [value, low, high]);
  }

  /**
   * The sigmoid of scores that decide about an order, spelled out in float32 as the engine computes it: ONNX Runtime's own is a polynomial
   * that does not always grow with its argument, and near 1 puts scores in one order that are equal, or in another, in the engine.
   */
  probability(logits: Value): Value {
    return this.div(1, this.add(this.node('Exp', [this.node('Neg', [logits])]), 1));
  }

  finish(about: Pick<OnnxModel, 'producer' | 'metadata'>): OnnxModel {
    return {
      ...about,
      opset: OPSET,
      inputs: this.#inputs,
      outputs: this.#outputs,
      ...this.#needed(),
    };
  }

  /** The nodes that an output depends on, and what they read. */
  #needed(): Pick<OnnxModel, 'nodes' | 'initializers'> {
    const read = new Set(this.#outputs.map(({ name }) => name));
    const nodes = this.#nodes.toReversed().filter(({ inputs, outputs }) => {
      const isNeeded = outputs.some((output) => read.has(output));
      if (isNeeded) for (const input of inputs) read.add(input);
      return isNeeded;
    });
    const settings = new Set(this.#inputs.map(({ name }) => name));
    const isRead = ([name]: readonly [string, OnnxTensor]): boolean => read.has(name) || settings.has(name);
    return { nodes: nodes.reverse(), initializers: new Map([...this.#initializers].filter(isRead)) };
  }

  #pair(operator: string, a: Operand, b: Operand, dtype?: OnnxType): Value {
    const [left, right] = this.#operands(a, b);
    return this.node(operator, [left, right], {}, dtype);
  }

  #operands(a: Operand, b: Operand): readonly [Value, Value] {
    const dtype = typeof a === 'number' ? (typeof b === 'number' ? 'float32' : b.dtype) : a.dtype;
    const asValue = (operand: Operand): Value => {
      if (typeof operand !== 'number') return operand;
      return dtype === 'int64' ? this.integers([operand], []) : this.float(operand);
    };
    return [asValue(a), asValue(b)];
  }

  #constant(dtype: OnnxType, data: Float32Array | BigInt64Array, shape: readonly number[], name: string): Value {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype} ${shape.join()} ${createHash('sha256').update(bytes).digest('hex')}`;
    const known = this.#constants.get(key);
    if (known) return known;
    const value = this.#named(name, dtype);
    if (data instanceof Float32Array && this.#weights === 'float16' && isHalved(shape, this.#fewestHalved)) {
      const stored = this.#named(name, 'float16');
      this.#initializers.set(stored.name, {
        dtype: 'float16',
        shape,
        data: new Uint8Array(toHalves(data).buffer),
      });
      this.#nodes.push({
        operator: 'Cast',
        name: value.name,
        inputs: [stored.name],
        outputs: [value.name],
        attributes: { to: { int: ONNX_TYPES.float32 } },
      });
    } else this.#initializers.set(value.name, { dtype, shape, data: bytes });
    this.#constants.set(key, value);
    return value;
  }

  #named(wanted: string, dtype: OnnxType): Value {
    let count = this.#names.get(wanted) ?? 0;
    let name = count === 0 ? wanted : `${wanted}_${count + 1}`;
    while (this.#names.has(name)) name = `${wanted}_${++count + 1}`;
    this.#names.set(wanted, count + 1);
    if (name !== wanted) this.#names.set(name, 1);
    return { name, dtype };
  }
}
