// Several opened data sets as one, for training.
import type { Annotation, ImageRecord } from '@goshawk/core';
import type { DatasetCounts, DatasetSample, DetectionDataset } from './dataset.js';
import type { StoredProposals } from './proposals-file.js';

export interface SetPart {
  /** Opened for training, with the categories of the first part: the same ids in the same order. */
  readonly dataset: DetectionDataset;
  /** How often a pass shows each of its pictures. */
  readonly repeat: number;
}

/**
 * The pictures of all parts, one part after another. Ids of pictures and annotations count on from those of the parts before, so
 * that none is there twice.
 */
export function concatenateSets(parts: readonly [SetPart, ...SetPart[]]): DetectionDataset {
  const [{ dataset: first }] = parts;
  if (parts.length === 1) return repeated(first, parts[0].repeat);
  const moved = movedApart(parts.map(({ dataset }) => dataset));
  const all = <T>(of: (dataset: DetectionDataset) => readonly T[]): T[] => moved.flatMap(of);
  const samples = parts.flatMap(({ repeat }, i) => timesOver(moved[i]!.samples, repeat));
  const proposals = new Map<number, StoredProposals>(all(({ proposals: own }) => [...(own ?? [])]));
  let pictures = 0;
  return {
    ...first,
    fileName: moved.map(({ fileName }) => fileName).join(' + '),
    samples,
    pictures: moved.flatMap((dataset) => {
      const from = pictures;
      pictures += dataset.annotations.images.length;
      return dataset.pictures.map((picture) => ({ ...picture, index: from + picture.index }));
    }),
    annotations: {
      ...first.annotations,
      images: all(({ annotations }) => annotations.images),
      annotations: all(({ annotations }) => annotations.annotations),
    },
    ...(first.proposals && { proposals }),
    counts: sumOf(moved.map(({ counts }) => counts)),
    issues: all(({ issues }) => issues),
    warnings: all(({ warnings }) => warnings),
  };
}

function repeated(dataset: DetectionDataset, repeat: number): DetectionDataset {
  return repeat === 1 ? dataset : { ...dataset, samples: timesOver(dataset.samples, repeat) };
}

function timesOver(samples: readonly DatasetSample[], times: number): DatasetSample[] {
  return Array.from({ length: times }, () => samples).flat();
}

function movedApart(datasets: readonly DetectionDataset[]): DetectionDataset[] {
  let imageId = 0;
  let annotationId = 0;
  return datasets.map((dataset) => {
    const { images, annotations } = dataset.annotations;
    const byImage = new Map(images.map(({ id }) => [id, ++imageId]));
    const byAnnotation = new Map(annotations.map(({ id }) => [id, ++annotationId]));
    const movedImage = (image: ImageRecord): ImageRecord => ({ ...image, id: byImage.get(image.id)! });
    const movedAnnotation = (own: Annotation): Annotation => ({
      ...own,
      id: byAnnotation.get(own.id) ?? own.id,
      imageId: byImage.get(own.imageId)!,
    });
    return {
      ...dataset,
      samples: dataset.samples.map(({ image, path, annotations: own }) => ({
        image: movedImage(image),
        path,
        annotations: own.map(movedAnnotation),
      })),
      pictures: dataset.pictures.map((picture) => ({ ...picture, image: movedImage(picture.image) })),
      annotations: {
        ...dataset.annotations,
        images: images.map(movedImage),
        annotations: annotations.map(movedAnnotation),
      },
      ...(dataset.proposals && {
        proposals: new Map(
          Array.from(dataset.proposals).flatMap(([id, own]) => {
            const there = byImage.get(id);
            return there === undefined ? [] : [[there, own] as const];
          }),
        ),
      }),
    };
  });
}

function sumOf(counts: readonly DatasetCounts[]): DatasetCounts {
  const sum = (of: (own: DatasetCounts) => number): number => counts.reduce((total, own) => total + of(own), 0);
  const reasons = new Set(counts.flatMap(({ leftOut }) => Object.keys(leftOut) as (keyof typeof leftOut)[]));
  return {
    images: sum(({ images }) => images),
    emptyImages: sum(({ emptyImages }) => emptyImages),
    skippedImages: sum(({ skippedImages }) => skippedImages),
    annotations: sum(({ annotations }) => annotations),
    leftOut: Object.fromEntries([...reasons].map((reason) => [reason, sum(({ leftOut }) => leftOut[reason] ?? 0)])),
  };
}
