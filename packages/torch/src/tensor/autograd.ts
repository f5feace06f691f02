// Gradients of several tensors at once, and parts of a program that need none.

import { track } from './lifetime.js';
import { native } from './native.js';
import { scope } from './scope.js';
import { Tensor } from './tensor.js';

/** Runs `body` in a scope of its own without recording operators for backward(). */
export function noGrad<T>(body: () => T): T {
  return withGradMode(false, body);
}

/** Runs `body` in a scope of its own recording operators, inside a noGrad() too. */
export function enableGrad<T>(body: () => T): T {
  return withGradMode(true, body);
}

export function isGradEnabled(): boolean {
  return native.isGradEnabled();
}

/** backward() of several tensors in one pass. */
export function backward(
  tensors: readonly Tensor[],
  options: { gradients?: readonly Tensor[]; retainGraph?: boolean } = {},
): void {
  native.backward(
    tensors.map((tensor) => tensor.id),
    options.gradients?.map((tensor) => tensor.id),
    options.retainGraph ?? false,
    false,
  );
}

/** The gradients of `outputs` with respect to `inputs`, without touching any `grad`; undefined where unconnected. */
export function grad(
  outputs: readonly Tensor[],
  inputs: readonly Tensor[],
  options: { gradients?: readonly Tensor[]; retainGraph?: boolean; createGraph?: boolean; allowUnused?: boolean } = {},
): (Tensor | undefined)[] {
  const { createGraph = false, retainGraph = createGraph, allowUnused = false } = options;
  const ids = native.grad(
    outputs.map((tensor) => tensor.id),
    inputs.map((tensor) => tensor.id),
    options.gradients?.map((tensor) => tensor.id),
    retainGraph,
    createGraph,
    allowUnused,
  );
  return ids.map((id) => (id === null ? undefined : track(new Tensor(id))));
}

function withGradMode<T>(enabled: boolean, body: () => T): T {
  const before = native.setGradEnabled(enabled);
  try {
    return scope(body);
  } finally {
    native.setGradEnabled(before);
    // Weights that autocasting cast in here hang on no graph: found again outside, they would get no gradient.
    if (before && !enabled) native.clearAutocastCache();
  }
}
