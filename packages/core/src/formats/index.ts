export * from './cityscapes.js';
export { cityscapesCategories } from './cityscapes-labels.js';
export { drawCityscapesPolygons } from './cityscapes-polygons.js';
export * from './coco.js';
export * from './coco-categories.js';
export type { CocoOptions } from './coco-options.js';
export * from './coco-results.js';
export { type CvatOptions, checkCvat, cvatSet, type ParsedCvat, parseCvat } from './cvat.js';
export { type CvatFrames, cvatFrameName } from './cvat-tracks.js';
export { type DataIssue, type DataIssueCode, DataIssueList } from './data-issue.js';
export { type DataRule, dataRules, formatDataRules, type Treatment } from './data-rules.js';
export * from './dataset.js';
export * from './format-coco.js';
export * from './format-voc.js';
export {
  formatYolo,
  NO_YOLO_LOSSES,
  sortedCategories,
  type YoloLosses,
  type YoloTask,
  yoloTaskOf,
} from './format-yolo.js';
export * from './image-path.js';
export * from './labelme.js';
export * from './match-categories.js';
export { type DetectionPart, PackedDetections } from './packed-detections.js';
export { markedEncoding } from './read-json.js';
export * from './segmentation-from-mask.js';
export * from './voc.js';
export * from './voc-box.js';
export { vocClassList, vocClassNames } from './voc-classes.js';
export * from './yolo.js';
