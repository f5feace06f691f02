// A detector of ours against torchvision's on the same engine, threads and scenes, in turns in one run: theirs as it comes, and as its
// best user sets it.
// Options of the commands: [--python PYTHON] [--rounds N] [--threads N] [--only train|predict] [--precision fp32|bf16] [--tuned]
// [--compile]; --tuned leaves theirs as it comes out, --compile has the tuned one's backbone compiled, which takes minutes.
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
  /** The largest allowed ratio of our time to that of the tuned one. */
  readonly required: Readonly<Record<'fp32' | 'bf16', number>>;
}

export type ComparedModel = 'mask_rcnn' | 'retinanet' | 'res2net_mask_rcnn' | 'sparse_rcnn';

interface Settings {
  readonly python: string;
  readonly threads: string;
  readonly rounds: number;
  /** Only theirs with memory kept, everything in the channels_last format and the optimizer fused. */
  readonly tuned: boolean;
  /** And with its backbone compiled. */
  readonly compile: boolean;
}

/** What `setup` and `memory` of both sides answer. */
interface About {
  readonly version: string;
  readonly torchvision?: string;
  /** What of its tuning took effect. */
  readonly tuning?: string;
}

/** Prints a line for each case and precision, and one below it for each of theirs. */
export async function compareDetector(model: ComparedModel, cases: readonly ComparedCase[]): Promise<void> {
  const { values } = parseArgs({
    options: {
      python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
      rounds: { type: 'string', default: '5' },
      threads: { type: 'string', default: '2' },
      only: { type: 'string' },
      precision: { type: 'string' },
      tuned: { type: 'boolean', default: false },
      compile: { type: 'boolean', default: false },
    },
  });
  const { python, threads, tuned, compile } = values;
  for (const one of cases) {
    if (values.only && values.only !== one.mode) continue;
    for (const precision of ['fp32', 'bf16'] as const) {
      if (values.precision && values.precision !== precision) continue;
      console.log(
        await compare(model, one, precision, { python, threads, tuned, compile, rounds: Number(values.rounds) }),
      );
    }
  }
}

async function compare(
  model: ComparedModel,
  { mode, size, images, required }: ComparedCase,
  precision: 'fp32' | 'bf16',
  { python, threads, rounds, tuned, compile }: Settings,
): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-bench-'));
  const weights = join(folder, 'weights.pth');
  const setup = { do: 'setup', model, threads: Number(threads), size, images, mode, precision, weights };
  const env = { ...process.env, OMP_NUM_THREADS: threads };
  const side = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const ours = new PeerProcess(process.execPath, [side('./detector-ours.js')], env);
  const peer = (own: NodeJS.ProcessEnv): PeerProcess =>
    new PeerProcess(python, [side('../peers/detector.py')], { ...env, ...own });
  const theirs = [
    ...(tuned ? [] : [{ name: 'torchvision', process: peer({}), tuned: false }]),
    { name: 'tuned torchvision', process: peer(keptMemory), tuned: true },
  ];
  try {
    // They write their fresh weights, we read them: all sides compute the same.
    const about: About[] = [];
    for (const one of theirs)
      about.push(await one.process.ask<About>({ ...setup, tuned: one.tuned, compile: one.tuned && compile }));
    const us = await ours.ask<About>(setup);
    const sides = [ours, ...theirs.map(({ process }) => process)];
    const runs = sides.map((): Run[] => []);
    // The first round pays for allocations and for oneDNN's choice of kernels, on all sides.
    for (let round = -1; round < rounds; round++)
      for (const [index, each] of sides.entries()) {
        const run = await each.ask<Run>({ do: 'run' });
        if (round >= 0) runs[index]!.push(run);
      }
    const peaks: number[] = [];
    for (const each of sides) peaks.push((await each.ask<{ peak_bytes: number }>({ do: 'memory' })).peak_bytes);
    const own = runs[0]!;
    const seconds = (of: readonly Run[]): number => median(of.map((run) => run.seconds));
    const processor = (of: readonly Run[]): number => median(of.map((run) => run.processor_seconds));
    const lines = [
      `${model} ${mode} ${precision} ${images} x ${size.join('x')}, ${threads} threads: ours ${seconds(own).toFixed(3)} s, ` +
        `processor ${processor(own).toFixed(3)} s, peak ${(peaks[0]! / 1e9).toFixed(2)} GB${objectsIn(own, mode)}; libtorch ${us.version}`,
    ];
    for (const [index, { name }] of theirs.entries()) {
      const others = runs[index + 1]!;
      const spread = own.map((run, round) => run.seconds / others[round]!.seconds);
      const { version, torchvision, tuning } = about[index]!;
      const limit = tuning === undefined ? '' : `, required ${required[precision]}`;
      lines.push(
        `  ${name}${tuning ? ` (${tuning})` : ''}: ${seconds(others).toFixed(3)} s, ratio ${(seconds(own) / seconds(others)).toFixed(3)} ` +
          `(${Math.min(...spread).toFixed(3)}..${Math.max(...spread).toFixed(3)}${limit}), ` +
          `processor ${processor(others).toFixed(3)} s, ratio ${(processor(own) / processor(others)).toFixed(3)}; ` +
          `peak ${(peaks[index + 1]! / 1e9).toFixed(2)} GB, ratio ${(peaks[0]! / peaks[index + 1]!).toFixed(2)}${objectsIn(others, mode)}; ` +
          `torch ${version}, torchvision ${torchvision}`,
      );
    }
    return lines.join('\n');
  } finally {
    for (const { process } of [{ process: ours }, ...theirs]) process.close();
    rmSync(folder, { recursive: true });
  }
}

function objectsIn(runs: readonly Run[], mode: ComparedCase['mode']): string {
  return mode === 'predict' ? `, ${runs.at(-1)?.objects} objects` : '';
}
