// Weights of convolutions with the norm behind them folded in, kept from one call to the next (see conv-norm.ts).
import type { Tensor } from '../tensor/tensor.js';
import type { Layer } from './module.js';

export interface Folded {
  readonly weight: Tensor;
  readonly bias: Tensor;
}

/** A folding with what it was made from: the versions of its sources, and the type that autocasting asked for. */
export interface KeptFolding extends Folded {
  readonly versions: readonly number[];
  readonly dtype: string | undefined;
}

/** By convolution and norm: heads that share a convolution among levels have a norm for each level. */
const kept = new WeakMap<Layer, Map<Layer, KeptFolding>>();

export function keptFolding(conv: Layer, norm: Layer): KeptFolding | undefined {
  return kept.get(conv)?.get(norm);
}

/** Keeps a folding in the place of the one before, whose memory is freed. */
export function keepFolding(conv: Layer, norm: Layer, folding: KeptFolding): void {
  const ofConv = kept.get(conv) ?? new Map<Layer, KeptFolding>();
  free(ofConv.get(norm));
  kept.set(conv, ofConv.set(norm, folding));
}

/** Forgets what is kept for a convolution and frees its memory. */
export function dropFolded(conv: Layer): void {
  for (const folding of kept.get(conv)?.values() ?? []) free(folding);
  kept.delete(conv);
}

function free(folding: Folded | undefined): void {
  folding?.weight.dispose();
  folding?.bias.dispose();
}
