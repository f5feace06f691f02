// What an analysis of errors looks at: each picture's detections, best first, its objects and crowds, and how much all of them
// overlap, whatever their categories.
import { resolveCocoParams } from '../evaluation/coco-params.js';
import type { Detections } from '../evaluation/detection-columns.js';
import { buildEvaluationTable, type EvaluationRows } from '../evaluation/evaluation-table.js';
import { overlapMeasure } from '../evaluation/overlap.js';
import type { Annotation, Dataset, Detection, ImageRecord } from '../formats/dataset.js';

export interface AnalysisInput {
  readonly groundTruth: Dataset;
  /** In any order. Detections of categories that the ground truth lacks do not count. */
  readonly detections: Detections;
  /** What overlaps are measured of. */
  readonly iouType: 'bbox' | 'segm';
}

export interface ExaminedPicture {
  readonly image: ImageRecord;
  /** Best score first, equal ones in the order in which they were given. */
  readonly detections: readonly Detection[];
  /** In the order of the ground truth, as crowds. */
  readonly objects: readonly Annotation[];
  readonly crowds: readonly Annotation[];
  /** IoU of detection d and object o; what is sure to be below the smallest IoU that was asked for may be 0. */
  iou(d: number, o: number): number;
  /** The share of detection d that lies in crowd c. */
  shareInCrowd(d: number, c: number): number;
}

/** What a picture is looked at with. */
export interface Examination {
  /** The smallest IoU that makes a difference. */
  readonly smallestIou: number;
  /** How many of a picture's best detections are looked at, over all categories together. */
  readonly perPicture: number;
}

/**
 * Every picture of the ground truth that has objects or detections, in order of their ids.
 * @throws InputError as evaluateCoco does
 */
export function* examinedPictures(
  { groundTruth, detections, iouType }: AnalysisInput,
  { smallestIou, perPicture }: Examination,
): Generator<ExaminedPicture> {
  const params = resolveCocoParams({ iouThresholds: [smallestIou], useCategories: false }, iouType, groundTruth);
  const table = buildEvaluationTable(groundTruth, detections, params, iouType);
  const { measure } = overlapMeasure(iouType, params);
  let [truthRow, row] = [0, 0];
  while (truthRow < table.truths.count || row < table.detections.count) {
    const group = Math.min(table.truths.group[truthRow]!, table.detections.group[row]!);
    const [firstTruth, first] = [truthRow, row];
    while (table.truths.group[truthRow] === group) truthRow++;
    while (table.detections.group[row] === group) row++;
    const truths = rowsInOrder(table.truths, firstTruth, truthRow, () => 0).map(table.truths.at);
    const objects = truths.filter(({ isCrowd }) => !isCrowd);
    const crowds = truths.filter(({ isCrowd }) => isCrowd);
    const looked = rowsInOrder(table.detections, first, row, (i) => table.score[i]!).slice(0, perPicture);
    const items = Uint32Array.from(looked, (i) => table.detections.items[i]!);
    const image = table.images[group]!;
    const areas = new Float64Array(looked.length);
    const [overlap, shares] = [objects, crowds].map((list) => {
      const out = new Float64Array(looked.length * list.length);
      measure({ columns: table.columns, items }, list, image, out, areas);
      return out;
    }) as [Float64Array, Float64Array];
    yield {
      image,
      detections: looked.map(table.detections.at),
      objects,
      crowds,
      iou: (d, o) => overlap[d * objects.length + o]!,
      shareInCrowd: (d, c) => shares[d * crowds.length + c]!,
    };
  }
}

/** The table orders equal rows by category, which means nothing where categories are compared: here by their place in the list. */
function rowsInOrder(
  rows: EvaluationRows<Annotation | Detection>,
  from: number,
  to: number,
  scoreOf: (row: number) => number,
): number[] {
  return Array.from({ length: to - from }, (_, i) => from + i).sort(
    (a, b) => scoreOf(b) - scoreOf(a) || rows.items[a]! - rows.items[b]!,
  );
}
