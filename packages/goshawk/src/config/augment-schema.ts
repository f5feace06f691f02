// What training varies in its pictures, step by step. The defaults of hsv, blur, noise, crop, affine, mosaic and mixup are
// those of Sparse R-CNN's PyTorch port (liangheming/sparse_rcnnv1, datasets/coco.py).
import { z } from 'zod';
import { fraction, pixels } from './bounds.js';

/** The share of the pictures that a step acts on. */
const probability = (standard = 1) =>
  z.number().min(0).max(1).default(standard).describe('Share of the pictures that the step acts on.');

const fill = () =>
  z
    .tuple([greyLevel(), greyLevel(), greyLevel()])
    .default([123, 116, 103])
    .describe("Red, green and blue where no picture is; ImageNet's mean.");
const greyLevel = () => z.int().min(0).max(255);

/** Which objects a step that cuts the picture keeps. */
const keptObjects = ({ minVisible, maxAspect }: { minVisible: number; maxAspect: number }) => ({
  minSide: z
    .number()
    .min(0)
    .max(16_384)
    .default(2)
    .describe('Objects stay whose width and height exceed this, pixels.'),
  minVisible: z
    .number()
    .min(0)
    .max(0.999)
    .default(minVisible)
    .describe('Objects stay of which more than this share is still in the picture: of the mask where there is one.'),
  maxAspect: z
    .number()
    .min(1)
    .max(1e6)
    .default(maxAspect)
    .describe('Objects stay whose longer side is less than this times the shorter.'),
});

const scaleRange = {
  minScale: z.number().min(0.01).max(100).default(1).describe('Smallest factor.'),
  maxScale: z.number().min(0.01).max(100).default(1).describe('Largest factor.'),
};

const hsvSchema = z
  .strictObject({
    type: z.literal('hsv'),
    probability: probability(),
    hue: fraction().default(0.014).describe('Hue is multiplied by a number from 1 - this to 1 + this, and goes round.'),
    saturation: fraction().default(0.68).describe('The same for the saturation, which ends at its bounds.'),
    value: fraction().default(0.36).describe('The same for the brightness.'),
  })
  .describe('Colour jitter on hue, saturation and value.');

const colorSchema = z
  .strictObject({
    type: z.literal('color'),
    probability: probability(),
    brightness: fraction().default(0.4).describe('Every channel is multiplied by a number from 1 - this to 1 + this.'),
    contrast: fraction().default(0.4).describe("The same for the distance from the picture's mean grey."),
    saturation: fraction().default(0.4).describe("The same for the distance from each pixel's own grey."),
  })
  .describe("Colour jitter as torchvision's: brightness, contrast and saturation, in random order.");

const blurSchema = z
  .strictObject({
    type: z.literal('blur'),
    probability: probability(),
    filters: z
      .array(z.enum(['gaussian', 'median', 'box']))
      .min(1)
      .max(16)
      .default(['gaussian', 'median', 'box'])
      .describe('Of these one is drawn for a picture.'),
    kernels: z
      .array(z.union([z.literal(3), z.literal(5)]))
      .min(1)
      .max(16)
      .default([3, 5])
      .describe('Of these sides of the filter one is drawn, pixels.'),
  })
  .describe('A small blur.');

const noiseSchema = z
  .strictObject({
    type: z.literal('noise'),
    probability: probability(),
    minSigma: z.number().min(0).max(255).default(1).describe('Smallest standard deviation, grey levels.'),
    maxSigma: z.number().min(0).max(255).default(15).describe('Largest standard deviation, grey levels.'),
  })
  .refine(({ minSigma, maxSigma }) => minSigma <= maxSigma, 'minSigma is above maxSigma: exchange them')
  .describe('Gaussian noise, of each channel its own.');

const cropSchema = z
  .strictObject({
    type: z.literal('crop'),
    probability: probability(),
    minShare: z.number().min(0.01).max(1).default(0.6).describe('Of each side at least this share stays.'),
    maxShare: z.number().min(0.01).max(1).default(1).describe('Of each side at most this share stays.'),
    ...keptObjects({ minVisible: 0.2, maxAspect: 20 }),
  })
  .refine(({ minShare, maxShare }) => minShare <= maxShare, 'minShare is above maxShare: exchange them')
  .describe('A random part of the picture, every place equally likely.');

const resizeSchema = z
  .strictObject({
    type: z.literal('resize'),
    probability: probability(),
    size: pixels().default(640).describe('Length of the long side, pixels.'),
    pad: z.boolean().default(true).describe('Whether the short side is padded to the same, the picture in the middle.'),
    fill: fill(),
  })
  .describe("The whole picture at a fixed long side, by OpenCV's bilinear filter.");

const affineSchema = z
  .strictObject({
    type: z.literal('affine'),
    probability: probability(),
    degrees: z.number().min(0).max(180).default(0).describe('Turned about the middle by up to this, either way.'),
    ...scaleRange,
    shear: z.number().min(0).max(60).default(0).describe('Sheared along each axis by up to this, degrees.'),
    translate: z.number().min(0).max(1).default(0).describe('Moved by up to this share of the sides.'),
    perspective: z
      .number()
      .min(0)
      .max(0.01)
      .default(0)
      .describe('The two terms of perspective are drawn up to this, 1/pixels.'),
    size: z
      .tuple([pixels(), pixels()])
      .optional()
      .describe("Height and width of what results; absent: the picture's own."),
    fill: fill(),
    ...keptObjects({ minVisible: 0.2, maxAspect: 20 }),
  })
  .refine(({ minScale, maxScale }) => minScale <= maxScale, 'minScale is above maxScale: exchange them')
  .describe('About the middle: perspective, then turn and scale, then shear, then move.');

const perspectiveSchema = z
  .strictObject({
    type: z.literal('perspective'),
    probability: probability(),
    distortion: z
      .number()
      .min(0)
      .max(0.9)
      .default(0.3)
      .describe('Each corner moves inwards by up to half of this share of the sides.'),
    fill: fill(),
    ...keptObjects({ minVisible: 0.2, maxAspect: 20 }),
  })
  .describe("The picture seen from aside: its corners moved, as torchvision's RandomPerspective.");

const flipSchema = z
  .strictObject({
    type: z.literal('flip'),
    probability: probability(0.5),
    direction: z
      .enum(['horizontal', 'vertical'])
      .default('horizontal')
      .describe('horizontal exchanges left and right. Keypoints change sides in both.'),
  })
  .describe('Mirrors the picture.');

const mosaicSchema = z
  .strictObject({
    type: z.literal('mosaic'),
    probability: probability(),
    size: pixels().default(640).describe('Half the side of the square that the four pictures share, pixels.'),
    minCentre: fraction().default(0.25).describe('Where they meet, at least, as a share of that side.'),
    maxCentre: fraction().default(0.75).describe('Where they meet, at most.'),
    fill: fill(),
    ...keptObjects({ minVisible: 0, maxAspect: 1e6 }),
  })
  .refine(({ minCentre, maxCentre }) => minCentre <= maxCentre, 'minCentre is above maxCentre: exchange them')
  .describe(
    'Four pictures about a point of a square: the picture and three others of the data set, which have gone through the steps before.',
  );

const mixupSchema = z
  .strictObject({
    type: z.literal('mixup'),
    probability: probability(),
    alpha: z
      .number()
      .min(0.01)
      .max(1000)
      .default(8)
      .describe('The share of the first picture is drawn from Beta(alpha, alpha); larger: nearer to one half.'),
    fill: fill(),
  })
  .describe(
    'Blends the picture with another of the data set, which has gone through the steps before; the objects of both count.',
  );

const simpleSteps = [
  hsvSchema,
  colorSchema,
  blurSchema,
  noiseSchema,
  cropSchema,
  resizeSchema,
  affineSchema,
  perspectiveSchema,
  flipSchema,
  mosaicSchema,
  mixupSchema,
] as const;

/** More steps than anyone needs; each is a pass over the pixels. */
const MOST_STEPS = 32;

const oneOf = <Step extends z.ZodType>(step: Step) =>
  z
    .strictObject({
      type: z.literal('one_of'),
      probability: probability(),
      choices: z
        .array(
          z.strictObject({
            weight: z.number().min(0).max(1000).default(1).describe('How often, next to the other choices.'),
            steps: z
              .array(step)
              .max(MOST_STEPS)
              .default([])
              .describe('What is done, in order, of the same steps; []: nothing.'),
          }),
        )
        .min(1)
        .max(16)
        .describe('Of these one is drawn.'),
    })
    .refine(({ choices }) => choices.some(({ weight }) => weight > 0), {
      path: ['choices'],
      message: 'every weight is 0: give one of them more',
    })
    .describe('One of several lists of steps.');

const innerStep = z.discriminatedUnion('type', simpleSteps);
const middleStep = z.discriminatedUnion('type', [...simpleSteps, oneOf(innerStep)]);
const stepSchema = z.discriminatedUnion('type', [...simpleSteps, oneOf(middleStep)]);

export type SimpleStepConfig = z.output<typeof innerStep>;
/** Choices may stand in choices; how deep is for the schema to say. */
export type AugmentStepConfig =
  | SimpleStepConfig
  | {
      readonly type: 'one_of';
      readonly probability: number;
      readonly choices: readonly { readonly weight: number; readonly steps: readonly AugmentStepConfig[] }[];
    };
export type AugmentStepsConfig = readonly AugmentStepConfig[];

/** The most pictures of the data set that one training picture may be made of. */
const MOST_PICTURES = 64;

export const augmentSchema = z
  .array(stepSchema)
  .max(MOST_STEPS)
  .refine((steps) => picturesNeeded(steps) <= MOST_PICTURES, {
    message: `a picture would be made of more than ${MOST_PICTURES}: let fewer mosaics and mixups follow one another`,
  })
  .default([])
  .describe(
    'What training varies in each picture, in order, before data.flip, data.jitter and preprocess.resize. []: nothing more.',
  );

/** How many pictures of the data set the steps can draw for one: those that a mosaic or mixup adds have the steps before it. */
function picturesNeeded(steps: AugmentStepsConfig, before = 1): number {
  return steps.reduce((count, step) => {
    if (step.type === 'mosaic') return count * 4;
    if (step.type === 'mixup') return count * 2;
    if (step.type !== 'one_of') return count;
    return Math.max(...step.choices.map((choice) => picturesNeeded(choice.steps, count)));
  }, before);
}

/** Whether a step moves or removes objects; the others change colours alone. */
export function movesObjects(step: AugmentStepConfig): boolean {
  switch (step.type) {
    case 'hsv':
    case 'color':
    case 'blur':
    case 'noise':
      return false;
    case 'one_of':
      return step.choices.some(({ steps }) => steps.some(movesObjects));
    default:
      return true;
  }
}

/** Whether pictures can come out mirrored, so that keypoints have to tell what they become. */
export function mirrorsPictures(steps: AugmentStepsConfig): boolean {
  return steps.some((step) => {
    if (step.probability === 0) return false;
    if (step.type !== 'one_of') return step.type === 'flip';
    return step.choices.some((choice) => choice.weight > 0 && mirrorsPictures(choice.steps));
  });
}
