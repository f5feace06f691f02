// MobileNetV2 and MobileNetV3.
import { z } from 'zod';
import { epsilon, filePath } from '../bounds.js';

/** Number of the last layer of each, the stem being 0, as in torchvision's `features`. */
const LAST_LAYER = { v2: 18, v3_large: 16, v3_small: 12 } as const;
const MOST_LAYERS = Math.max(...Object.values(LAST_LAYER));

export const mobilenetSchema = z
  .strictObject({
    type: z.literal('mobilenet').describe('The kind of backbone: MobileNetV2 or MobileNetV3.'),
    variant: z.enum(['v2', 'v3_large', 'v3_small']).default('v3_large').describe('Which of the published networks.'),
    widthFactor: z
      .number()
      .min(0.05)
      .max(16)
      .default(1)
      .describe("Factor of all channels, rounded to multiples of 8 (the papers' width multiplier)."),
    featureLayers: z
      .array(z.int().min(0).max(MOST_LAYERS))
      .min(1)
      .max(6)
      .optional()
      .describe(
        "The layers that a neck reads, finest first, by their numbers in torchvision's `features`. Absent: of strides 4, 8 and 16 the first block, of stride 32 the last convolution: 2, 4, 7, 18 in v2; 2, 4, 7, 16 in v3_large; 1, 2, 4, 12 in v3_small. torchvision's Faster R-CNN reads 13 and 16 of v3_large.",
      ),
    norm: z
      .enum(['frozen_batch', 'batch', 'sync_batch', 'group'])
      .default('frozen_batch')
      .describe(
        'Normalisation: batch norm with fixed statistics, that learns, that learns over the pictures of all processes, or group norm.',
      ),
    normEps: epsilon()
      .default(1e-5)
      .describe("Added to the variance: torchvision's detectors have 1e-5, its MobileNetV3 classifiers 1e-3."),
    normMomentum: z
      .number()
      .positive()
      .max(1)
      .default(0.1)
      .describe('Share of the newest batch in the running statistics.'),
    frozenStages: z
      .int()
      .min(0)
      .max(6)
      .default(3)
      .describe(
        'How many stages do not learn: a stage begins with the stem, with each layer that halves the resolution, and with the last convolution; torchvision calls 6 - this trainable_layers.',
      ),
    weights: filePath()
      .optional()
      .describe(
        'A checkpoint file that the backbone starts from, or the name of published weights in the cache (goshawk weights list).',
      ),
  })
  .superRefine(({ variant, featureLayers = [] }, context) => {
    const issue = (message: string) => context.addIssue({ code: 'custom', path: ['featureLayers'], message });
    if (featureLayers.some((layer, i) => i > 0 && layer <= featureLayers[i - 1]!)) issue('must rise: sort the layers');
    const last = LAST_LAYER[variant];
    if (featureLayers.some((layer) => layer > last))
      issue(`names a layer that is not there: those of ${variant} are 0 to ${last}`);
  });

export type MobilenetConfig = z.output<typeof mobilenetSchema>;
