// A detector of ours against torchvision's on the same engine, threads and scenes, in turns in one run.
// Options of the commands: [--python PYTHON] [--rounds N] [--threads N] [--only train|predict] [--precision fp32|bf16] [--tuned]
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, PeerProcess } from './peer-process.js';
import { keptMemory } from './tuned-peer.js';

/** One step or prediction; objects found in the first picture, to see that both sides have as much to do. */
interface Run {
  readonly seconds: number;
  /** Of all threads: what other programs take does not count. Threads that wait for one another may count. */
  readonly processor_seconds: number;
  readonly objects: number;
}

export interface ComparedCase {
  readonly mode: 'train' | 'predict';
  /** Pixels, height first. */
  readonly size: readonly [number, number];
  readonly images: number;
  /** The largest allowed ratio of our time to theirs. */
  readonly required: number;
}

export type ComparedModel = 'mask_rcnn' | 'retinanet' | 'res2net_mask_rcnn' | 'sparse_rcnn';

interface Settings {
  readonly python: string;
  readonly threads: string;
  readonly rounds: number;
  /** Theirs with memory kept and everything in the channels_last format. */
  readonly tuned: boolean;
}

/** Prints a line for each case and precision. */
export async function compareDetector(model: ComparedModel, cases: readonly ComparedCase[]): Promise<void> {
  const { values } = parseArgs({
    options: {
      python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      only: { type: 'string' },
      precision: { type: 'string' },
      tuned: { type: 'boolean', default: false },
    },
  });
  const { python, threads, tuned } = values;
  for (const one of cases) {
    if (values.only && values.only !== one.mode) continue;
    for (const precision of ['fp32', 'bf16'] as const) {
      if (values.precision && values.precision !== precision) continue;
      console.log(await compare(model, one, precision, { python, threads, tuned, rounds: Number(values.rounds) }));
    }
  }
}

async function compare(
  model: ComparedModel,
  { mode, size, images, required }: ComparedCase,
  precision: 'fp32' | 'bf16',
  { python, threads, rounds, tuned }: Settings,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-bench-'));
  const weights = join(folder, 'weights.pth');
  const setup = { do: 'setup', model, threads: Number(threads), size, images, mode, precision, weights };
  const env = { ...process.env, OMP_NUM_THREADS: threads };
  const side = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const ours = new PeerProcess(process.execPath, [side('./detector-ours.js')], env);
  const theirs = new PeerProcess(python, [side('../peers/detector.py')], tuned ? { ...env, ...keptMemory } : env);
  try {
    // They write their fresh weights, we read them: both sides compute the same.
    const them = await theirs.ask<{ version: string; torchvision: string }>({ ...setup, channels_last: tuned });
    const us = await ours.ask<{ version: string }>(setup);
    const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    const processor: typeof times = { ours: [], theirs: [] };
    let objects = [0, 0];
    // The first round pays for allocations and for oneDNN's choice of kernels, on both sides.
    for (let round = -1; round < rounds; round++) {
      const own = await ours.ask<Run>({ do: 'run' });
      const other = await theirs.ask<Run>({ do: 'run' });
      objects = [own.objects, other.objects];
      if (round < 0) continue;
      times.ours.push(own.seconds);
      times.theirs.push(other.seconds);
      processor.ours.push(own.processor_seconds);
      processor.theirs.push(other.processor_seconds);
    }
    const peaks = await Promise.all([ours, theirs].map((each) => each.ask<{ peak_bytes: number }>({ do: 'memory' })));
    const ratio = median(times.ours) / median(times.theirs);
    const spread = times.ours.map((own, round) => own / times.theirs[round]!);
    const memory = peaks[0]!.peak_bytes / peaks[1]!.peak_bytes;
    return (
      `${model} ${mode} ${precision} ${images} x ${size.join('x')}, ${threads} threads: ours ${median(times.ours).toFixed(3)} s, ${tuned ? 'tuned torchvision' : 'torchvision'} ${median(times.theirs).toFixed(3)} s, ` +
      `ratio ${ratio.toFixed(3)} (${Math.min(...spread).toFixed(3)}..${Math.max(...spread).toFixed(3)}, required ${required}), ` +
      `processor time ${median(processor.ours).toFixed(3)} / ${median(processor.theirs).toFixed(3)} s = ${(median(processor.ours) / median(processor.theirs)).toFixed(3)}; ` +
      `${mode === 'predict' ? `${objects.join(' and ')} objects; ` : ''}peak memory ${(peaks[0]!.peak_bytes / 1e9).toFixed(2)} / ${(peaks[1]!.peak_bytes / 1e9).toFixed(2)} GB = ${memory.toFixed(2)}; ` +
      `libtorch ${us.version} / torch ${them.version}, torchvision ${them.torchvision}`
    );
  } finally {
    ours.close();
    theirs.close();
    rmSync(folder, { recursive: true });
  }
}
