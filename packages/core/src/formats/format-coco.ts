// Writing COCO files: annotations and results, one entry a line, so that they can be compared by line.
import type { BoxXywh } from '../boxes/box.js';
import { rleToString } from '../masks/rle-string.js';
import type { TrackedDetection } from '../tracking/byte-tracker.js';
import type { Annotation, Category, Dataset, Detection, ImageRecord, Segmentation } from './dataset.js';

/** The text of a COCO annotation file. Ids stay as they are; run lengths are written compressed. */
export function formatCoco(dataset: Dataset): string {
  const lists = [
    ['images', dataset.images.map(imageEntry)],
    ['categories', dataset.categories.map(categoryEntry)],
    ['annotations', dataset.annotations.map(annotationEntry)],
  ] as const;
  return `{\n${lists.map(([name, entries]) => `"${name}": ${formatLines(entries)}`).join(',\n')}\n}\n`;
}

/**
 * The text of a results file, which is also Goshawk's detections.json: each entry with the picture's `file_name` and
 * the `category_name` besides what COCO asks for. Pictures in the dataset's order, best score first within each.
 */
export function formatCocoResults(detections: readonly Detection[], dataset: Dataset): string {
  const images = new Map(dataset.images.map((image, order) => [image.id, { fileName: image.fileName, order }]));
  const names = categoryNames(dataset.categories);
  const order = (detection: Detection) => images.get(detection.imageId)?.order ?? dataset.images.length;
  const sorted = [...detections].sort((a, b) => order(a) - order(b) || b.score - a.score);
  return `${formatLines(
    sorted.map((detection) => resultEntry(detection, images.get(detection.imageId)?.fileName, names)),
  )}\n`;
}

/** How a list of entries stands in a file, an entry a line; `empty` is all of a list without any. */
export const listText = { open: '[\n', between: ',\n', close: '\n]', empty: '[]' } as const;

/**
 * One picture's lines of a results file, without those around them; empty where nothing was found. The lines of all pictures,
 * joined and enclosed by {@link listText} and ended by a line end, are what {@link formatCocoResults} makes of them at once.
 * @param detections in any order; their `imageId` is not looked at
 */
export function formatPictureResults(
  image: Pick<ImageRecord, 'id' | 'fileName'>,
  detections: readonly Detection[],
  names: ReadonlyMap<number, string>,
): string {
  return [...detections]
    .sort((a, b) => b.score - a.score)
    .map((detection) => JSON.stringify(resultEntry({ ...detection, imageId: image.id }, image.fileName, names)))
    .join(listText.between);
}

/** A frame of a film. */
export interface FrameRecord {
  /** Place in the film, counted from 0. */
  readonly index: number;
  /** When it is shown, seconds from the film's begin. */
  readonly seconds: number;
  /** Of the film. */
  readonly fileName: string;
}

/**
 * What was found in a frame as JSON lines, each with its line end; empty where nothing was. A line has `frame` and `time`, then what an
 * entry of a results file has, `image_id` being the frame's number, then `track_id` where there is one.
 * @param detections in any order; their `imageId` is not looked at
 */
export function formatFrameResults(
  { index, seconds, fileName }: FrameRecord,
  detections: readonly TrackedDetection[],
  names: ReadonlyMap<number, string>,
): string {
  const time = Math.round(seconds * 1e6) / 1e6;
  return [...detections]
    .sort((a, b) => b.score - a.score)
    .map(({ trackId, ...detection }) => ({
      frame: index,
      time,
      ...resultEntry({ ...detection, imageId: index }, fileName, names),
      ...(trackId === undefined ? {} : { track_id: trackId }),
    }))
    .map((entry) => `${JSON.stringify(entry)}\n`)
    .join('');
}

/** Category names by id, as the entries of a results file have them. */
export function categoryNames(categories: readonly Category[]): ReadonlyMap<number, string> {
  return new Map(categories.map(({ id, name }) => [id, name]));
}

function resultEntry(detection: Detection, fileName: string | undefined, names: ReadonlyMap<number, string>): object {
  const { imageId, categoryId, bbox, score, segmentation, keypoints } = detection;
  return {
    image_id: imageId,
    file_name: fileName,
    category_id: categoryId,
    category_name: names.get(categoryId),
    ...(bbox === undefined ? {} : { bbox: plainBox(bbox) }),
    score,
    ...(segmentation === undefined ? {} : { segmentation: segmentationEntry(segmentation) }),
    ...(keypoints === undefined ? {} : { keypoints }),
  };
}

function imageEntry(image: ImageRecord): object {
  const { id, fileName, width, height, lookedFor } = image;
  return {
    id,
    file_name: fileName,
    width,
    height,
    ...(lookedFor && { neg_category_ids: lookedFor.absent, not_exhaustive_category_ids: lookedFor.notAll }),
  };
}

function categoryEntry(category: Category): object {
  const { id, name, supercategory, keypoints, skeleton, sigmas, flipPairs, frequency } = category;
  return { id, name, supercategory, keypoints, skeleton, sigmas, flip_pairs: flipPairs, frequency };
}

function annotationEntry(annotation: Annotation): object {
  return {
    id: annotation.id,
    image_id: annotation.imageId,
    category_id: annotation.categoryId,
    bbox: plainBox(annotation.bbox),
    area: annotation.area,
    iscrowd: annotation.isCrowd ? 1 : 0,
    // As in Detectron's own conversions of PASCAL VOC.
    ignore: annotation.isDifficult ? 1 : undefined,
    // COCO has no words for these: VOC's.
    pose: annotation.marks?.pose,
    truncated: annotation.marks?.isTruncated ? 1 : undefined,
    occluded: annotation.marks?.isOccluded ? 1 : undefined,
    // pycocotools reads masks of every annotation and stops at a missing key.
    segmentation: annotation.segmentation === undefined ? [] : segmentationEntry(annotation.segmentation),
    keypoints: annotation.keypoints,
    num_keypoints: annotation.numKeypoints,
  };
}

function segmentationEntry(segmentation: Segmentation): object {
  if (segmentation.kind === 'polygons') return segmentation.polygons;
  return { size: segmentation.rle.size, counts: rleToString(segmentation.rle) };
}

function plainBox(box: BoxXywh): readonly number[] {
  return [...box];
}

function formatLines(entries: readonly object[]): string {
  if (entries.length === 0) return listText.empty;
  return listText.open + entries.map((entry) => JSON.stringify(entry)).join(listText.between) + listText.close;
}
