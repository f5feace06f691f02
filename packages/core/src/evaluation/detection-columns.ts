// Detections as an evaluation reads them: a few numbers of all, then one after the other whole.
import type { Detection } from '../formats/dataset.js';
import { type DetectionPart, PackedDetections, type PackedMask } from '../formats/packed-detections.js';

/** A list, or packed where there are millions. */
export type Detections = readonly Detection[] | PackedDetections;

export interface DetectionColumns {
  readonly length: number;
  imageId(index: number): number;
  categoryId(index: number): number;
  score(index: number): number;
  has(index: number, part: DetectionPart): boolean;
  at(index: number): Detection;
  /** Writes the box, where there is one, to `out` from its start; whether there is. */
  box(index: number, out: Float64Array): boolean;
  /** Where the mask is packed: what is asked of it before its run lengths are. */
  packedMask(index: number): PackedMask | undefined;
}

export function detectionColumns(detections: Detections): DetectionColumns {
  if (detections instanceof PackedDetections) return packedColumns(detections);
  return {
    length: detections.length,
    imageId: (index) => detections[index]!.imageId,
    categoryId: (index) => detections[index]!.categoryId,
    score: (index) => detections[index]!.score,
    has: (index, part) => detections[index]![part] !== undefined,
    at: (index) => detections[index]!,
    box: (index, out) => {
      const { bbox } = detections[index]!;
      if (bbox === undefined) return false;
      for (let i = 0; i < 4; i++) out[i] = bbox[i]!;
      return true;
    },
    packedMask: () => undefined,
  };
}

function packedColumns(packed: PackedDetections): DetectionColumns {
  return {
    length: packed.length,
    imageId: (index) => packed.imageId(index),
    categoryId: (index) => packed.categoryId(index),
    score: (index) => packed.score(index),
    has: (index, part) => packed.has(index, part),
    at: (index) => packed.at(index)!,
    box: (index, out) => packed.box(index, out),
    packedMask: (index) => packed.mask(index),
  };
}
