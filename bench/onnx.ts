// An exported detector against the file that PyTorch's exporter makes of torchvision's with the same weights, both in onnxruntime-node, in
// turns: time of a picture from its pixels to its detections, and size of the files.
//
//     node bench/dist/onnx.js [--python PYTHON] [--only mask_rcnn|retinanet] [--rounds 5] [--threads 2] [--size 800x1066]
//         [--keep FOLDER] [--profile PREFIX]
//
// PYTHON needs torch, torchvision and onnx; default: the environment's GOSHAWK_PEER_PYTHON, else python3. What it
// exports is kept in FOLDER and used again from there. PREFIX has ONNX Runtime write its profiles. Exit code 1 where ours is
// larger, or takes longer beyond what one round's time differs from another's.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Detection, RgbImage } from '@goshawk/core';
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-node';
import { benchScene } from './detector-scene.js';
import { median } from './peer-process.js';
import { runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    only: { type: 'string' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    size: { type: 'string', default: '800x1066' },
    keep: { type: 'string' },
    profile: { type: 'string' },
  },
});
const [height, width] = options.size.split('x').map(Number) as [number, number];
const session = {
  intraOpNumThreads: Number(options.threads),
  interOpNumThreads: 1,
  logSeverityLevel: 3,
} as const;

interface Found {
  /** xyxy. */
  readonly box: readonly number[];
  readonly score: number;
}

interface Side {
  readonly name: string;
  readonly bytes: number;
  readonly run: () => Promise<Found[]>;
  readonly close: () => Promise<void>;
}

for (const model of ['mask_rcnn', 'retinanet'] as const) {
  if (options.only !== undefined && options.only !== model) continue;
  const folder = options.keep ? join(options.keep, model) : mkdtempSync(join(tmpdir(), 'goshawk-onnx-bench-'));
  mkdirSync(folder, { recursive: true });
  try {
    await compare(model, folder);
  } finally {
    if (!options.keep) rmSync(folder, { recursive: true, force: true });
  }
}

async function compare(model: 'mask_rcnn' | 'retinanet', folder: string): Promise<void> {
  const [weights, theirFile, ourFile] = ['weights.pth', 'theirs.onnx', 'ours.onnx'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const facts = join(folder, 'theirs.json');
  if (!existsSync(facts)) {
    const script = fileURLToPath(new URL('../peers/onnx_export.py', import.meta.url));
    const lines = execFileSync(options.python, [script, model, String(height), String(width), weights, theirFile], {
      encoding: 'utf8',
      env: { ...process.env, OMP_NUM_THREADS: options.threads },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    writeFileSync(facts, lines.trim().split('\n').at(-1)!);
  }
  const about = JSON.parse(readFileSync(facts, 'utf8')) as Readonly<Record<string, string>>;
  const config = join(folder, 'config.yaml');
  const resize = { minSize: Math.min(height, width), maxSize: Math.max(height, width) };
  writeFileSync(config, JSON.stringify({ model: { type: model, classes: 90 }, preprocess: { resize } }));
  runGoshawk(['export', weights, '--config', config, '--output', ourFile]);
  const { image } = benchScene(height, width, 0);
  const sides = [await openOurs(ourFile, image), await openTheirs(theirFile, image)];
  const times = sides.map((): number[] => []);
  let found: Found[][] = [];
  // The first round pays for allocations.
  for (let round = -1; round < Number(options.rounds); round++) {
    found = [];
    for (const [i, side] of sides.entries()) {
      const begun = performance.now();
      found.push(await side.run());
      if (round >= 0) times[i]!.push((performance.now() - begun) / 1000);
    }
  }
  for (const side of sides) await side.close();
  const [own, other] = times as [number[], number[]];
  const ratios = own.map((seconds, round) => seconds / other[round]!);
  const ratio = median(own) / median(other);
  const share = sides[0]!.bytes / sides[1]!.bytes;
  console.log(
    `${model} ${height}x${width}, ${options.threads} threads, ${options.rounds} rounds: ours ${median(own).toFixed(3)} s, ` +
      `PyTorch's file ${median(other).toFixed(3)} s, ratio ${ratio.toFixed(3)} (${Math.min(...ratios).toFixed(3)}..${Math.max(...ratios).toFixed(3)}); ` +
      `${(sides[0]!.bytes / 1e6).toFixed(2)} MB, ${(sides[1]!.bytes / 1e6).toFixed(2)} MB, ratio ${share.toFixed(4)}`,
  );
  console.log(
    `  ${found[0]!.length} and ${found[1]!.length} detections, ${sharedBy(found[0]!, found[1]!)} of them the same; ` +
      `torch ${about.version}, torchvision ${about.torchvision}, opset ${about.opset}, onnxruntime-node ${ort.env.versions.node ?? ''}`,
  );
  if (share > 1 || Math.min(...ratios) > 1) {
    console.log('  FAILED');
    process.exitCode = 1;
  }
}

/** As @goshawk/runtime runs it: preparing the picture and masks as run lengths included. */
async function openOurs(file: string, image: RgbImage): Promise<Side> {
  const own = {
    ...session,
    ...(options.profile && { enableProfiling: true, profileFilePrefix: `${options.profile}-ours` }),
  };
  const detector = await createDetector(ort, readFileSync(file), { session: own });
  return {
    name: 'ours',
    bytes: statSync(file).size,
    run: async () => (await detector.detect([image]))[0]!.map(cornersOf),
    close: () => detector.release(),
  };
}

function cornersOf({ bbox, score }: Detection): Found {
  const [x, y, w, h] = bbox!;
  return { box: [x, y, x + w, y + h], score };
}

/** Its graph resizes and normalises a picture of numbers from 0 to 1, channels first, and ends with masks of the picture's size. */
async function openTheirs(file: string, { data, width: columns, height: rows }: RgbImage): Promise<Side> {
  const own = {
    ...session,
    ...(options.profile && { enableProfiling: true, profileFilePrefix: `${options.profile}-theirs` }),
  };
  const theirs = await ort.InferenceSession.create(file, own);
  return {
    name: 'theirs',
    bytes: statSync(file).size,
    run: async () => {
      const pixels = new Float32Array(data.length);
      const area = rows * columns;
      for (let i = 0; i < area; i++)
        for (let channel = 0; channel < 3; channel++) pixels[channel * area + i] = data[3 * i + channel]! / 255;
      const { boxes, scores } = await theirs.run({ image: new ort.Tensor('float32', pixels, [3, rows, columns]) });
      const corners = boxes!.data as Float32Array;
      return Array.from(scores!.data as Float32Array, (score, i) => ({
        score,
        box: [...corners.subarray(4 * i, 4 * i + 4)],
      }));
    },
    close: () => theirs.release(),
  };
}

/** Detections that both have: a score within a hundredth, an IoU above 0.9. */
function sharedBy(own: readonly Found[], other: readonly Found[]): number {
  const free = new Set(other);
  return own.filter((found) => {
    const match = [...free].find(
      ({ box, score }) => Math.abs(score - found.score) < 0.01 && iouOf(box, found.box) > 0.9,
    );
    if (match) free.delete(match);
    return match !== undefined;
  }).length;
}

function iouOf([ax1, ay1, ax2, ay2]: readonly number[], [bx1, by1, bx2, by2]: readonly number[]): number {
  const side = (low: number, high: number): number => Math.max(0, high - low);
  const shared = side(Math.max(ax1!, bx1!), Math.min(ax2!, bx2!)) * side(Math.max(ay1!, by1!), Math.min(ay2!, by2!));
  const areas = side(ax1!, ax2!) * side(ay1!, ay2!) + side(bx1!, bx2!) * side(by1!, by2!);
  return shared / (areas - shared);
}
