// Measures how far exported detectors agree with the engine, a row of docs/export.md's table for each file of weights.
//   node scripts/measure-export.mjs PHOTOS WEIGHTS... [--precision fp16 | int8]     PHOTOS: a folder of pictures
// WEIGHTS are checkpoints that bring their config. Needs a finished `tsc -b` and onnxruntime-node.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-measure-export-'));
const words = process.argv.slice(2);
const at = words.indexOf('--precision');
const [, precision = 'fp32'] = at < 0 ? [] : words.splice(at, 2);
const [photos, ...weights] = words;
if (photos === undefined || weights.length === 0) {
  console.error('measure-export: name a folder of pictures and files of weights');
  process.exit(2);
}

try {
  console.log(
    '| weights | model | precision | MB | pictures | detections | unmatched | least IoU | scores within | masks, least IoU | AP, engine and file |',
  );
  console.log('| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |');
  for (const file of weights) console.log(rowOf(file));
} finally {
  rmSync(folder, { recursive: true });
}

function rowOf(file) {
  const output = path.join(folder, 'model.onnx');
  const calibrate = precision === 'int8' ? ['--calibrate', photos] : [];
  const command = [
    'export',
    file,
    '--output',
    output,
    '--precision',
    precision,
    '--verify',
    photos,
    '--json',
    ...calibrate,
  ];
  const main = path.join(root, 'packages/goshawk/dist/cli/main.js');
  const facts = JSON.parse(execFileSync(process.execPath, [main, ...command], { encoding: 'utf8' }));
  const { pictures, detections, unmatched, leastIou, largestScoreDifference, leastMaskIou } = facts.agreement;
  const name = path.join(path.basename(path.dirname(file)), path.basename(file));
  const cells = [name, facts.model, precision, (facts.bytes / 1e6).toFixed(1), pictures, detections, unmatched];
  const measured = [leastIou.toFixed(4), largestScoreDifference.toExponential(1), leastMaskIou?.toFixed(4) ?? '-'];
  const aps = facts.precision
    .map(({ engine, exported }) => (engine < 0 ? '-' : `${engine.toFixed(4)}, ${exported.toFixed(4)}`))
    .join('; ');
  return `| ${[...cells, ...measured, aps].join(' | ')} |`;
}
