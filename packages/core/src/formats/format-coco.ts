// Writing COCO files: annotations and results, one entry a line, so that they can be compared by line.
import type { BoxXywh } from '../boxes/box.js';
import { rleToString } from '../masks/rle-string.js';
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
  const names = new Map(dataset.categories.map((category) => [category.id, category.name]));
  const order = (detection: Detection) => images.get(detection.imageId)?.order ?? dataset.images.length;
  const sorted = [...detections].sort((a, b) => order(a) - order(b) || b.score - a.score);
  return `${formatLines(
    sorted.map((detection) => ({
      image_id: detection.imageId,
      file_name: images.get(detection.imageId)?.fileName,
      category_id: detection.categoryId,
      category_name: names.get(detection.categoryId),
      ...(detection.bbox === undefined ? {} : { bbox: plainBox(detection.bbox) }),
      score: detection.score,
      ...(detection.segmentation === undefined ? {} : { segmentation: segmentationEntry(detection.segmentation) }),
      ...(detection.keypoints === undefined ? {} : { keypoints: detection.keypoints }),
    })),
  )}\n`;
}

function imageEntry(image: ImageRecord): object {
  return { id: image.id, file_name: image.fileName, width: image.width, height: image.height };
}

function categoryEntry(category: Category): object {
  const { id, name, supercategory, keypoints, skeleton, flipPairs } = category;
  return { id, name, supercategory, keypoints, skeleton, flip_pairs: flipPairs };
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
  return entries.length === 0 ? '[]' : `[\n${entries.map((entry) => JSON.stringify(entry)).join(',\n')}\n]`;
}
