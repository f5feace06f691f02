// Measures how far exported detectors agree with the engine, a row of docs/export.md's table for each file of weights.
//   node scripts/measure-export.mjs PHOTOS WEIGHTS... [--precision fp32|fp16|int8] [--pictures 20] [--calibrate PHOTOS]
// PHOTOS is a folder of pictures, of which the first so many are taken. WEIGHTS are checkpoints that bring their config; others are named
// with it, and with changes of it, as WEIGHTS:CONFIG,KEY=VALUE,...
// Needs a finished `tsc -b` and onnxruntime-node. Exit code 1 where a row of fp32 or of halves does not hold what docs/export.md promises,
// or where nothing was found, which shows nothing.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    precision: { type: 'string', default: 'fp32' },
    pictures: { type: 'string', default: '20' },
    calibrate: { type: 'string' },
  },
});
const { precision } = options;
const [photos, ...weights] = positionals;
if (photos === undefined || weights.length === 0) {
  console.error('measure-export: name a folder of pictures and files of weights');
  process.exit(2);
}
const pictures = readdirSync(photos, { recursive: true })
  .filter((name) => /\.(jpe?g|png)$/i.test(name))
  .sort()
  .slice(0, Number(options.pictures))
  .map((name) => path.join(photos, name));

const columns = ['weights', 'model', 'precision', 'MB', 'pictures', 'detections', 'unmatched', 'least IoU'];
columns.push(
  'scores within',
  'masks, least IoU (pixels that differ); keypoints',
  'AP, engine and file',
  'batch',
  'holds',
);

const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-measure-export-'));
let isGood = true;
try {
  console.log(`| ${columns.join(' | ')} |`);
  console.log(`|${' --- |'.repeat(columns.length)}`);
  for (const file of weights) for (const row of rowsOf(file)) console.log(row);
} finally {
  rmSync(folder, { recursive: true });
}
if (!isGood) process.exitCode = 1;

function rowsOf(argument) {
  // The config is told by its ending: names of folders may have a colon too.
  const [, file = argument, rest] = /^(.+?):([^:]+\.ya?ml\b.*)$/.exec(argument) ?? [];
  const [config, ...sets] = rest?.split(/,(?=[\w.]+[= ])/) ?? [];
  const output = path.join(folder, 'model.onnx');
  const main = path.join(root, 'packages/goshawk/dist/cli/main.js');
  const command = [
    main,
    'export',
    file,
    '--output',
    output,
    '--precision',
    precision,
    '--verify',
    ...pictures,
    '--json',
  ];
  if (config) command.push('--config', config, ...sets.flatMap((set) => ['--set', set]));
  if (precision === 'int8') command.push('--calibrate', options.calibrate ?? photos);
  const facts = JSON.parse(execFileSync(process.execPath, command, { encoding: 'utf8', maxBuffer: 2 ** 27 }));
  const name = path.join(path.basename(path.dirname(file)), path.basename(file));
  const start = [name, facts.model];
  const size = (facts.bytes / 1e6).toFixed(1);
  const aps = facts.precision
    .map(({ type, engine, exported }) => `${type} ${engine.toFixed(4)}, ${exported.toFixed(4)}`)
    .join('; ');
  const batch = batchWords(facts.batch);
  // Rounding moves what is found: promised is that the file computes what its weights say.
  const rounding = precision === 'fp32' ? problemsOf(facts.agreement, facts) : nothingFound(facts.agreement);
  const rows = [
    [...start, precision, size, ...agreementCells(facts.agreement), aps, batch, verdict(rounding, precision)],
  ];
  for (const [kind, agreement] of [
    ['fp16, engine with the same halves', facts.halves],
    ["fp32, engine without Winograd's convolutions", facts.direct],
  ])
    if (agreement)
      rows.push([
        ...[...start, kind, size, ...agreementCells(agreement), '-', batch],
        verdict(problemsOf(agreement, { ...facts, precision: [] }), 'fp32'),
      ]);
  return rows.map((cells) => `| ${cells.join(' | ')} |`);
}

function agreementCells({ pictures: count, detections, unmatched, leastIou, largestScoreDifference, ...parts }) {
  const { leastMaskIou, leastMask, goodMasks, keypoints } = parts;
  const share = (value) => `${(100 * value).toFixed(1)} %`;
  const ofMasks =
    leastMaskIou === undefined
      ? '-'
      : `${leastMaskIou.toFixed(4)} (${leastMask.differing} of ${leastMask.pixels}); ${share(goodMasks.byIou)} reach 0.99, ${share(goodMasks.byPixel)} within a pixel`;
  const ofKeypoints =
    keypoints &&
    `within ${keypoints.largestDistance.toFixed(3)} pixels, ${keypoints.moved} of ${keypoints.count} moved`;
  const cell = ofKeypoints ?? ofMasks;
  return [count, detections, unmatched, leastIou.toFixed(4), largestScoreDifference.toExponential(1), cell];
}

function batchWords(batch) {
  if (!batch) return '-';
  const { objects, unmatched, largestDifference } = batch;
  const { box, score, mask } = largestDifference;
  return `${objects} objects, ${unmatched} unmatched, boxes ${box.toExponential(1)}, scores ${score.toExponential(1)}, masks ${mask.toExponential(1)}`;
}

function nothingFound({ detections }) {
  return detections === 0 ? ['nothing was found: shows nothing'] : [];
}

function problemsOf(agreement, { precision: aps, batch }) {
  const { unmatched, leastIou, largestScoreDifference, leastMaskIou = 1 } = agreement;
  const checks = [
    [unmatched === 0, 'unmatched detections'],
    [leastIou >= 0.99, 'IoU below 0.99'],
    [largestScoreDifference <= 1e-3, 'scores over 0.001 apart'],
    [leastMaskIou >= 0.99, 'masks below 0.99'],
    [aps.every(({ engine, exported }) => Math.abs(engine - exported) <= 1e-3), 'AP over 0.001 apart'],
    [!batch || batch.unmatched === 0, 'a batch has other detections than single pictures'],
  ];
  return [...nothingFound(agreement), ...checks.filter(([holds]) => !holds).map(([, what]) => what)];
}

function verdict(problems, kind) {
  if (problems.length === 0) return kind === 'fp32' ? 'yes' : '-';
  isGood = false;
  return `NO: ${problems.join(', ')}`;
}
