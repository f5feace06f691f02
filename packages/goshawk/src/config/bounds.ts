// The numbers, lists and texts of a config, each with the largest value that a real network could need: several times what
// the published ones have. What lies beyond is a slip of the keyboard, which is cheaper to hear of before memory is asked for.
import { z } from 'zod';

/** From 0 to 1: an IoU, a probability, a share. */
export const fraction = () => z.number().min(0).max(1);

/** Channels of a layer; VGG's fully connected ones have 4096. */
export const channelCount = () => z.int().min(1).max(16_384);

/** Layers or blocks one after another; the heads of published detectors have up to eight. */
export const layerCount = () => z.int().min(1).max(64);

/** Side of a picture or a length in one, in pixels. */
export const pixels = () => z.int().min(1).max(16_384);

/** Boxes of a picture that are drawn or kept: what more than there are means is all of them. */
export const boxCount = () => z.int().min(1).max(10_000_000);

/** Categories; the largest detection data sets have some 13,000. */
export const classCount = () => z.int().min(1).max(100_000);

/** Optimizer steps; the longest published trainings have under a million. */
export const LARGEST_ITERATION = 10_000_000;

export const iterations = (least: 0 | 1 = 1) => z.int().min(least).max(LARGEST_ITERATION);

/** A length in passes over the pictures of data.train, such as `3 epochs` or `0.5 epochs`. */
export type Epochs = `${number} epoch` | `${number} epochs`;

/** Up to 99,999 of them, with three digits behind the point. */
export const EPOCHS = /^(\d{1,5}(?:\.\d{1,3})?) epochs?$/;

/** Optimizer steps, or passes over the pictures. */
export const iterationsOrEpochs = (least: 0 | 1 = 1): z.ZodType<number | Epochs, number | Epochs> =>
  z.union([iterations(least), z.string().regex(EPOCHS) as unknown as z.ZodType<Epochs, Epochs>]);

/** undefined where a length is in iterations. */
export function epochsIn(length: number | Epochs): number | undefined {
  return typeof length === 'number' ? undefined : Number(EPOCHS.exec(length)![1]);
}

/** A time; a year has 525,600. */
export const minutes = () => z.number().positive().max(1_000_000);

/** A factor of a loss or a rate. */
export const factor = () => z.number().positive().max(1000);

/** What is added to a variance or a denominator against division by zero. */
export const epsilon = () => z.number().positive().max(1);

/** A file or folder: as long as Linux takes. */
export const filePath = () => z.string().max(4096);

/** A name in a data set. */
export const nameText = () => z.string().min(1).max(1000);

/** Height / width of anchors; published ones lie between 1/5 and 5. */
export const anchorRatios = () => z.array(z.number().min(0.001).max(1000)).min(1).max(64);

/** Anchors of each cell of a level; published detectors have 3 to 15. */
export const MOST_ANCHORS = 256;

/** What a schema says where sizes and ratios multiply to more. */
export const tooManyAnchors = (count: number): string =>
  `${count} anchors a cell are more than ${MOST_ANCHORS}: give fewer lengths or ratios`;
