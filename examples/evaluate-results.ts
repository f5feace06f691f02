// Compares a COCO results file with its annotations, as `goshawk evaluate` does; needs no libtorch.
//
//     node examples/dist/evaluate-results.js val.json detections.json [bbox|segm|keypoints]
import { readFileSync } from 'node:fs';
import { evaluateCoco, formatCocoTable, type IouType, parseCoco, parseCocoResults } from '@goshawk/core';

const [truthFile, resultsFile, wanted = 'bbox'] = process.argv.slice(2);
const iouType = (['bbox', 'segm', 'keypoints'] as const).find((type) => type === wanted);
if (truthFile === undefined || resultsFile === undefined || iouType === undefined) {
  console.error('usage: node examples/dist/evaluate-results.js GROUND_TRUTH DETECTIONS [bbox|segm|keypoints]');
  process.exitCode = 2;
} else {
  evaluate(truthFile, resultsFile, iouType);
}

function evaluate(truthFile: string, resultsFile: string, iouType: IouType): void {
  const truth = parseCoco(readFileSync(truthFile), { fileName: truthFile, purpose: 'evaluation' });
  const results = parseCocoResults(readFileSync(resultsFile), { fileName: resultsFile, dataset: truth.dataset });
  for (const { message } of [...truth.warnings, ...results.warnings]) console.error(`warning: ${message}`);

  const evaluation = evaluateCoco({ groundTruth: truth.dataset, detections: results.detections, iouType });
  console.log(formatCocoTable(evaluation));

  const found = evaluation.perCategory.filter((category) => category.groundTruths > 0);
  const hardest = found.sort((a, b) => a.AP - b.AP).slice(0, 5);
  console.log('\nlowest AP:');
  for (const { name, AP, groundTruths } of hardest)
    console.log(`  ${name}: ${AP.toFixed(3)} on ${groundTruths} objects`);
}
