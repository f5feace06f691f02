// An ONNX model as plain data, and as the bytes of a file. Numbers of fields and types are those of onnx.proto (github.com/onnx/onnx,
// onnx/onnx.proto, IR version 8).
import { MessageWriter } from './protobuf.js';

/** Element types by their numbers in TensorProto.DataType. */
export const ONNX_TYPES = { float32: 1, uint8: 2, int8: 3, int32: 6, int64: 7, bool: 9, float16: 10 } as const;

export type OnnxType = keyof typeof ONNX_TYPES;

export interface OnnxTensor {
  readonly dtype: OnnxType;
  readonly shape: readonly number[];
  /** Little-endian elements, last axis fastest. */
  readonly data: Uint8Array;
}

export type OnnxAttribute =
  | { readonly int: number }
  | { readonly float: number }
  | { readonly ints: readonly number[] }
  | { readonly text: string };

export interface OnnxNode {
  readonly operator: string;
  readonly name: string;
  /** Names of values; '' where an optional one is absent. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A named value that enters or leaves the graph; an axis without a fixed length has a name. */
export interface OnnxPort {
  readonly name: string;
  readonly dtype: OnnxType;
  readonly shape: readonly (number | string)[];
}

export interface OnnxModel {
  readonly opset: number;
  readonly producer: string;
  readonly inputs: readonly OnnxPort[];
  readonly outputs: readonly OnnxPort[];
  readonly nodes: readonly OnnxNode[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  readonly metadata: Readonly<Record<string, string>>;
}

// The first that knows opset 17 (onnx 1.12).
const IR_VERSION = 8;
/** A message of protocol buffers ends below two gibibytes. */
export const LARGEST_FILE = 2 ** 31 - 1;

/** @throws RangeError where the file would be larger than the format allows */
export function encodeModel(model: OnnxModel): Uint8Array {
  const file = new MessageWriter()
    .integer(1, IR_VERSION)
    .string(2, model.producer)
    .message(7, graphOf(model))
    .message(8, new MessageWriter().string(1, '').integer(2, model.opset));
  for (const [key, value] of Object.entries(model.metadata))
    file.message(14, new MessageWriter().string(1, key).string(2, value));
  if (file.length > LARGEST_FILE)
    throw new RangeError(`an ONNX file of ${file.length} bytes: the format ends at ${LARGEST_FILE}`);
  return file.finish();
}

function graphOf({ nodes, initializers, inputs, outputs }: OnnxModel): MessageWriter {
  const graph = new MessageWriter();
  for (const node of nodes) graph.message(1, nodeOf(node));
  graph.string(2, 'detector');
  for (const [name, tensor] of initializers) graph.message(5, tensorOf(name, tensor));
  for (const port of inputs) graph.message(11, portOf(port));
  for (const port of outputs) graph.message(12, portOf(port));
  return graph;
}

function nodeOf({ operator, name, inputs, outputs, attributes }: OnnxNode): MessageWriter {
  const node = new MessageWriter();
  for (const input of inputs) node.string(1, input);
  for (const output of outputs) node.string(2, output);
  node.string(3, name).string(4, operator);
  for (const [key, value] of Object.entries(attributes)) node.message(5, attributeOf(key, value));
  return node;
}

/** Attribute types by their numbers in AttributeProto.AttributeType. */
const FLOAT = 1;
const INT = 2;
const STRING = 3;
const INTS = 7;

function attributeOf(name: string, value: OnnxAttribute): MessageWriter {
  const attribute = new MessageWriter().string(1, name);
  if ('float' in value) return attribute.float(2, value.float).integer(20, FLOAT);
  if ('int' in value) return attribute.integer(3, value.int).integer(20, INT);
  if ('text' in value) return attribute.string(4, value.text).integer(20, STRING);
  for (const item of value.ints) attribute.integer(8, item);
  return attribute.integer(20, INTS);
}

function tensorOf(name: string, { dtype, shape, data }: OnnxTensor): MessageWriter {
  const tensor = new MessageWriter();
  for (const length of shape) tensor.integer(1, length);
  return tensor.integer(2, ONNX_TYPES[dtype]).string(8, name).bytes(9, data);
}

function portOf({ name, dtype, shape }: OnnxPort): MessageWriter {
  const axes = new MessageWriter();
  for (const length of shape) {
    const axis = new MessageWriter();
    axes.message(1, typeof length === 'number' ? axis.integer(1, length) : axis.string(2, length));
  }
  const tensor = new MessageWriter().integer(1, ONNX_TYPES[dtype]).message(2, axes);
  return new MessageWriter().string(1, name).message(2, new MessageWriter().message(1, tensor));
}
