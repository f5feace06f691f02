// Mixed precision: the engine casts what matrix products and convolutions read, and leaves sums and losses in float32.
import { ensureDevice } from '../tensor/device.js';
import { native } from '../tensor/native.js';
import { scope } from '../tensor/scope.js';
import type { Device } from '../tensor/tensor.js';

/** Half types that autocast() computes in. float16 needs a GradScaler in training, and on the CPU libtorch 2.4 or newer. */
export type AutocastDType = 'bfloat16' | 'float16';

const current: { cpu: AutocastDType | undefined; cuda: AutocastDType | undefined } = {
  cpu: undefined,
  cuda: undefined,
};

/**
 * Runs `body`, in a scope of its own, with autocasting to `dtype` on a kind of device (default 'cpu'); undefined turns it
 * off inside another autocast(). Calls nest. backward() belongs outside: it follows the forward pass's types by itself.
 */
export function autocast<T>(
  dtype: AutocastDType | undefined,
  body: () => T,
  { device = 'cpu' }: { device?: Device } = {},
): T {
  ensureDevice(device);
  const type = device.startsWith('cuda') ? 'cuda' : 'cpu';
  const before = current[type];
  switchTo(type, dtype);
  try {
    return scope(body);
  } finally {
    switchTo(type, before);
  }
}

/** Whether this libtorch autocasts to `dtype` on the kind of device: to float16 on the CPU from 2.4 on. */
export function canAutocast(dtype: AutocastDType, device: Device = 'cpu'): boolean {
  if (dtype === 'bfloat16' || device.startsWith('cuda')) return true;
  const [major = 0, minor = 0] = native.version().split('.').map(Number);
  return major > 2 || (major === 2 && minor >= 4);
}

/** What autocasting computes in here, on the kind of device; undefined when it is off. */
export function autocastDType(device: Device = 'cpu'): AutocastDType | undefined {
  return current[device.startsWith('cuda') ? 'cuda' : 'cpu'];
}

function switchTo(type: 'cpu' | 'cuda', dtype: AutocastDType | undefined): void {
  native.setAutocast(type, dtype);
  // The engine keeps cast weights by tensor alone: another dtype must not find them, nor a later step that changed them.
  native.clearAutocastCache();
  current[type] = dtype;
}
