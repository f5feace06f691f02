// How far the weights are apart that two trainings ended with.
import { openSafetensors } from '../checkpoint/index.js';

export interface WeightsApart {
  /** The largest difference within a tensor, as a share of the tensor's own largest value. */
  readonly share: number;
  /** The tensor that it stands in; undefined where all are equal. */
  readonly tensor: string | undefined;
}

/** Compares all float32 and float64 tensors of two safetensors files. @throws Error where they do not have the same tensors */
export function weightsApart(path: string, reference: string): WeightsApart {
  const [file, other] = [openSafetensors(path), openSafetensors(reference)];
  try {
    if (file.names.join() !== other.names.join()) throw new Error(`${path} and ${reference} hold other tensors`);
    let apart: WeightsApart = { share: 0, tensor: undefined };
    for (const name of file.names) {
      const [values, wanted] = [floatsOf(file.read(name)), floatsOf(other.read(name))];
      if (values === undefined || wanted === undefined) continue;
      const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
      const difference = values.reduce((most, value, i) => Math.max(most, Math.abs(value - wanted[i]!)), 0);
      const share = difference === 0 ? 0 : difference / largest;
      if (!(share <= apart.share)) apart = { share, tensor: name };
    }
    return apart;
  } finally {
    file.close();
    other.close();
  }
}

function floatsOf({ dtype, data }: { readonly dtype: string; readonly data: Uint8Array }): Float64Array | undefined {
  if (dtype === 'float32') return Float64Array.from(new Float32Array(data.slice().buffer));
  return dtype === 'float64' ? new Float64Array(data.slice().buffer) : undefined;
}
