// Sparse R-CNN (Sun et al., Sparse R-CNN: End-to-End Object Detection with Learnable Proposals, 2021). The defaults are the paper's
// (sections 3 and 4.1).
import { z } from 'zod';
import { boxCount, channelCount, fraction, layerCount } from '../bounds.js';
import { backboneSchema } from './backbone-schema.js';
import { checkNeck, neckSchema } from './neck-schema.js';
import { classesSchema } from './rcnn-schema.js';

/** A factor of a loss or a cost; 0 leaves it out. */
const share = () => z.number().min(0).max(1000);

const overlap = () => z.enum(['iou', 'giou', 'diou', 'ciou']);

const headSchema = z
  .strictObject({
    stages: layerCount()
      .default(6)
      .describe('Stages one after another, each of which refines the boxes of the one before.'),
    attentionHeads: z
      .int()
      .min(1)
      .max(256)
      .default(8)
      .describe('Heads of the attention of the proposals to one another.'),
    feedforwardSize: channelCount().default(2048).describe('Hidden units of each stage behind the interaction.'),
    dynamicChannels: z
      .int()
      .min(1)
      .max(1024)
      .default(64)
      .describe('Channels between the two layers whose weights each proposal makes for its own features.'),
    dropout: z.number().min(0).lt(1).default(0).describe('Share of the values that training drops in each stage.'),
    classLayers: layerCount().default(1).describe('Linear layers in front of the class logits.'),
    boxLayers: layerCount().default(3).describe('Linear layers in front of the offsets of a box.'),
    poolSize: z.int().min(1).max(64).default(7).describe('Cells on each side of what is cut out for a box.'),
    samplingRatio: z
      .int()
      .min(0)
      .max(16)
      .default(2)
      .describe('Samples along each side of a cell; 0: as many as the box has pixels there.'),
    prior: z.number().gt(0).lt(1).default(0.01).describe('Probability of each class at the start.'),
    scoreThreshold: fraction().default(0).describe('Detections below this score are dropped.'),
    maxDetections: boxCount()
      .optional()
      .describe('Detections kept of an image; absent: as many as there are proposals.'),
  })
  .prefault({});

const lossSchema = z
  .strictObject({
    classWeight: share().default(2).describe('Factor of the focal loss of the classes.'),
    l1Weight: share().default(5).describe('Factor of the distance of the corners, in shares of the picture.'),
    iouWeight: share().default(2).describe('Factor of the loss of the overlap.'),
    iou: overlap()
      .default('giou')
      .describe('The measure of the overlap: 1 minus it, or of iou its negative logarithm.'),
    focalAlpha: fraction()
      .default(0.25)
      .describe('Weight of present classes in the focal loss; absent ones have the rest.'),
    focalGamma: z
      .number()
      .min(0)
      .max(100)
      .default(2)
      .describe('How fast the loss of well classified proposals vanishes.'),
    allStages: z.boolean().default(true).describe('Whether every stage is matched and learns, or the last one alone.'),
  })
  .prefault({});

const matchingSchema = z
  .strictObject({
    classCost: share().default(2).describe('Factor of the focal cost of the class in pairing proposals with objects.'),
    l1Cost: share().default(5).describe('Factor of the distance of the corners there.'),
    iouCost: share().default(2).describe('Factor of the negative overlap there.'),
    iou: overlap().default('giou').describe('The measure of that overlap.'),
  })
  .prefault({});

export const sparseRcnnSchema = z
  .strictObject({
    type: z.literal('sparse_rcnn').describe('The kind of model.'),
    classes: classesSchema,
    backbone: backboneSchema.prefault({}),
    neck: neckSchema.prefault({ type: 'fpn', extraLevel: 'none' }),
    proposals: z
      .int()
      .min(1)
      .max(10_000)
      .default(100)
      .describe('Boxes with features that are learned, from which every picture starts.'),
    head: headSchema,
    loss: lossSchema,
    matching: matchingSchema,
  })
  .superRefine(checkNeck);

export type SparseRcnnConfig = z.output<typeof sparseRcnnSchema>;
