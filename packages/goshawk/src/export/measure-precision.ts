// AP of what two runtimes find in the same pictures.
import {
  type Annotation,
  type Category,
  type Dataset,
  type Detection,
  evaluateCoco,
  type IouType,
} from '@goshawk/core';

export interface ComparedPrecision {
  /** What the detections are measured against: annotations, or what the engine is sure of. */
  readonly truth: 'annotations' | 'engine';
  /** The least score of what of the engine's is the truth; absent with annotations. */
  readonly sureFrom?: number;
  readonly type: IouType;
  readonly engine: number;
  readonly exported: number;
}

/** What the engine has found from this score on stands for the truth where there is none; where nothing reaches it, from the lower one on. */
const SURE = 0.5;
const UNSURE = 0.05;

/** A picture with what both have found in it; `imageId` of the detections does not count. */
export interface ComparedPicture {
  readonly width: number;
  readonly height: number;
  readonly own: readonly Detection[];
  readonly other: readonly Detection[];
  /** Objects of it; of no meaning are their image ids. */
  readonly truth?: readonly Annotation[];
}

/**
 * COCO's AP (IoU 0.5 to 0.95) of both.
 * @param pictures with truth in all of them, or in none
 */
export function comparePrecision(
  pictures: readonly ComparedPicture[],
  categories: readonly Category[],
  types: readonly IouType[],
): ComparedPrecision[] {
  const isAnnotated = pictures.some(({ truth }) => truth !== undefined);
  const isSomethingSure = pictures.some(({ own }) => own.some(({ score }) => score >= SURE));
  const sureFrom = isSomethingSure ? SURE : UNSURE;
  const images = pictures.map(({ width, height }, i) => ({ id: i, width, height, fileName: String(i) }));
  const annotations: Annotation[] = pictures
    .flatMap(({ truth = [], own }, imageId) =>
      isAnnotated
        ? truth.map((each) => ({ ...each, imageId }))
        : own.filter(({ score }) => score >= sureFrom).map((each) => found(each, imageId)),
    )
    .map((annotation, id) => ({ ...annotation, id: id + 1 }));
  const groundTruth: Dataset = { images, annotations, categories };
  const all = (side: 'own' | 'other'): Detection[] =>
    pictures.flatMap((picture, imageId) => picture[side].map((each) => ({ ...each, imageId })));
  // Annotations of boxes alone say nothing about masks and keypoints.
  const parts = { bbox: 'bbox', segm: 'segmentation', keypoints: 'keypoints' } as const;
  const measurable = types.filter((type) => annotations.every((annotation) => annotation[parts[type]] !== undefined));
  return measurable.map((type) => {
    const apOf = (detections: readonly Detection[]): number =>
      evaluateCoco({ groundTruth, detections, iouType: type }).stats.AP ?? -1;
    return {
      ...(isAnnotated ? { truth: 'annotations' as const } : { truth: 'engine' as const, sureFrom }),
      type,
      engine: apOf(all('own')),
      exported: apOf(all('other')),
    };
  });
}

function found({ categoryId, bbox, segmentation, keypoints }: Detection, imageId: number): Annotation {
  return {
    id: 0,
    imageId,
    categoryId,
    bbox: bbox!,
    area: bbox![2] * bbox![3],
    isCrowd: false,
    ...(segmentation && { segmentation }),
    ...(keypoints && { keypoints }),
  } as Annotation;
}
