// The figures that a data set's own challenge is measured by, besides COCO's.
import { type Detection, evaluateCityscapes, evaluateVoc, formatCityscapesTable, formatVocTable } from '@goshawk/core';
import type { DetectionDataset } from '../data/index.js';

export interface NativeEvaluation {
  /** By name of the measure (voc, voc07, cityscapes): its mean and AP by class, -1 for a class without objects. */
  readonly metrics: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly table: string;
}

/**
 * PASCAL VOC's AP in both conventions for VOC data, Cityscapes' AP for Cityscapes where the detections have masks;
 * undefined where there is none.
 */
export function evaluateAsChallenge(
  { format, annotations }: Pick<DetectionDataset, 'format' | 'annotations'>,
  detections: readonly Detection[],
): NativeEvaluation | undefined {
  switch (format) {
    case 'coco':
    case 'yolo':
    case 'labelme':
    case 'cvat':
      return undefined;
    case 'voc': {
      if (detections.some(({ bbox }) => bbox === undefined)) return undefined;
      const [voc07, voc] = (['11-point', 'area'] as const).map((metric) =>
        evaluateVoc({ groundTruth: annotations, detections, metric }),
      );
      const byClass = ({ map, perClass }: NonNullable<typeof voc>) => ({
        mAP: map,
        ...Object.fromEntries(perClass.map(({ name, ap }) => [name, ap])),
      });
      return { metrics: { voc07: byClass(voc07!), voc: byClass(voc!) }, table: formatVocTable([voc07!, voc!]) };
    }
    case 'cityscapes': {
      if (detections.some(({ segmentation }) => segmentation === undefined)) return undefined;
      const result = evaluateCityscapes({ groundTruth: annotations, detections });
      const byClass = Object.fromEntries(result.perClass.map(({ name, ap }) => [name, ap]));
      return {
        metrics: { cityscapes: { AP: result.ap, AP50: result.ap50, ...byClass } },
        table: formatCityscapesTable(result),
      };
    }
  }
}
