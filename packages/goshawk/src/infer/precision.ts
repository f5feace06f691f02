// What `train.precision` means: the type of weights and pictures, and the arithmetic of the network.
import { InputError } from '@goshawk/core';
import { autocast, canAutocast, type Device, engineInfo, type Module } from '@goshawk/torch';
import type { Precision } from '../config/index.js';
import type { ImageBatch } from '../models/index.js';

const AUTOCAST = { bf16: 'bfloat16', fp16: 'float16' } as const;

/** Of parameters and buffers. */
export function parameterDtype(precision: Precision): 'float32' | 'float64' {
  return precision === 'fp64' ? 'float64' : 'float32';
}

/** The pictures in the type of the model's parameters, in which it computes then. */
export function inDtypeOf(model: Module, images: ImageBatch): ImageBatch {
  for (const [, { dtype }] of model.namedParameters()) {
    if (dtype === images.pixels.dtype) break;
    return { ...images, pixels: images.pixels.to(dtype) };
  }
  return images;
}

/** Runs the network part of a step in the config's precision; weights and losses are not changed by it. */
export function inPrecision<T>(precision: Precision, device: Device | undefined, body: () => T): T {
  return precision === 'fp32' || precision === 'fp64' ? body() : autocast(AUTOCAST[precision], body, { device });
}

/** @throws InputError where the engine has no such arithmetic on the device */
export function requirePrecision(precision: Precision, device: Device = 'cpu'): void {
  if (precision === 'fp32' || precision === 'fp64' || canAutocast(AUTOCAST[precision], device)) return;
  throw new InputError(
    'config-invalid',
    `train.precision: ${precision} on the CPU needs libtorch 2.4 or newer, this is ${engineInfo().version}: set it to bf16, or runtime.device to cuda`,
  );
}
