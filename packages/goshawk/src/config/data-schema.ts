// What a network reads: where the pictures are, how they are drawn and how they become numbers. The defaults of
// `preprocess` are torchvision's (models/detection/transform.py); it has the shape of core's `Preprocess`.
import type { Preprocess, ResizeKernel, SizeRule } from '@goshawk/core';
import { z } from 'zod';
import { augmentSchema, movesObjects } from './augment-schema.js';
import { nameText, pixels } from './bounds.js';
import { splitSchema } from './split-schema.js';

const sizeRules = [
  'torchvision',
  'torchvision-float32',
  'mmdet',
  'detectron',
  'maskrcnn-benchmark',
  'letterbox',
  'none',
] as const satisfies readonly SizeRule[];
const kernels = ['torch', 'opencv', 'pil'] as const satisfies readonly ResizeKernel[];

const aspectCroppingSchema = z
  .strictObject({
    low: z.number().min(0.01).max(1).default(0.5).describe('Smallest width / height that is left.'),
    high: z.number().min(1).max(100).default(2).describe('Largest width / height that is left.'),
  })
  .describe('Training crops pictures that are longer or wider than these, keeping an object; absent: none.');

const jitterSchema = z
  .strictObject({
    size: z.tuple([pixels(), pixels()]).describe('Height and width of every training picture, in pixels.'),
    minScale: z.number().min(0.01).max(100).default(0.5).describe('Smallest factor of the size.'),
    maxScale: z.number().min(0.01).max(100).default(2).describe('Largest factor of the size.'),
  })
  .refine(({ minScale, maxScale }) => minScale <= maxScale, 'minScale is above maxScale: exchange them')
  .describe(
    'Training scales each picture to a random multiple of the size it would just fit, then crops or pads it to the size; replaces preprocess.resize there. Absent: no.',
  );

/** A value of a channel: grey levels of 16 bits, and room for other scales. */
const level = () => z.number().min(-1e6).max(1e6);
const spread = () => z.number().min(1e-6).max(1e6);

const resizeSchema = z.strictObject({
  rule: z
    .enum(sizeRules)
    .default('torchvision')
    .describe(
      "Whose rule chooses the network's input size; letterbox (sparse_rcnnv1) fits the picture into the middle of a square of maxSize, enlarging small ones; none keeps the picture's.",
    ),
  kernel: z
    .enum(kernels)
    .default('torch')
    .describe("Whose bilinear filter resizes: torch's in float, OpenCV's or PIL's in bytes."),
  minSize: pixels().default(800).describe('Length of the short side in pixels.'),
  maxSize: pixels().default(1333).describe('The long side is at most this, in pixels.'),
  trainMinSizes: z
    .array(pixels())
    .max(256)
    .default([])
    .describe('Lengths of the short side of which training draws one for each picture; empty: minSize.'),
  trainSizes: z
    .enum(['value', 'range'])
    .default('value')
    .describe('What training draws: one of trainMinSizes, or any length from the smallest of them to the largest.'),
  trainMaxSize: pixels().optional().describe('The long side is at most this in training, in pixels; absent: maxSize.'),
});

export const preprocessSchema = z
  .strictObject({
    resize: resizeSchema.prefault({}),
    channels: z.enum(['rgb', 'bgr']).default('rgb').describe('Order of the channels; mean and std are in this order.'),
    valueScale: z
      .number()
      .min(1e-6)
      .max(1000)
      .default(1 / 255)
      .describe(
        'Network value = (grey level 0..255 * valueScale - mean) / std; 1/255, or 1 where mean is in grey levels.',
      ),
    mean: z
      .tuple([level(), level(), level()])
      .default([0.485, 0.456, 0.406])
      .describe("Subtracted from each channel; ImageNet's."),
    std: z
      .tuple([spread(), spread(), spread()])
      .default([0.229, 0.224, 0.225])
      .describe("Each channel is divided by it; ImageNet's."),
    padMultiple: z
      .int()
      .min(1)
      .max(1024)
      .default(32)
      .describe('A batch is padded right and below to a multiple of this.'),
    padValue: level().default(0).describe('The value in the padding, after normalisation.'),
    padColour: z
      .tuple([level(), level(), level()])
      .optional()
      .describe(
        'Grey levels red, green and blue of the padding, normalised like the picture; absent: padValue counts.',
      ),
  })
  .prefault({});

const flippedPoint = () => z.union([z.int().min(0).max(10000), nameText()]);

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
    aspectCropping: aspectCroppingSchema.optional(),
    jitter: jitterSchema.optional(),
    augment: augmentSchema,
    exifOrientation: z
      .enum(['apply', 'ignore'])
      .default('apply')
      .describe(
        'apply: pictures are turned as their EXIF orientation says, in training, evaluation and prediction; ignore: taken as stored, for annotations that were made so.',
      ),
    followLinks: z
      .boolean()
      .default(false)
      .describe(
        'Whether pictures may be links that lead out of their folder; false: refused, since an annotation file from elsewhere could name any file.',
      ),
    keypointFlipPairs: z
      .array(z.tuple([flippedPoint(), flippedPoint()]))
      .max(1000)
      .optional()
      .describe(
        'Keypoints that change places in a mirrored picture, by name or by number from 0, such as [[left_eye, right_eye]]; []: none. Absent: flip_pairs of the file, else told by left and right in the names.',
      ),
    onDamaged: z
      .enum(['stop', 'skip'])
      .default('stop')
      .describe(
        'What a picture that turns out damaged does to a training: stop ends it with a checkpoint, skip goes on without the picture and warns.',
      ),
    learnCrowds: z
      .boolean()
      .default(false)
      .describe('Whether training takes crowd regions for objects; false: they are left out.'),
    skipEmpty: z.boolean().default(true).describe('Training leaves out pictures without a usable object.'),
    requireKeypoints: z
      .boolean()
      .default(false)
      .describe('Training of keypoint models leaves out pictures in which no keypoint is labelled.'),
  })
  .refine(({ aspectCropping, jitter }) => aspectCropping === undefined || jitter === undefined, {
    path: ['aspectCropping'],
    message: 'data.jitter crops already: leave out one of them',
  })
  .refine(({ augment, aspectCropping, jitter }) => !(augment.some(movesObjects) && (aspectCropping ?? jitter)), {
    path: ['augment'],
    message:
      'moves objects before data.jitter or data.aspectCropping looks for them: crop by steps of data.augment instead',
  })
  .prefault({});

export type DataConfig = z.output<typeof dataSchema>;
/** Core's `Preprocess` and, in `resize`, the sizes that training draws from. */
export type PreprocessConfig = z.output<typeof preprocessSchema> & Preprocess;
