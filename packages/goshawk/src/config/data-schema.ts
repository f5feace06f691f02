// What a network reads: where the pictures are, how they are drawn and how they become numbers. The defaults of
// `preprocess` are torchvision's (models/detection/transform.py); it has the shape of core's `Preprocess`.
import type { Preprocess, ResizeKernel, SizeRule } from '@goshawk/core';
import { z } from 'zod';

const sizeRules = [
  'torchvision',
  'torchvision-float32',
  'mmdet',
  'detectron',
  'maskrcnn-benchmark',
  'none',
] as const satisfies readonly SizeRule[];
const kernels = ['torch', 'opencv', 'pil'] as const satisfies readonly ResizeKernel[];

const threeNumbers = () => z.tuple([z.number(), z.number(), z.number()]);
const threePositive = () => z.tuple([z.number().positive(), z.number().positive(), z.number().positive()]);

const resizeSchema = z.strictObject({
  rule: z
    .enum(sizeRules)
    .default('torchvision')
    .describe("Whose rule chooses the network's input size; none keeps the picture's."),
  kernel: z
    .enum(kernels)
    .default('torch')
    .describe("Whose bilinear filter resizes: torch's in float, OpenCV's or PIL's in bytes."),
  minSize: z.int().min(1).max(16384).default(800).describe('Length of the short side in pixels.'),
  maxSize: z.int().min(1).max(16384).default(1333).describe('The long side is at most this, in pixels.'),
  trainMinSizes: z
    .array(z.int().min(1).max(16384))
    .default([])
    .describe('Lengths of the short side of which training draws one for each picture; empty: minSize.'),
});

export const preprocessSchema = z
  .strictObject({
    resize: resizeSchema.prefault({}),
    channels: z.enum(['rgb', 'bgr']).default('rgb').describe('Order of the channels; mean and std are in this order.'),
    valueScale: z
      .number()
      .positive()
      .default(1 / 255)
      .describe(
        'Network value = (grey level 0..255 * valueScale - mean) / std; 1/255, or 1 where mean is in grey levels.',
      ),
    mean: threeNumbers().default([0.485, 0.456, 0.406]).describe("Subtracted from each channel; ImageNet's."),
    std: threePositive().default([0.229, 0.224, 0.225]).describe("Each channel is divided by it; ImageNet's."),
    padMultiple: z
      .int()
      .min(1)
      .max(1024)
      .default(32)
      .describe('A batch is padded right and below to a multiple of this.'),
    padValue: z.number().default(0).describe('The value in the padding, after normalisation.'),
  })
  .prefault({});

const splitSchema = z.strictObject({
  annotations: z.string().min(1).describe('COCO annotation file.'),
  images: z.string().min(1).describe('Folder that its file names start from.'),
  limit: z.int().min(1).optional().describe('Only the first so many images: to see whether a model overfits a few.'),
});

export const dataSchema = z
  .strictObject({
    train: splitSchema.optional().describe('What training learns from.'),
    val: splitSchema.optional().describe('What evaluation measures on, during training and by goshawk eval.'),
    test: splitSchema.optional().describe('Another set to evaluate on.'),
    flip: z.number().min(0).max(1).default(0.5).describe('Share of the training pictures that are mirrored.'),
    workers: z
      .int()
      .min(0)
      .max(64)
      .default(2)
      .describe('Threads that decode ahead of the training step; the pictures and their order do not depend on it.'),
    aspectGrouping: z
      .boolean()
      .default(true)
      .describe('Batches hold either wide or tall pictures, which saves padding.'),
    skipEmpty: z.boolean().default(true).describe('Training leaves out pictures without a usable object.'),
  })
  .prefault({});

export type DataConfig = z.output<typeof dataSchema>;
export type DataSplitConfig = z.output<typeof splitSchema>;
/** Core's `Preprocess` and, in `resize`, the sizes that training draws from. */
export type PreprocessConfig = z.output<typeof preprocessSchema> & Preprocess;
