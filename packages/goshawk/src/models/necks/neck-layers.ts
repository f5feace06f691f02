// Convolutions of necks.
import { BatchNorm2d, Conv2d, GroupNorm, init, SyncBatchNorm2d } from '@goshawk/torch';

export type NeckNorm = 'none' | 'group' | 'batch' | 'sync_batch';
export type NeckLayer = Conv2d | GroupNorm | BatchNorm2d;

// Detectron's and the group norm paper's number.
const NORM_GROUPS = 32;

/** A convolution that keeps the resolution over its stride, and the norm behind it, which then takes the place of its bias. */
export function convBlock(
  inChannels: number,
  channels: number,
  kernel: number,
  { norm, stride = 1, biases = true }: { readonly norm: NeckNorm; readonly stride?: number; readonly biases?: boolean },
): NeckLayer[] {
  const padding = (kernel - 1) / 2;
  const bias = biases && norm === 'none';
  const conv = initialised(new Conv2d(inChannels, channels, kernel, { stride, padding, bias }));
  switch (norm) {
    case 'none':
      return [conv];
    case 'group':
      return [conv, new GroupNorm(NORM_GROUPS, channels)];
    case 'batch':
      return [conv, new BatchNorm2d(channels)];
    case 'sync_batch':
      return [conv, new SyncBatchNorm2d(channels)];
  }
}

/** a = 1: torchvision's FeaturePyramidNetwork, which keeps the variance of linear layers. */
export function initialised(conv: Conv2d): Conv2d {
  init.kaimingUniform(conv.weight, { a: 1 });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}
