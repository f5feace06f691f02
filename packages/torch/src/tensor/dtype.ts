// Element types and their names in the engine, in safetensors files and in PyTorch's storages.

/** Element type of a tensor, named as in PyTorch. */
export type DType =
  | 'float32'
  | 'float64'
  | 'float16'
  | 'bfloat16'
  | 'int64'
  | 'int32'
  | 'int16'
  | 'int8'
  | 'uint8'
  | 'bool';

interface DTypeNames {
  readonly itemSize: number;
  /** Name in a safetensors header. */
  readonly safetensors: string;
  /** Class name of the typed storage in a PyTorch pickle, `torch.<name>`. */
  readonly storage: string;
}

const names: Readonly<Record<DType, DTypeNames>> = {
  float32: { itemSize: 4, safetensors: 'F32', storage: 'FloatStorage' },
  float64: { itemSize: 8, safetensors: 'F64', storage: 'DoubleStorage' },
  float16: { itemSize: 2, safetensors: 'F16', storage: 'HalfStorage' },
  bfloat16: { itemSize: 2, safetensors: 'BF16', storage: 'BFloat16Storage' },
  int64: { itemSize: 8, safetensors: 'I64', storage: 'LongStorage' },
  int32: { itemSize: 4, safetensors: 'I32', storage: 'IntStorage' },
  int16: { itemSize: 2, safetensors: 'I16', storage: 'ShortStorage' },
  int8: { itemSize: 1, safetensors: 'I8', storage: 'CharStorage' },
  uint8: { itemSize: 1, safetensors: 'U8', storage: 'ByteStorage' },
  bool: { itemSize: 1, safetensors: 'BOOL', storage: 'BoolStorage' },
};

/** All element types. */
export const dtypes: readonly DType[] = [
  'float32',
  'float64',
  'float16',
  'bfloat16',
  'int64',
  'int32',
  'int16',
  'int8',
  'uint8',
  'bool',
];

const bySafetensorsName: ReadonlyMap<string, DType> = new Map(dtypes.map((dtype) => [names[dtype].safetensors, dtype]));
const byStorageName: ReadonlyMap<string, DType> = new Map(dtypes.map((dtype) => [names[dtype].storage, dtype]));

/** Bytes of one element. */
export function itemSize(dtype: DType): number {
  return names[dtype].itemSize;
}

/** Whether the name is that of an element type, such as `float32`. */
export function isDType(name: string): name is DType {
  return Object.hasOwn(names, name);
}

/** Name in a safetensors header, such as `F32`. */
export function safetensorsName(dtype: DType): string {
  return names[dtype].safetensors;
}

/** The element type that a safetensors header names, `undefined` for one that is not supported. */
export function dtypeOfSafetensorsName(name: string): DType | undefined {
  return bySafetensorsName.get(name);
}

/** Class name of the typed storage in a PyTorch pickle, such as `FloatStorage` (of module `torch`). */
export function storageName(dtype: DType): string {
  return names[dtype].storage;
}

/** The element type of PyTorch's typed storage class, `undefined` for one that is not supported. */
export function dtypeOfStorageName(name: string): DType | undefined {
  return byStorageName.get(name);
}
