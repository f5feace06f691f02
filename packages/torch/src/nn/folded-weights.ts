// What is made of a convolution and the norm behind it, kept from one call to the next (see conv-norm.ts).
import { noGrad } from '../tensor/autograd.js';
import { keep } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Layer } from './module.js';
import type { StateTensor } from './parameter.js';

/** The forms in which a pair is kept, each with its tensors. */
export interface KeptForms {
  /** One convolution in the place of both. */
  readonly folded: { readonly weight: Tensor; readonly bias: Tensor };
  /** The norm as a factor and an offset a channel. */
  readonly factors: { readonly scale: Tensor; readonly shift: Tensor };
  /** The same, with the convolution's weight in the type that autocasting computes in. */
  readonly 'cast weight and factors': { readonly weight: Tensor; readonly scale: Tensor; readonly shift: Tensor };
}

interface Kept {
  readonly form: keyof KeptForms;
  readonly tensors: KeptForms[keyof KeptForms];
  readonly versions: readonly number[];
  readonly dtype: string | undefined;
}

/** By convolution and norm: heads that share a convolution among levels have a norm for each level. */
const kept = new WeakMap<Layer, Map<Layer, Kept>>();

/**
 * What `make` gives, without gradients; made once, and again when one of the sources has changed, or another form or type is
 * asked for, which frees what was kept.
 * @param dtype what autocasting computes in
 */
export function keptWhileUnchanged<F extends keyof KeptForms>(
  [conv, norm]: readonly [conv: Layer, norm: Layer],
  form: F,
  sources: readonly StateTensor[],
  dtype: string | undefined,
  make: () => KeptForms[F],
): KeptForms[F] {
  const versions = sources.map((tensor) => tensor.version);
  const ofConv = kept.get(conv) ?? new Map<Layer, Kept>();
  const before = ofConv.get(norm);
  if (before?.form === form && before.dtype === dtype && versions.every((v, i) => v === before.versions[i]))
    return before.tensors as KeptForms[F];
  const tensors = noGrad(() => keep(make()));
  if (before) free(before);
  kept.set(conv, ofConv.set(norm, { form, tensors, versions, dtype }));
  return tensors;
}

/** Forgets what is kept for a convolution and frees its memory. */
export function dropFolded(conv: Layer): void {
  for (const each of kept.get(conv)?.values() ?? []) free(each);
  kept.delete(conv);
}

function free({ tensors }: Kept): void {
  for (const tensor of Object.values(tensors)) (tensor as Tensor).dispose();
}
