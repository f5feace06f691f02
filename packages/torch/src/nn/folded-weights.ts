// What is made of a convolution and the norm behind it, kept from one call to the next (see conv-norm.ts and constant-conv.ts).
import { noGrad } from '../tensor/autograd.js';
import { keep, scope } from '../tensor/scope.js';
import type { Tensor } from '../tensor/tensor.js';
import type { Layer, Module } from './module.js';
import type { StateTensor } from './parameter.js';

/** The forms in which a pair is kept, each with its tensors. */
export interface KeptForms {
  /** One convolution in the place of both. */
  readonly folded: { readonly weight: Tensor; readonly bias: Tensor };
  /** The norm as a factor and an offset a channel. */
  readonly factors: { readonly scale: Tensor; readonly shift: Tensor };
  /** The same, with the convolution's weight in the type that autocasting computes in. */
  readonly 'cast weight and factors': { readonly weight: Tensor; readonly scale: Tensor; readonly shift: Tensor };
  /** The folded weight as winogradKernels() makes it. */
  readonly winograd: { readonly kernels: Tensor; readonly bias: Tensor | undefined };
  /** The folded weight in oneDNN's order of elements, in the type that is computed in. */
  readonly reordered: { readonly weight: Tensor; readonly bias: Tensor | undefined };
}

interface Kept {
  readonly tensors: KeptForms[keyof KeptForms];
  readonly versions: readonly number[];
  readonly dtype: string | undefined;
}

/**
 * By convolution, norm and form: heads that share a convolution among levels have a norm for each level, and take large and small
 * levels by different kernels.
 */
const kept = new WeakMap<Layer, Map<Layer, Map<keyof KeptForms, Kept>>>();

/** Convolutions whose first run may be the last. */
const perhapsOnce = new WeakSet<Module>();

/**
 * Says that the modules of `model` may run a single time: nothing is kept of their first run, whose memory the layers behind take
 * again. A second run makes it anew and keeps it.
 */
export function keepFromSecondRun(model: Module): void {
  for (const module of model.modules()) perhapsOnce.add(module);
}

/** Says that a convolution will run again whatever was said of its model. */
export function keepFromFirstRun(conv: Layer): void {
  perhapsOnce.delete(conv);
}

/**
 * What `make` gives, without gradients; made once, and again when one of the sources has changed or another type is asked for, which
 * frees what was kept. What is not kept (`keepFromSecondRun`) belongs to the caller's scope.
 * @param norm the convolution itself where it stands alone
 * @param dtype what is computed in
 */
export function keptWhileUnchanged<F extends keyof KeptForms>(
  [conv, norm]: readonly [conv: Layer, norm: Layer],
  form: F,
  sources: readonly StateTensor[],
  dtype: string | undefined,
  make: () => KeptForms[F],
): KeptForms[F] {
  if (perhapsOnce.delete(conv)) return noGrad(() => scope(make));
  const versions = sources.map((tensor) => tensor.version);
  const ofConv = kept.get(conv) ?? new Map<Layer, Map<keyof KeptForms, Kept>>();
  const forms = ofConv.get(norm) ?? new Map<keyof KeptForms, Kept>();
  const before = forms.get(form);
  if (before && before.dtype === dtype && versions.every((v, i) => v === before.versions[i]))
    return before.tensors as KeptForms[F];
  // What else was made of the sources as they were, or in another type, is not asked for again.
  for (const [other, each] of forms) {
    if (other !== form && each.dtype === dtype && versions.every((v, i) => v === each.versions[i])) continue;
    free(each);
    forms.delete(other);
  }
  const tensors = noGrad(() => scope(() => keep(make())));
  kept.set(conv, ofConv.set(norm, forms.set(form, { tensors, versions, dtype })));
  return tensors;
}

/** Forgets what is kept for a convolution and frees its memory. */
export function dropFolded(conv: Layer): void {
  for (const forms of kept.get(conv)?.values() ?? []) for (const each of forms.values()) free(each);
  kept.delete(conv);
}

function free({ tensors }: Kept): void {
  for (const tensor of Object.values(tensors)) (tensor as Tensor | undefined)?.dispose();
}
