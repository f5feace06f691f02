// A graph of floats as one of bytes, in the form that runtimes fuse (QuantizeLinear and DequantizeLinear around an operator, "QDQ"):
// weights as int8 with a scale a channel, activations as uint8 with ranges that were measured. Krishnamoorthi 2018, "Quantizing deep
// convolutional networks for efficient inference", has the arithmetic; onnxruntime.ai/docs/performance/model-optimizations the form.
import type { OnnxAttribute, OnnxModel, OnnxNode, OnnxTensor } from './model-proto.js';

/** What a value lies between in the pictures that a graph was measured with. */
export interface ValueRange {
  readonly low: number;
  readonly high: number;
}

/** Layers of fewer weights are not worth the rounding. */
const FEWEST_WEIGHTS = 1024;

/** Through these a layer's output is still what the next layer reads; behind others it is boxes, scores and places. */
const TRANSPARENT: ReadonlySet<string> = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Relu', 'Sigmoid', 'HardSwish', 'HardSigmoid', 'Clip', 'Softmax', 'Sqrt'],
  ...['MaxPool', 'AveragePool', 'GlobalAveragePool', 'Resize', 'Concat', 'Split', 'Slice', 'ReduceMean'],
  ...['Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Identity', 'MatMul', 'RoiAlign'],
  ...['InstanceNormalization', 'BatchNormalization', 'LayerNormalization', 'Conv', 'ConvTranspose'],
]);

/** These move values and change none: what leaves has the steps of what enters. */
const MOVING: ReadonlySet<string> = new Set(['MaxPool', 'Resize']);

interface Layer {
  readonly node: OnnxNode;
  /** [outputs, ...] of a convolution, [inputs, outputs] of a product. */
  readonly weight: OnnxTensor;
  readonly axis: 0 | 1;
}

/** What of a graph becomes bytes. */
export interface QuantizationPlan {
  readonly layers: ReadonlyMap<OnnxNode, Layer>;
  /** Values that are rounded, with the value whose range is theirs. */
  readonly rounded: ReadonlyMap<string, string>;
  /** ReLUs that rounding does: the lowest byte is 0. By the name of what enters. */
  readonly folded: ReadonlyMap<string, OnnxNode>;
}

/**
 * Convolutions and linear layers, but those that read the picture and those whose outputs are read as they are: logits, offsets, masks.
 * Sums of rounded values are rounded too, so that a backbone stays in bytes from its first stage to its last.
 */
export function planQuantization(model: OnnxModel): QuantizationPlan {
  const graph = new Wiring(model);
  const layers = new Map<OnnxNode, Layer>();
  for (const node of model.nodes) {
    const layer = layerOf(graph, node);
    if (layer && isLarge(layer.weight) && !graph.readsPicture(node) && graph.leadsToLayer(node))
      layers.set(node, layer);
  }
  const rounded = new Map<string, string>();
  const folded = new Map<string, OnnxNode>();
  /** The value behind a ReLU, where that is the only one that reads this one. */
  const settled = (value: string): string => {
    const [relu, ...others] = graph.readers(value);
    if (relu?.operator !== 'Relu' || others.length > 0 || graph.isOutput(value)) return value;
    folded.set(value, relu);
    return relu.outputs[0]!;
  };
  for (const { node } of layers.values()) {
    const input = node.inputs[0]!;
    if (!rounded.has(input)) rounded.set(input, input);
    if (node.operator !== 'Conv') continue;
    const output = settled(node.outputs[0]!);
    rounded.set(output, output);
  }
  for (const node of model.nodes) {
    const [output] = node.outputs as [string];
    if (node.operator === 'Add' && node.inputs.every((input) => rounded.has(input))) {
      const sum = settled(output);
      rounded.set(sum, sum);
    } else if (MOVING.has(node.operator) && rounded.has(node.inputs[0]!) && isNearest(node)) {
      rounded.set(output, rounded.get(node.inputs[0]!)!);
    }
  }
  return { layers, rounded, folded };
}

function isNearest({ attributes: { mode } }: OnnxNode): boolean {
  return mode === undefined || ('text' in mode && mode.text === 'nearest');
}

/** The graph with two outputs more for each value that is rounded: its least and its largest number. */
export function withRanges(model: OnnxModel, { rounded }: QuantizationPlan): OnnxModel {
  const measured = [...new Set(rounded.values())];
  const ends = measured.flatMap((value) => [
    { operator: 'ReduceMin', name: lowestOf(value), value },
    { operator: 'ReduceMax', name: highestOf(value), value },
  ]);
  const nodes = ends.map(({ operator, name, value }) => ({
    operator,
    name,
    inputs: [value],
    outputs: [name],
    attributes: { keepdims: { int: 0 } },
  }));
  const outputs = ends.map(({ name }) => ({ name, dtype: 'float32' as const, shape: [] }));
  return { ...model, nodes: [...model.nodes, ...nodes], outputs: [...model.outputs, ...outputs] };
}

export const lowestOf = (value: string): string => `${value} lowest`;
export const highestOf = (value: string): string => `${value} highest`;

/** @param ranges of every value that others have the range of */
export function quantize(
  model: OnnxModel,
  { layers, rounded, folded }: QuantizationPlan,
  ranges: ReadonlyMap<string, ValueRange>,
): OnnxModel {
  const initializers = new Map(model.initializers);
  const nodes: OnnxNode[] = [];
  const reluOutputs = new Map([...folded].map(([value, relu]) => [value, relu.outputs[0]!]));
  const relus = new Set(folded.values());
  const steps = new Map([...ranges].map(([value, range]) => [value, stepsOf(range)] as const));
  for (const [value, { scale, zero }] of steps) {
    initializers.set(`${value} scale`, floats([scale], []));
    initializers.set(`${value} zero`, { dtype: 'uint8', shape: [], data: Uint8Array.of(zero) });
  }
  const add = (operator: string, inputs: readonly string[], output: string, axis?: number): void => {
    const attributes: Record<string, OnnxAttribute> = axis === undefined ? {} : { axis: { int: axis } };
    nodes.push({ operator, name: output, inputs, outputs: [output], attributes });
  };
  const round = (value: string): void => {
    const own = rounded.get(value);
    if (own === undefined) return;
    add('QuantizeLinear', [value, `${own} scale`, `${own} zero`], `${value} bytes`);
    add('DequantizeLinear', [`${value} bytes`, `${own} scale`, `${own} zero`], `${value} rounded`);
  };
  for (const input of model.inputs) round(input.name);
  for (const node of model.nodes) {
    if (relus.has(node)) continue;
    const inputs = node.inputs.map((input) => (rounded.has(input) ? `${input} rounded` : input));
    const layer = layers.get(node);
    if (layer) {
      const [, weightName] = node.inputs as [string, string];
      const { bytes, scales } = channelBytes(layer);
      const count = scales.length;
      initializers.set(`${weightName} bytes`, bytes);
      initializers.set(`${weightName} scales`, floats(scales, [count]));
      initializers.set(`zeros of ${count}`, { dtype: 'int8', shape: [count], data: new Uint8Array(count) });
      const weight = `${weightName} for ${node.name}`;
      add('DequantizeLinear', [`${weightName} bytes`, `${weightName} scales`, `zeros of ${count}`], weight, layer.axis);
      inputs[1] = weight;
      if (node.inputs[2]) {
        // Sums of products of bytes: the bias counts in their steps.
        const { scale } = steps.get(rounded.get(node.inputs[0]!)!)!;
        const own = scales.map((each) => each * scale);
        const bias = floatsIn(initializers.get(node.inputs[2])!).map((value, i) => value / own[i]!);
        initializers.set(`${node.name} bias`, { dtype: 'int32', shape: [count], data: wholes(bias) });
        initializers.set(`${node.name} bias scales`, floats(own, [count]));
        add('DequantizeLinear', [`${node.name} bias`, `${node.name} bias scales`], `${node.name} bias rounded`, 0);
        inputs[2] = `${node.name} bias rounded`;
      }
    }
    const outputs = node.outputs.map((output) => reluOutputs.get(output) ?? output);
    nodes.push({ ...node, inputs, outputs });
    for (const output of outputs) round(output);
  }
  return needed({ ...model, nodes, initializers });
}

/** Steps of uint8; 0 has one exactly, as padding must. */
function stepsOf({ low, high }: ValueRange): { readonly scale: number; readonly zero: number } {
  const [from, to] = [Math.min(low, 0), Math.max(high, 0)];
  const scale = Math.fround(to > from ? (to - from) / 255 : 1);
  return { scale, zero: Math.min(255, Math.max(0, Math.round(-from / scale))) };
}

/**
 * Of weights, of 127 that a byte holds. x86 processors without VNNI add the products of two neighbours in 16 bits and cut the sum off
 * there: 2 x 255 x 64 fits. So a file gives the same numbers wherever it runs.
 */
const LARGEST_BYTE = 64;

/** Symmetric, so that a product needs no correction. */
function channelBytes({ weight, axis }: Layer): { readonly bytes: OnnxTensor; readonly scales: number[] } {
  const values = floatsIn(weight);
  const count = weight.shape[axis]!;
  const inner = axis === 0 ? values.length / count : 1;
  const channelOf = (place: number): number => Math.floor(place / inner) % count;
  const largest = new Float64Array(count);
  values.forEach((value, i) => {
    const channel = channelOf(i);
    largest[channel] = Math.max(largest[channel]!, Math.abs(value));
  });
  const scales = Array.from(largest, (each) => Math.fround(each > 0 ? each / LARGEST_BYTE : 1));
  const data = Int8Array.from(values, (value, i) => {
    return Math.max(-LARGEST_BYTE, Math.min(LARGEST_BYTE, Math.round(value / scales[channelOf(i)]!)));
  });
  return { bytes: { dtype: 'int8', shape: weight.shape, data: new Uint8Array(data.buffer) }, scales };
}

function layerOf(graph: Wiring, node: OnnxNode): Layer | undefined {
  const [, name] = node.inputs;
  if (name === undefined) return undefined;
  const own = graph.constant(name);
  if (node.operator === 'Conv') return own && { node, weight: own, axis: 0 };
  if (node.operator !== 'MatMul') return undefined;
  const turned = graph.producer(name);
  const source = turned?.operator === 'Transpose' ? graph.constant(turned.inputs[0]!) : undefined;
  const weight = source ? transposed(source) : own;
  return weight?.shape.length === 2 ? { node, weight, axis: 1 } : undefined;
}

function isLarge({ shape }: OnnxTensor): boolean {
  return shape.reduce((product, length) => product * length, 1) >= FEWEST_WEIGHTS;
}

function transposed(tensor: OnnxTensor): OnnxTensor {
  const [rows = 0, columns = 0] = tensor.shape;
  const values = floatsIn(tensor);
  const turned = Float32Array.from(values, (_, i) => values[(i % rows) * columns + Math.floor(i / rows)]!);
  return { dtype: 'float32', shape: [columns, rows], data: new Uint8Array(turned.buffer) };
}

/** Who makes and who reads each value. */
class Wiring {
  readonly #model: OnnxModel;
  readonly #producers = new Map<string, OnnxNode>();
  readonly #readers = new Map<string, OnnxNode[]>();
  readonly #leads = new Map<OnnxNode, boolean>();

  constructor(model: OnnxModel) {
    this.#model = model;
    for (const node of model.nodes) {
      for (const output of node.outputs) this.#producers.set(output, node);
      for (const input of node.inputs) this.#readers.set(input, [...(this.#readers.get(input) ?? []), node]);
    }
  }

  constant(name: string): OnnxTensor | undefined {
    return this.#model.initializers.get(name);
  }

  producer(name: string): OnnxNode | undefined {
    return this.#producers.get(name);
  }

  readers(name: string): readonly OnnxNode[] {
    return this.#readers.get(name) ?? [];
  }

  isOutput(name: string): boolean {
    return this.#model.outputs.some((port) => port.name === name);
  }

  readsPicture({ inputs: [input] }: OnnxNode): boolean {
    const producer = this.#producers.get(input!);
    return producer === undefined || (producer.operator === 'Transpose' && !this.#producers.has(producer.inputs[0]!));
  }

  /** Whether a layer reads what a node gives. */
  leadsToLayer(node: OnnxNode): boolean {
    const known = this.#leads.get(node);
    if (known !== undefined) return known;
    const leads = node.outputs.some((output) =>
      this.readers(output).some((reader) => {
        // Of boxes no feature is left in what RoIAlign reads with them.
        if (!TRANSPARENT.has(reader.operator) || (reader.operator === 'RoiAlign' && reader.inputs[0] !== output))
          return false;
        return this.#isLayer(reader) || this.leadsToLayer(reader);
      }),
    );
    this.#leads.set(node, leads);
    return leads;
  }

  #isLayer(node: OnnxNode): boolean {
    return node.operator === 'ConvTranspose' || layerOf(this, node) !== undefined;
  }
}

function floatsIn({ data }: OnnxTensor): Float32Array {
  return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
}

function floats(values: readonly number[], shape: readonly number[]): OnnxTensor {
  return { dtype: 'float32', shape, data: new Uint8Array(Float32Array.from(values).buffer) };
}

function wholes(values: Float32Array): Uint8Array {
  const most = 2 ** 31 - 1;
  const rounded = Int32Array.from(values, (value) => Math.max(-most, Math.min(most, Math.round(value))));
  return new Uint8Array(rounded.buffer);
}

/** Without what nothing reads any more. */
function needed(model: OnnxModel): OnnxModel {
  const read = new Set([...model.outputs, ...model.inputs].map(({ name }) => name));
  const nodes = model.nodes.toReversed().filter(({ inputs, outputs }) => {
    const isNeeded = outputs.some((output) => read.has(output));
    if (isNeeded) for (const input of inputs) read.add(input);
    return isNeeded;
  });
  const initializers = new Map([...model.initializers].filter(([name]) => read.has(name)));
  return { ...model, nodes: nodes.reverse(), initializers };
}
