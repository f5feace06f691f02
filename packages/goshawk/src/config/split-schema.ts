// A split of a config: one data set, or several, and where their annotations and pictures are.
import { z } from 'zod';
import { boxCount, filePath, nameText } from './bounds.js';

/** Formats of annotations that are read. */
export const annotationFormats = ['coco', 'voc', 'yolo', 'labelme', 'cvat', 'cityscapes'] as const;
export type AnnotationFormat = (typeof annotationFormats)[number];

const setKeys = {
  name: nameText()
    .optional()
    .describe('What results call the data set, where there are several; absent: after its file.'),
  annotations: filePath()
    .min(1)
    .describe(
      "COCO annotation file, folder of PASCAL VOC (with Annotations/) or of Cityscapes (with gtFine/), YOLO's data.yaml or a folder with it, folder of labelme's JSON files, CVAT's annotations.xml or the folder with it, or a module (.js, .mjs) that exports a data set of your own, which is run.",
    ),
  images: filePath()
    .min(1)
    .optional()
    .describe(
      "Folder that its file names start from; absent: JPEGImages of VOC or the folder with its files' pictures, leftImg8bit of Cityscapes, the folder of YOLO's and labelme's pictures, CVAT's images, a module's own folder.",
    ),
  format: z.enum(annotationFormats).optional().describe('What annotations is; absent: told by what is there.'),
  set: nameText()
    .optional()
    .describe(
      'VOC: the list in ImageSets/Main, such as train; YOLO: train, val or test; CVAT: a subset of a project, such as train or val; Cityscapes: the folder of gtFine. COCO and labelme have none.',
    ),
  classes: z
    .array(nameText())
    .min(1)
    .max(100_000)
    .optional()
    .describe(
      "VOC, labelme, and YOLO without data.yaml or classes.txt: class names in order; absent with VOC and labelme: data.train's, which are VOC's 20 or the names in its folder, sorted.",
    ),
  proposals: z
    .union([filePath().min(1), z.array(filePath().min(1)).min(1).max(64)])
    .optional()
    .describe(
      'File of stored proposals, for models whose proposals are stored; a list where several share the pictures.',
    ),
  proposalsDistinct: z
    .boolean()
    .optional()
    .describe(
      'Of stored proposals that are the same in whole pixels of the picture only the first is taken (Detectron). Absent: all are.',
    ),
  proposalMinSize: z
    .number()
    .min(0)
    .max(16384)
    .optional()
    .describe(
      'Stored proposals of at most this width or height, in pixels, are left out; 2 in Detectron. Absent: none.',
    ),
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
  repeat: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .describe('How often a pass of training shows each picture of the data set; evaluation takes it once. Absent: 1.'),
};

export const splitSchema = z.strictObject({
  ...setKeys,
  also: z
    .array(z.strictObject(setKeys))
    .max(64)
    .optional()
    .describe(
      'Further data sets with the same categories, by name. Training learns from all of them together; evaluation measures one after another.',
    ),
});

export type DataSplitConfig = z.output<typeof splitSchema>;
/** One data set of a split. */
export type DataSetConfig = Omit<DataSplitConfig, 'also'>;
