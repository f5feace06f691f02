// The engine's own allocator of tensors against glibc's, as this package sets it and with its thresholds set by hand, and against
// jemalloc: Mask R-CNN R-50-FPN, a training step and a prediction, each allocator in a process of its own, in turns in one run.
// Options: [--rounds N] [--threads N] [--only train|predict] [--idle SECONDS] [--jemalloc FILE]
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { saveSafetensors } from './fresh-weights.js';
import { median, PeerProcess } from './peer-process.js';
import { keptMemory } from './tuned-peer.js';

interface Run {
  readonly seconds: number;
  readonly processor_seconds: number;
}
interface Memory {
  readonly peak_bytes: number;
  readonly page_faults: number;
  readonly resident_bytes: number;
}

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
    idle: { type: 'string', default: '130' },
    jemalloc: { type: 'string', default: '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2' },
  },
});

const allocators: Readonly<Record<string, NodeJS.ProcessEnv>> = {
  own: {},
  'glibc as set here': { GOSHAWK_ALLOCATOR: 'malloc' },
  'glibc, thresholds set': { GOSHAWK_ALLOCATOR: 'malloc', ...keptMemory },
  ...(existsSync(values.jemalloc) && { jemalloc: { GOSHAWK_ALLOCATOR: 'malloc', LD_PRELOAD: values.jemalloc } }),
};
// Of the engine's own memory goes back after twice 60 s at the latest.
const idleSeconds = Number(values.idle);

const folder = mkdtempSync(join(tmpdir(), 'goshawk-bench-'));
try {
  const weights = join(folder, 'weights.safetensors');
  saveSafetensors('mask_rcnn', weights);
  if (values.only !== 'predict') await compare('train', [512, 512], 2, weights);
  if (values.only !== 'train') await compare('predict', [800, 1066], 1, weights);
} finally {
  rmSync(folder, { recursive: true });
}

async function compare(mode: 'train' | 'predict', size: readonly number[], images: number, weights: string) {
  const threads = values.threads;
  const script = fileURLToPath(new URL('./detector-ours.js', import.meta.url));
  const setup = {
    do: 'setup',
    model: 'mask_rcnn',
    threads: Number(threads),
    size,
    images,
    mode,
    precision: 'fp32',
    weights,
  };
  const sides = Object.entries(allocators).map(([name, env]) => ({
    name,
    process: new PeerProcess(process.execPath, [script], { ...process.env, OMP_NUM_THREADS: threads, ...env }),
    runs: [] as Run[],
    faults: 0,
  }));
  try {
    for (const side of sides) await side.process.ask(setup);
    for (let round = -1; round < Number(values.rounds); round++)
      for (const side of sides) {
        const run = await side.process.ask<Run>({ do: 'run' });
        if (round >= 0) side.runs.push(run);
        else side.faults = (await side.process.ask<Memory>({ do: 'memory' })).page_faults;
      }
    const after = await Promise.all(sides.map(({ process }) => process.ask<Memory>({ do: 'memory' })));
    await sleep(idleSeconds * 1000);
    for (const [index, { name, process, runs, faults }] of sides.entries()) {
      const { peak_bytes, page_faults, resident_bytes } = after[index]!;
      const idle = await process.ask<Memory>({ do: 'memory' });
      const seconds = runs.map((run) => run.seconds);
      const ratios = seconds.map((own, round) => sides[0]!.runs[round]!.seconds / own);
      console.log(
        `${mode} ${images} x ${size.join('x')}, ${threads} threads, ${name}: ${median(seconds).toFixed(3)} s, own / this ${median(ratios).toFixed(3)} ` +
          `(${Math.min(...ratios).toFixed(3)}..${Math.max(...ratios).toFixed(3)}), processor ${median(runs.map((run) => run.processor_seconds)).toFixed(3)} s; ` +
          `fresh pages: ${faults} to the end of the first, then ${Math.round((page_faults - faults) / runs.length)} each; ` +
          `memory: peak ${gigabytes(peak_bytes)}, after it ${gigabytes(resident_bytes)}, ${idleSeconds} s later ${gigabytes(idle.resident_bytes)} GB`,
      );
    }
  } finally {
    for (const { process } of sides) process.close();
  }
}

function gigabytes(bytes: number): string {
  return (bytes / 1e9).toFixed(2);
}
