// The input of a report on made detections.
import { evaluateCoco, formatCocoTable } from '@goshawk/core';
import { measureErrors } from '../report/error-figures.js';
import type { ReportInput } from '../report/write-report.js';
import { type MadeOptions, makeDetections } from './made-detections.js';
import { tinyConfig } from './tiny-detector.js';

/** @param pathOf the file of a picture by its name */
export function madeReport(options: MadeOptions, pathOf: (fileName: string) => string = (name) => name): ReportInput {
  const { dataset, detections } = makeDetections(options);
  const { model, preprocess } = tinyConfig();
  const evaluation = evaluateCoco({ groundTruth: dataset, detections, iouType: 'bbox' });
  return {
    title: 'made',
    about: [['model', model.type]],
    model,
    preprocess,
    name: 'data.val',
    dataset: {
      annotations: dataset,
      samples: dataset.images.map((image) => ({
        image,
        path: pathOf(image.fileName),
        annotations: dataset.annotations.filter(({ imageId }) => imageId === image.id),
      })),
      exifOrientation: 'apply',
    },
    detections,
    measures: {
      figures: { bbox: { ...evaluation.stats } },
      table: formatCocoTable(evaluation),
      evaluations: new Map([['bbox', evaluation]]),
      choosing: evaluation.stats.AP,
    },
    errors: measureErrors(dataset, detections, 'bbox'),
    training: { name: 'data.train', dataset },
    history: [
      { iteration: 20, loss: 2, loss_box: 1.5, lr: 0.1 },
      { iteration: 40, loss: 1, loss_box: 0.5, lr: 0.01 },
      { iteration: 40, 'bbox/AP': 0.25, 'bbox/AP50': 0.5 },
    ],
  };
}
