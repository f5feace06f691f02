// The model part of a config. Every default is that of torchvision's maskrcnn_resnet50_fpn and fasterrcnn_resnet50_fpn
// (torchvision/models/detection), so that a config without a model's details is exactly that model.
import { z } from 'zod';

const fraction = () => z.number().min(0).max(1);
const count = () => z.int().min(1);

export const resnetSchema = z
  .strictObject({
    type: z.literal('resnet').default('resnet').describe('The kind of backbone.'),
    depth: z
      .literal([18, 34, 50, 101, 152])
      .default(50)
      .describe('Number of layers; 18 and 34 have basic blocks, the others bottlenecks.'),
    width: z
      .int()
      .min(4)
      .max(512)
      .default(64)
      .describe('Channels of the first layer; every later layer scales with it.'),
    norm: z
      .enum(['frozen_batch', 'batch', 'group'])
      .default('frozen_batch')
      .describe('Normalisation: batch norm with fixed statistics, batch norm that learns, or group norm of 32 groups.'),
    frozenStages: z
      .int()
      .min(0)
      .max(5)
      .default(2)
      .describe('How many of the stem and the four stages do not learn; torchvision calls 5 - this trainable_layers.'),
    weights: z.string().optional().describe('A checkpoint file that the backbone starts from.'),
  })
  .refine((backbone) => backbone.norm !== 'group' || backbone.width % 32 === 0, {
    path: ['width'],
    message: 'group norm has 32 groups: take a width that is a multiple of 32',
  });

export const backboneSchema = z.discriminatedUnion('type', [resnetSchema]);

const fpnSchema = z.strictObject({
  type: z.literal('fpn').default('fpn').describe('The kind of neck.'),
  channels: count().default(256).describe('Channels of every level.'),
  extraLevel: z
    .enum(['pool', 'none'])
    .default('pool')
    .describe('pool adds a level of half the resolution of the last one, for large anchors.'),
});

export const neckSchema = z.discriminatedUnion('type', [fpnSchema]);

const anchorsSchema = z.strictObject({
  sizes: z
    .array(z.array(z.number().positive()).min(1))
    .min(1)
    .default([[32], [64], [128], [256], [512]])
    .describe("Side lengths of the anchors in network pixels: one list a level, the finest level's first."),
  ratios: z
    .array(z.number().positive())
    .min(1)
    .default([0.5, 1, 2])
    .describe('Height / width of the anchors; each size comes in each ratio.'),
});

const keepCount = (train: number, test: number, what: string) =>
  z
    .strictObject({
      train: count().default(train).describe(`${what}, in training.`),
      test: count().default(test).describe(`${what}, in evaluation and prediction.`),
    })
    .prefault({});

const rpnSchema = z
  .strictObject({
    preNmsTopN: keepCount(2000, 1000, 'Proposals of the best scores that a level gives to non-maximum suppression'),
    postNmsTopN: keepCount(2000, 1000, 'Proposals kept of an image after non-maximum suppression'),
    nmsThreshold: fraction().default(0.7).describe('IoU above which the worse of two proposals is dropped.'),
    scoreThreshold: fraction().default(0).describe('Proposals below this score are dropped.'),
    foregroundIou: fraction().default(0.7).describe('An anchor with at least this IoU with an object is a positive.'),
    backgroundIou: fraction().default(0.3).describe('An anchor below this IoU with every object is a negative.'),
    batchSizePerImage: count().default(256).describe('Anchors drawn of an image for the loss.'),
    positiveFraction: fraction().default(0.5).describe('The largest share of positives among them.'),
    minSize: z.number().min(0).default(1e-3).describe('Proposals with a shorter side, in network pixels, are dropped.'),
  })
  .refine((rpn) => rpn.backgroundIou <= rpn.foregroundIou, {
    path: ['backgroundIou'],
    message: 'is above rpn.foregroundIou: take at most that',
  })
  .prefault({});

const boxHeadSchema = z
  .strictObject({
    foregroundIou: fraction()
      .default(0.5)
      .describe('A proposal with at least this IoU with an object takes its class.'),
    backgroundIou: fraction().default(0.5).describe('A proposal below this IoU with every object is background.'),
    batchSizePerImage: count().default(512).describe('Proposals drawn of an image for the loss.'),
    positiveFraction: fraction().default(0.25).describe('The largest share of objects among them.'),
    hiddenSize: count().default(1024).describe('Outputs of each of the two fully connected layers.'),
    poolSize: count().default(7).describe('RoIAlign gives this many cells in each direction.'),
    samplingRatio: z
      .int()
      .min(0)
      .default(2)
      .describe('Samples of a RoIAlign cell in each direction; 0 adapts to the size.'),
    regressionWeights: z
      .tuple([z.number().positive(), z.number().positive(), z.number().positive(), z.number().positive()])
      .default([10, 10, 5, 5])
      .describe('Factors on the deltas of x, y, width and height.'),
    scoreThreshold: fraction().default(0.05).describe('Detections below this score are dropped.'),
    nmsThreshold: fraction()
      .default(0.5)
      .describe('IoU above which the worse of two detections of a class is dropped.'),
    maxDetections: count().default(100).describe('Detections kept of an image.'),
  })
  .refine((head) => head.backgroundIou <= head.foregroundIou, {
    path: ['backgroundIou'],
    message: 'is above boxHead.foregroundIou: take at most that',
  })
  .prefault({});

const maskHeadSchema = z
  .strictObject({
    poolSize: count()
      .default(14)
      .describe('RoIAlign gives this many cells in each direction; masks have twice as many.'),
    samplingRatio: z
      .int()
      .min(0)
      .default(2)
      .describe('Samples of a RoIAlign cell in each direction; 0 adapts to the size.'),
    channels: z
      .array(count())
      .min(1)
      .default([256, 256, 256, 256])
      .describe('Channels of the 3x3 convolutions; the upsampling layer has as many as the last.'),
    threshold: fraction().default(0.5).describe('A pixel with at least this probability belongs to the object.'),
  })
  .prefault({});

const rcnnShape = {
  classes: z
    .union([z.int().min(1), z.literal('from-data')])
    .default('from-data')
    .describe('Number of classes without the background; from-data takes the categories of the training annotations.'),
  backbone: backboneSchema.prefault({}),
  neck: neckSchema.prefault({}),
  anchors: anchorsSchema.prefault({}),
  rpn: rpnSchema,
  boxHead: boxHeadSchema,
};

const fasterRcnnSchema = z
  .strictObject({ type: z.literal('faster_rcnn').describe('The kind of model.'), ...rcnnShape })
  .superRefine(checkAnchors);

const maskRcnnSchema = z
  .strictObject({ type: z.literal('mask_rcnn').describe('The kind of model.'), ...rcnnShape, maskHead: maskHeadSchema })
  .superRefine(checkAnchors);

export const modelSchema = z.discriminatedUnion('type', [fasterRcnnSchema, maskRcnnSchema]);

export type ModelConfig = z.output<typeof modelSchema>;
export type FasterRcnnConfig = z.output<typeof fasterRcnnSchema>;
export type MaskRcnnConfig = z.output<typeof maskRcnnSchema>;
export type BackboneConfig = z.output<typeof backboneSchema>;
export type ResnetConfig = z.output<typeof resnetSchema>;
export type NeckConfig = z.output<typeof neckSchema>;
export type AnchorsConfig = z.output<typeof anchorsSchema>;
export type RpnConfig = z.output<typeof rpnSchema>;
export type BoxHeadConfig = z.output<typeof boxHeadSchema>;
export type MaskHeadConfig = z.output<typeof maskHeadSchema>;

/** One list of sizes a level, equally long: the RPN's one convolution gives every level as many anchors. */
function checkAnchors(
  model: { readonly anchors: AnchorsConfig; readonly neck: NeckConfig },
  context: z.RefinementCtx,
): void {
  const { sizes } = model.anchors;
  const levels = model.neck.extraLevel === 'pool' ? 5 : 4;
  const issue = (message: string) => context.addIssue({ code: 'custom', path: ['anchors', 'sizes'], message });
  if (sizes.length !== levels) {
    issue(`got ${sizes.length} lists for the ${levels} levels of the neck: give one list a level`);
  } else if (sizes.some((list) => list.length !== sizes[0]!.length)) {
    issue('the lists differ in length: give every level as many sizes');
  }
}
