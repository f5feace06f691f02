// What is used of ONNX Runtime: onnxruntime-node and onnxruntime-web both fit, and whoever calls brings the one that fits the place.

export interface OnnxTensor {
  /** A typed array; int64 as bigint. */
  readonly data: unknown;
  readonly dims: readonly number[];
}

export interface OnnxSession {
  readonly inputNames: readonly string[];
  run(feeds: Readonly<Record<string, OnnxTensor>>): Promise<Readonly<Record<string, OnnxTensor>>>;
  release(): Promise<void>;
}

export interface OnnxRuntime {
  readonly InferenceSession: {
    create(model: Uint8Array, options?: Readonly<Record<string, unknown>>): Promise<OnnxSession>;
  };
  readonly Tensor: new (type: 'float32', data: Float32Array, dims: readonly number[]) => OnnxTensor;
}

/** With which every session is made. */
export const SESSION_OPTIONS = {
  // The limits are inputs with defaults on purpose; a warning for each helps nobody.
  logSeverityLevel: 3,
} as const;

/** Numbers of a tensor of float32 or int64. */
export function numbersOf(tensor: OnnxTensor): number[] {
  return Array.from(tensor.data as ArrayLike<number | bigint>, Number);
}

export function floatsOf(tensor: OnnxTensor): Float32Array {
  return tensor.data as Float32Array;
}
