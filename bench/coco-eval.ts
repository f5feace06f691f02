// COCO evaluation of boxes and masks: this project's and pycocotools', on the same files, in turns, each turn a fresh process.
//
//     node bench/dist/coco-eval.js [--python PYTHON] [--images 5000] [--rounds 3] [--seed 1]
//
// PYTHON needs pycocotools; default: the environment's GOSHAWK_PEER_PYTHON, else python3.
import { spawnSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { evaluateCoco, parseCoco, parseCocoResultsChunks } from '@goshawk/core';
import { writeCocoScenes } from './coco-scenes.js';

const kinds = ['bbox', 'segm'] as const;

/** Of one kind of evaluation in one process: seconds, and the 12 numbers. */
interface Turn {
  readonly load: number;
  readonly evaluate: number;
  readonly stats: readonly number[];
}
interface Report {
  readonly bbox: Turn;
  readonly segm: Turn;
  /** MiB, highest over the process's life. */
  readonly peakMemory: number;
}

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    images: { type: 'string', default: '5000' },
    rounds: { type: 'string', default: '3' },
    seed: { type: 'string', default: '1' },
    // Internal: evaluate the files in this folder once and print a report.
    turn: { type: 'string' },
  },
});

if (options.turn !== undefined) console.log(JSON.stringify(ourTurn(options.turn)));
else compare();

function compare(): void {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-coco-eval-'));
  try {
    const images = Number(options.images);
    console.log(
      `${images} images, 7 objects and 40 detections each, 80 categories, seed ${options.seed}; ${cpus()[0]?.model}, Node ${process.version}`,
    );
    writeCocoScenes(folder, images, Number(options.seed));
    const peer = fileURLToPath(new URL('../peers/coco_eval.py', import.meta.url));
    const ours: Report[] = [];
    const theirs: Report[] = [];
    for (let round = 0; round < Number(options.rounds); round++) {
      theirs.push(turn(options.python, [peer, folder]));
      ours.push(turn(process.execPath, [fileURLToPath(import.meta.url), '--turn', folder]));
      console.log(`round ${round + 1}: pycocotools ${total(theirs.at(-1)!)} s, ours ${total(ours.at(-1)!)} s`);
    }
    report(ours, theirs);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function ourTurn(folder: string): Report {
  const start = performance.now();
  const truth = readFileSync(join(folder, 'gt.json'));
  const { dataset } = parseCoco(truth, { fileName: 'gt.json', purpose: 'evaluation' });
  const loadTruth = (performance.now() - start) / 1000;
  const run = (iouType: 'bbox' | 'segm'): Turn => {
    const begin = performance.now();
    const fileName = `dt_${iouType}.json`;
    const { detections } = parseCocoResultsChunks(chunksOf(join(folder, fileName)), { fileName, dataset });
    const loaded = performance.now();
    const { stats, names } = evaluateCoco({ groundTruth: dataset, detections, iouType });
    const end = performance.now();
    return {
      load: loadTruth + (loaded - begin) / 1000,
      evaluate: (end - loaded) / 1000,
      stats: names.map((name) => stats[name]!),
    };
  };
  const bbox = run('bbox');
  const segm = run('segm');
  return { bbox, segm, peakMemory: process.resourceUsage().maxRSS / 1024 };
}

/** A file as goshawk evaluate reads it. */
function* chunksOf(file: string): Generator<Uint8Array, void, void> {
  const opened = openSync(file, 'r');
  const buffer = new Uint8Array(4 * 2 ** 20);
  for (let bytes = readSync(opened, buffer); bytes > 0; bytes = readSync(opened, buffer))
    yield buffer.subarray(0, bytes);
  closeSync(opened);
}

function turn(program: string, args: readonly string[]): Report {
  const { status, stdout, stderr, error } = spawnSync(program, args, { encoding: 'utf8', maxBuffer: 2 ** 26 });
  if (status !== 0) throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? stderr}`);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Report;
}

function report(ours: readonly Report[], theirs: readonly Report[]): void {
  const row = (name: string, pick: (report: Report) => number, digits: number) => {
    const [a, b] = [spread(ours.map(pick)), spread(theirs.map(pick))];
    const show = (s: Spread) => `${s.median.toFixed(digits)} (${s.min.toFixed(digits)}-${s.max.toFixed(digits)})`;
    console.log(
      `${name.padEnd(34)} ours ${show(a).padEnd(20)} pycocotools ${show(b).padEnd(22)} ratio ${(a.median / b.median).toFixed(4)}`,
    );
  };
  for (const kind of kinds) {
    row(`${kind}: evaluate, s`, (r) => r[kind].evaluate, 3);
    row(`${kind}: load and evaluate, s`, (r) => r[kind].load + r[kind].evaluate, 3);
  }
  row('bbox + segm: evaluate, s', (r) => r.bbox.evaluate + r.segm.evaluate, 3);
  row(
    'bbox + segm: load and evaluate, s',
    (r) => kinds.reduce((sum, kind) => sum + r[kind].load + r[kind].evaluate, 0),
    3,
  );
  row('peak memory of the process, MiB', (r) => r.peakMemory, 0);
  const worst = Math.max(
    ...kinds.flatMap((kind) => ours[0]![kind].stats.map((value, i) => Math.abs(value - theirs[0]![kind].stats[i]!))),
  );
  console.log(
    `bbox AP ${ours[0]!.bbox.stats[0]!.toFixed(4)}, segm AP ${ours[0]!.segm.stats[0]!.toFixed(4)}; ` +
      `largest difference of the 24 numbers ${worst.toExponential(1)}`,
  );
  if (!(worst <= 1e-9)) {
    console.error('FAILED: the numbers differ by more than 1e-9');
    process.exitCode = 1;
  }
}

interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

function spread(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  const median = (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle) - 1]!) / 2;
  return { median, min: sorted[0]!, max: sorted.at(-1)! };
}

function total(report: Report): string {
  return (report.bbox.evaluate + report.segm.evaluate).toFixed(2);
}
