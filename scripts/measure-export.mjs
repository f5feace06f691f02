// Measures how far exported detectors agree with the engine: the rows of docs/export.md's tables.
//   node scripts/measure-export.mjs PHOTOS DETECTOR... [--parity WORD] [--pictures 20] [--precision fp32|fp16|int8]
//     [--calibrate PHOTOS] [--annotations FILE]
// PHOTOS, DETECTORs, --parity and --pictures are as measured-detectors.mjs says. int8 is calibrated on the pictures of the folder behind
// those that are measured on, or on those of --calibrate.
// Needs a finished `tsc -b` and onnxruntime-node. Exit code 1 where a row of fp32 or of halves does not hold what docs/export.md promises,
// or where nothing was found, which shows nothing.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  AGREEMENT_COLUMNS,
  agreementCells,
  askedMeasurement,
  exported,
  printHead,
  printRow,
  problemsOf,
} from './measured-detectors.mjs';

const asked = askedMeasurement('measure-export', {
  precision: { type: 'string', default: 'fp32' },
  calibrate: { type: 'string' },
  annotations: { type: 'string' },
});
const { pictures, detectors, options } = asked;
const { precision } = options;
const others = options.calibrate === undefined ? asked.others : [options.calibrate];

let isGood = true;
const COLUMNS = {
  fp32: ['model', 'MB', ...AGREEMENT_COLUMNS, 'AP, engine and file', 'batch', 'holds'],
  fp16: ['model', 'MB', 'against the engine with', ...AGREEMENT_COLUMNS, 'AP, engine and file', 'batch', 'holds'],
  int8: ['model', 'MB', ...AGREEMENT_COLUMNS, 'AP, engine and file', 'batch', 'seconds a picture, fp32 and int8'],
};
const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-measure-export-'));
try {
  printHead(COLUMNS[precision]);
  for (const { name, files } of detectors) {
    const begun = performance.now();
    const rows = rowsOf(name, await files(folder));
    for (const row of rows) printRow(row);
    console.error(`measure-export: ${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  }
} finally {
  rmSync(folder, { recursive: true });
}
if (!isGood) process.exitCode = 1;

function rowsOf(name, files) {
  const facts = exported(files, path.join(folder, 'model.onnx'), [
    ...['--precision', precision, '--verify', ...pictures],
    ...(precision === 'int8' ? ['--calibrate', ...others] : []),
    ...(options.annotations === undefined ? [] : ['--annotations', options.annotations]),
  ]);
  const { agreement, halves, direct, batch } = facts;
  const size = (facts.bytes / 1e6).toFixed(1);
  const found = agreementCells(agreement);
  const aps = precisionWords(facts.precision);
  const together = batchWords(batch);
  const batchProblems = batch?.unmatched > 0 ? ['a batch has other detections than single pictures'] : [];
  switch (precision) {
    case 'fp32': {
      const apart = facts.precision.some(({ engine, exported: other }) => Math.abs(engine - other) > 1e-3);
      const problems = [...problemsOf(agreement), ...batchProblems, ...(apart ? ['AP over 0.001 apart'] : [])];
      const rows = [[name, size, ...found, aps, together, verdict(problems)]];
      const same = "the same against the engine without Winograd's convolutions";
      if (direct) rows.push([same, size, ...agreementCells(direct), '-', '-', verdict(problemsOf(direct))]);
      return rows;
    }
    case 'fp16':
      // Rounding moves what is found: promised is that the file computes what its weights say.
      return [
        [name, size, 'whole weights', ...found, aps, together, agreement.detections > 0 ? '-' : verdict(['nothing'])],
        [
          '',
          size,
          'the same halves',
          ...agreementCells(halves),
          '-',
          '-',
          verdict([...problemsOf(halves), ...batchProblems]),
        ],
      ];
    case 'int8': {
      const { exported: own, rival } = facts.seconds;
      return [[name, size, ...found, aps, together, `${rival.toFixed(3)}, ${own.toFixed(3)}`]];
    }
    default:
      throw new Error(`measure-export: --precision ${precision}: is none of fp32, fp16 and int8`);
  }
}

function precisionWords(precisions) {
  const words = { bbox: 'boxes', segm: 'masks', keypoints: 'keypoints' };
  const one = (type) => {
    const own = precisions.find((each) => each.type === type);
    return own && `${words[type]} ${own.engine.toFixed(4)}, ${own.exported.toFixed(4)}`;
  };
  return Object.keys(words).map(one).filter(Boolean).join('; ') || '-';
}

function batchWords(batch) {
  if (!batch) return '-';
  const { objects, unmatched, largestDifference } = batch;
  const { box, score, mask } = largestDifference;
  if (unmatched > 0) return `${unmatched} of ${objects} unmatched`;
  if (Math.max(box, score, mask) === 0) return 'equal';
  const apart = Object.entries({ boxes: box, scores: score, masks: mask }).filter(([, most]) => most > 0);
  return apart.map(([what, most]) => `${what} within ${most.toExponential(1)}`).join(', ');
}

function verdict(problems) {
  if (problems.length === 0) return 'yes';
  isGood = false;
  return `NO: ${problems.join(', ')}`;
}
