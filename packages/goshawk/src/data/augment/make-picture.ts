// From a plan to the picture: the steps in order.
import type { RgbImage } from '@goshawk/core';
import type { AnnotatedPicture, PointConventions } from './annotated-picture.js';
import { changeColors } from './change-colors.js';
import { mixupOf, mosaicOf } from './combine-pictures.js';
import { movePicture, resizePicture } from './move-picture.js';
import type { PlannedPicture, PlannedStep } from './planned-picture.js';

/** Reads a picture of the data set. */
export type Decode = (picture: Pick<PlannedPicture, 'image' | 'path'>) => Promise<RgbImage>;

export async function makePicture(
  plan: PlannedPicture,
  decode: Decode,
  conventions: PointConventions,
): Promise<AnnotatedPicture> {
  const { annotations, classes, steps = [] } = plan;
  let picture: AnnotatedPicture = {
    image: await decode(plan),
    objects: annotations.map((annotation, i) => ({ annotation, objectClass: classes[i]! })),
  };
  for (const step of steps) picture = await takeStep(picture, step, decode, conventions);
  return picture;
}

async function takeStep(
  picture: AnnotatedPicture,
  step: PlannedStep,
  decode: Decode,
  conventions: PointConventions,
): Promise<AnnotatedPicture> {
  switch (step.kind) {
    case 'move':
      return movePicture(picture, step, conventions);
    case 'resize':
      return resizePicture(picture, step, conventions);
    case 'mosaic': {
      const others = await Promise.all(step.others.map((other) => makePicture(other, decode, conventions)));
      return mosaicOf([picture, ...others], step, conventions);
    }
    case 'mixup':
      return mixupOf(picture, await makePicture(step.other, decode, conventions), step);
    default:
      return { ...picture, image: changeColors(picture.image, step) };
  }
}
