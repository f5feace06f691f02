// SOLOv2-Light from a picture's pixels to its masks at 448 pixels, ours against PyTorch and OpenCV, in turns in one run.
// Options: [--python PYTHON] [--rounds N] [--threads N]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { rleArea } from '@goshawk/core';
import { decodeImageFile, openDetector, parseConfig } from 'goshawk';
import { median, PeerProcess } from './peer-process.js';
import { keptMemory } from './tuned-peer.js';

/** Largest ratio of our time to the peer's. */
const REQUIRED = 0.6;
const SIZE = [640, 480] as const;

const CONFIG = `
model:
  type: solov2
  classes: 80
  backbone: { depth: 18, norm: fixed_statistics }
  maskFeatures: { outputs: 128 }
  # Some fifty candidates, as a trained model has.
  head: { channels: 256, convolutions: 2, maxDetections: 30, scoreThreshold: 0.3 }
preprocess:
  resize: { rule: mmdet, kernel: opencv, minSize: 448, maxSize: 480 }
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
`;

interface Run {
  readonly seconds: number;
  /** Of all threads together. */
  readonly cpuSeconds: number;
  readonly objects: number;
  readonly scores: number;
  readonly pixels: number;
}

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    rounds: { type: 'string', default: '7' },
    threads: { type: 'string', default: '2' },
  },
});

const fixtures = fileURLToPath(
  new URL('../../packages/goshawk/src/parity/fixtures/solov2_light_r18/', import.meta.url),
);
const folder = mkdtempSync(join(tmpdir(), 'goshawk-bench-'));
try {
  for (const tuned of [false, true]) console.log(await compare(tuned));
} finally {
  rmSync(folder, { recursive: true });
}

/** Both sides have the weights of the parity case, which find many objects in any picture. */
async function compare(tuned: boolean): Promise<string> {
  const threads = Number(values.threads);
  const weights = join(folder, 'weights.pth');
  const picture = join(folder, 'picture.png');
  const peer = fileURLToPath(new URL('../peers/solov2.py', import.meta.url));
  const theirs = new PeerProcess(values.python, [peer], {
    ...process.env,
    OMP_NUM_THREADS: values.threads,
    ...(tuned && keptMemory),
  });
  try {
    const { version } = await theirs.ask<{ version: string }>({
      do: 'setup',
      threads,
      weights,
      state: `${fixtures}state.json`,
      picture: `${fixtures}input.png`,
      enlarged: picture,
      size: SIZE,
      channels_last: tuned,
    });
    const config = parseConfig(CONFIG, { file: 'bench', sets: [`runtime.threads=${threads}`] });
    const categories = Array.from({ length: 80 }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
    const { predictor } = openDetector({ config, weights, categories });
    const image = await decodeImageFile(picture);
    const run = (): Run => {
      const [begun, used] = [performance.now(), process.cpuUsage()];
      const [found = []] = predictor.predict([image]);
      const seconds = (performance.now() - begun) / 1000;
      const { user, system } = process.cpuUsage(used);
      const areas = found.map(({ segmentation }) => (segmentation?.kind === 'rle' ? rleArea(segmentation.rle) : 0));
      return {
        seconds,
        cpuSeconds: (user + system) / 1e6,
        objects: found.length,
        scores: sum(found.map(({ score }) => score)),
        pixels: sum(areas),
      };
    };
    const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    const cpu: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    let objects = 0;
    // The first round pays for allocations and for oneDNN's choice of kernels, on both sides.
    for (let round = -1; round < Number(values.rounds); round++) {
      const own = run();
      const other = await theirs.ask<Run>({ do: 'run' });
      requireSame(own, other);
      objects = own.objects;
      if (round < 0) continue;
      times.ours.push(own.seconds);
      times.theirs.push(other.seconds);
      cpu.ours.push(own.cpuSeconds);
      cpu.theirs.push(other.cpuSeconds);
    }
    const ratio = median(times.ours) / median(times.theirs);
    const spread = times.ours.map((own, round) => own / times.theirs[round]!);
    if (ratio > REQUIRED) process.exitCode = 1;
    return (
      `SOLOv2-Light R-18 at 448 px, ${threads} threads: ours ${median(times.ours).toFixed(3)} s, PyTorch ${version} and OpenCV` +
      `${tuned ? ' (tuned: memory kept, channels_last)' : ''} ${median(times.theirs).toFixed(3)} s, ratio ${ratio.toFixed(3)} ` +
      `(${Math.min(...spread).toFixed(3)}..${Math.max(...spread).toFixed(3)}, required ${REQUIRED}); processor ${median(cpu.ours).toFixed(3)} s, ` +
      `${median(cpu.theirs).toFixed(3)} s, ratio ${(median(cpu.ours) / median(cpu.theirs)).toFixed(3)}; ${objects} objects`
    );
  } finally {
    theirs.close();
  }
}

function requireSame(own: Run, other: Run): void {
  const isNear = (a: number, b: number): boolean => Math.abs(a - b) <= 1e-3 * Math.max(a, b);
  if (own.objects !== other.objects || !isNear(own.scores, other.scores) || !isNear(own.pixels, other.pixels))
    throw new Error(`the two sides differ: ours ${JSON.stringify(own)}, theirs ${JSON.stringify(other)}`);
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}
