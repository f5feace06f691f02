// Which single kernels are timed; kernel-times.ts and peers/gpu.py have them by these names.
export const TIMED_KERNEL_NAMES = [
  'RoIAlign 7x7, 1024 RoIs, forward',
  'RoIAlign 7x7, 1024 RoIs, forward and backward',
  'RoIAlign 14x14, 256 RoIs, forward',
  'RoIAlign 14x14, 256 RoIs, forward and backward',
  'batched NMS, 4741 boxes',
  'NMS, 1000 boxes',
  'matching, 217413 anchors and 7 boxes',
  'SGD, 80 parameters',
  'small operator',
] as const;
