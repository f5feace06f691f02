// Other element types, devices and layouts.
import { ensureDevice } from './device.js';
import { callTensorOp } from './dispatch.js';
import type { DType } from './dtype.js';
import type { Device, MemoryFormat, Tensor } from './tensor.js';

/** What to convert to; a dtype alone, or any of the three. */
export type ConversionTarget = DType | { dtype?: DType; device?: Device; memoryFormat?: MemoryFormat };

/** The same elements with another dtype or on another device; `tensor` itself where nothing changes. */
export function convert(tensor: Tensor, target: ConversionTarget): Tensor {
  const { dtype, device, memoryFormat } = typeof target === 'string' ? { dtype: target } : target;
  if (device) ensureDevice(device);
  return callTensorOp(
    'aten::to.dtype_layout',
    tensor,
    dtype ?? tensor.dtype,
    undefined,
    device ?? tensor.device,
    undefined,
    false,
    false,
    memoryFormat,
  );
}
