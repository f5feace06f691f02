// From a plan to the picture: the steps in order.
import { type PixelWindow, type RgbImage, wholeWindow } from '@goshawk/core';
import { recycle } from '../pixels/index.js';
import type { AnnotatedPicture, PointConventions } from './annotated-picture.js';
import { changeColorsIn } from './change-colors.js';
import { mixupOf, mosaicOf } from './combine-pictures.js';
import { movePicture, resizePicture } from './move-picture.js';
import type { PlannedPicture, PlannedStep } from './planned-picture.js';
import { seenInMosaic, seenRegions, sizesOf } from './seen-region.js';

/** Reads a picture of the data set, into memory that the steps may write to. */
export type Decode = (picture: Pick<PlannedPicture, 'image' | 'path'>) => Promise<RgbImage>;

/** @param seen what of the result is looked at; colours are right there alone. Default: all */
export async function makePicture(
  plan: PlannedPicture,
  decode: Decode,
  conventions: PointConventions,
  seen?: PixelWindow,
): Promise<AnnotatedPicture> {
  const { annotations, classes, steps = [] } = plan;
  const { width, height } = sizesOf(plan).at(-1)!;
  const regions = seenRegions(plan, seen ?? wholeWindow(width, height));
  let picture: AnnotatedPicture = {
    image: await decode(plan),
    objects: annotations.map((annotation, i) => ({ annotation, objectClass: classes[i]! })),
  };
  for (const [i, step] of steps.entries()) {
    const before = picture;
    picture = await takeStep(before, step, { before: regions[i]!, after: regions[i + 1]! }, decode, conventions);
    if (picture.image.data.buffer !== before.image.data.buffer) recycle(before.image);
  }
  return picture;
}

async function takeStep(
  picture: AnnotatedPicture,
  step: PlannedStep,
  seen: { readonly before: PixelWindow; readonly after: PixelWindow },
  decode: Decode,
  conventions: PointConventions,
): Promise<AnnotatedPicture> {
  switch (step.kind) {
    case 'move':
      return movePicture(picture, step, conventions);
    case 'resize':
      return resizePicture(picture, step, conventions);
    case 'mosaic': {
      const others = await Promise.all(
        step.others.map((other, i) => {
          const region = seenInMosaic(step, i + 1, seen.after, sizesOf(other).at(-1)!);
          return makePicture(other, decode, conventions, region);
        }),
      );
      const whole = mosaicOf([picture, ...others], step, conventions);
      for (const { image } of others) recycle(image);
      return whole;
    }
    case 'mixup': {
      const other = await makePicture(step.other, decode, conventions, seenOf(step.other, seen.after));
      const both = mixupOf(picture, other, step);
      recycle(other.image);
      return both;
    }
    default:
      return { ...picture, image: changeColorsIn(picture.image, step, seen.before) };
  }
}

/** What is seen of a picture that lies in the upper left corner of another. */
function seenOf(plan: PlannedPicture, { x, y, width, height }: PixelWindow): PixelWindow {
  const size = sizesOf(plan).at(-1)!;
  const [right, bottom] = [Math.min(size.width, x + width), Math.min(size.height, y + height)];
  return { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
}
