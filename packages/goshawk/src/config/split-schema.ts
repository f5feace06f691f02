// One data set of a config: where its annotations and pictures are.
import { z } from 'zod';
import { boxCount, filePath, nameText } from './bounds.js';

export const splitSchema = z.strictObject({
  annotations: filePath()
    .min(1)
    .describe('COCO annotation file, folder of PASCAL VOC (with Annotations/) or of Cityscapes (with gtFine/).'),
  images: filePath()
    .min(1)
    .optional()
    .describe('Folder that its file names start from; absent: JPEGImages of VOC, leftImg8bit of Cityscapes.'),
  format: z
    .enum(['coco', 'voc', 'cityscapes'])
    .optional()
    .describe('What annotations is; absent: told by what is there.'),
  set: nameText()
    .optional()
    .describe('VOC: the list in ImageSets/Main, such as train; Cityscapes: the folder of gtFine. COCO has none.'),
  classes: z
    .array(nameText())
    .min(1)
    .max(100_000)
    .optional()
    .describe(
      "VOC: class names in order; absent: data.train's, which are VOC's 20 or the names in its folder, sorted.",
    ),
  proposals: filePath().min(1).optional().describe('File of stored proposals, for models whose proposals are stored.'),
  proposalLimit: boxCount().optional().describe('Only the first so many stored proposals of each picture.'),
  proposalCrowdShare: z
    .number()
    .min(0)
    .max(1)
    .optional()
    .describe(
      'Stored proposals of which more than this share lies in one crowd region are left out: they are neither objects nor background. Absent: none.',
    ),
  limit: z
    .int()
    .min(1)
    .max(100_000_000)
    .optional()
    .describe('Only the first so many images: to see whether a model overfits a few.'),
});

export type DataSplitConfig = z.output<typeof splitSchema>;
