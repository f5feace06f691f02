// What the page of a report shows, as it lies in the page. Categories, pictures, objects and detections are named by their place in
// their lists, so that thousands of pictures stay small.
import type { PictureOverlaps } from '@goshawk/core';

/** As it lies in the page. */
export interface StoredReport extends Omit<ReportData, 'pictures'> {
  readonly pictures: readonly StoredPicture[];
  /** What was found in each picture, in their order: bytes of a DetectionPacker as base64. */
  readonly packed: PackedDetections;
}

/** What a DetectionPacker wrote: all but the boxes, and the boxes. */
export interface PackedDetections<Bytes = string> {
  readonly found: Bytes;
  readonly boxes: Bytes;
}

export type StoredPicture = Omit<PictureData, 'detections' | 'detectionCategories' | 'places' | 'overlaps'>;

/** As the page works with it. */
export interface ReportData {
  /** What the report is about, such as the name of the run. */
  readonly title: string;
  /** When it was written, for a person to read. */
  readonly made: string;
  /** Name and value of what a reader wants to know first. */
  readonly about: readonly (readonly [string, string])[];
  /** By group (bbox, segm, keypoints, proposals) and name, as metrics.json has them. */
  readonly figures: Readonly<Record<string, Readonly<Record<string, number>>>>;
  /** Absent where there was no training. */
  readonly history?: TrainingHistory;
  readonly categories: readonly string[];
  /** Absent for a model that gives proposals. */
  readonly errors?: ErrorsData;
  readonly pictures: readonly PictureData[];
  /** How many of them have a picture of their own in the report, and why not more. */
  readonly pictureLimit: string;
  /** Of the data sets, the evaluated one first. */
  readonly data: readonly DataSetData[];
  /** Files of pictures as the network saw them in training, with what they show. */
  readonly batch: readonly SeenPicture[];
}

export interface SeenPicture {
  readonly file: string;
  readonly name: string;
}

/** Iteration and value. */
export type Point = readonly [number, number];

export interface Series {
  readonly name: string;
  readonly points: readonly Point[];
}

export interface TrainingHistory {
  readonly losses: readonly Series[];
  readonly measures: readonly Series[];
  readonly learningRate: readonly Series[];
}

export interface ErrorsData {
  /** What overlaps were measured of. */
  readonly iouType: 'bbox' | 'segm';
  /** In order of the categories. */
  readonly classes: readonly ClassData[];
  readonly thresholds: ThresholdsData;
  readonly confusion: ConfusionData;
  readonly tide: TideData;
}

export interface ClassData {
  readonly objects: number;
  /** As evaluateCoco has them: -1 where there is no object. */
  readonly AP: number;
  readonly AP50: number;
  readonly AP75: number;
  readonly AR: number;
}

export interface ThresholdsData {
  readonly iouThreshold: number;
  readonly overall: CurveData;
  /** In order of the categories; where F1 is highest, null where nothing right was found. */
  readonly best: readonly (ScoreFigures | null)[];
  /** Of the most frequent classes, by their places. */
  readonly drawn: readonly { readonly category: number; readonly curve: CurveData }[];
}

/** By falling score; entry i speaks of all detections of at least that score. */
export interface CurveData {
  readonly score: readonly number[];
  readonly precision: readonly number[];
  readonly recall: readonly number[];
  readonly f1: readonly number[];
  /** Where F1 is highest; absent where nothing right was found. */
  readonly best?: ScoreFigures;
}

/** Of all detections of at least a score. */
export interface ScoreFigures {
  readonly score: number;
  readonly precision: number;
  readonly recall: number;
  readonly f1: number;
}

/** What the confusion matrix begins with; its numbers are counted in the page. */
export interface ConfusionData {
  readonly scoreThreshold: number;
  readonly iouThreshold: number;
  /** From this score on all detections are kept. */
  readonly lowestScore: number;
}

/** Places of a picture, of its object and of its detection; -1 where there is none. */
export type Pair = readonly [picture: number, object: number, detection: number];

export interface TideData {
  readonly foreground: number;
  readonly background: number;
  readonly ap: number;
  readonly types: readonly TideTypeData[];
  readonly falsePositiveLoss: number;
  readonly falseNegativeLoss: number;
}

export interface TideTypeData {
  readonly type: string;
  readonly count: number;
  /** Points of AP, 0 to 100. */
  readonly loss: number;
  readonly progressiveLoss: number;
  /** The worst of them. */
  readonly examples: readonly Pair[];
}

export interface PictureData {
  readonly name: string;
  readonly width: number;
  readonly height: number;
  /** Absent beyond the limit. */
  readonly file?: string;
  readonly objects: readonly ObjectData[];
  /** All from the report's lowest score on, best first, then those that TIDE's examples name. */
  readonly detections: readonly DetectionData[];
  /** Of each of them; their boxes are unpacked when `detections` is first asked for. */
  readonly detectionCategories: ArrayLike<number>;
  /** Where among all objects those are that are no crowds. */
  readonly places: readonly number[];
  /** Of these detections and those objects. */
  readonly overlaps: PictureOverlaps;
  /** For each object and detection the path around its mask in picture pixels, empty where there is none. Absent where all are. */
  readonly objectMasks?: readonly string[];
  readonly detectionMasks?: readonly string[];
}

/** Category, box in picture pixels, and whether it is a crowd. */
export type ObjectData = readonly [category: number, x: number, y: number, width: number, height: number, crowd?: 1];

export type DetectionData = readonly [
  category: number,
  score: number,
  x: number,
  y: number,
  width: number,
  height: number,
];

export interface DataSetData {
  readonly name: string;
  readonly pictures: number;
  readonly emptyPictures: number;
  readonly objects: number;
  readonly crowds: number;
  /** Whether its pictures are those of the report. */
  readonly isShown: boolean;
  /** Objects of each category. */
  readonly perClass: readonly number[];
  readonly histograms: readonly HistogramData[];
  /** Rows from the top of how many centres of boxes lie in each part of the picture. */
  readonly positions: readonly (readonly number[])[];
  /** Absent for a model without anchors. */
  readonly anchors?: AnchorsData;
}

export interface HistogramData {
  readonly measure: 'size' | 'aspect' | 'perPicture';
  /** Bin i is from edges[i] up to, not including, edges[i + 1]; the outer ones are open. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
}

export interface AnchorsData {
  /** Objects by how well the best anchor covers them: a bin for each of `edges`. */
  readonly edges: readonly number[];
  readonly counts: readonly number[];
  /** Share of the objects that some anchor covers to the IoU from which it is an example of one. */
  readonly covered: number;
  readonly iouThreshold: number;
}
