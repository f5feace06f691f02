// A training that takes a minute: made scenes, a small Mask R-CNN, and the goshawk command that runs it.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command that is measured: `node goshawk ...`. */
export const goshawk = fileURLToPath(new URL('../../packages/goshawk/bin/goshawk.js', import.meta.url));

/** Values of a config's `train` part. */
export type TrainValues = Readonly<Record<string, unknown>> & { readonly iterations: number };

export interface TinyTraining {
  readonly images: number;
  /** Of the engine. One is quickest for layers this small, above all on a busy machine. */
  readonly threads: number;
  readonly train: TrainValues;
  /** Pictures to validate on. Default none. */
  readonly validation?: number;
}

/** Makes `folder`/scenes and `folder`/config.yaml; returns the config's path. */
export function makeTinyTraining(folder: string, { images, threads, train, validation = 0 }: TinyTraining): string {
  const scenes = join(folder, 'scenes');
  const splits = validation === 0 ? `train=${images}` : `train=${images},val=${validation}`;
  const size = ['--size', '128x96', '--split', splits];
  runGoshawk(['data', 'synth', '--output', scenes, '--seed', '7', ...size]);
  const config = join(folder, 'config.yaml');
  writeFileSync(
    config,
    JSON.stringify({
      model: {
        type: 'mask_rcnn',
        backbone: { depth: 18, width: 8, norm: 'batch', frozenStages: 0 },
        neck: { channels: 16 },
        anchors: { sizes: [[8], [16], [32], [64], [96]] },
        rpn: {
          preNmsTopN: { train: 200, test: 200 },
          postNmsTopN: { train: 100, test: 100 },
          batchSizePerImage: 64,
        },
        boxHead: { batchSizePerImage: 32, hiddenSize: 32 },
        maskHead: { channels: [16] },
      },
      preprocess: { resize: { minSize: 80, maxSize: 128, trainMinSizes: [64, 80, 96] } },
      data: {
        train: { annotations: join(scenes, 'train.json'), images: join(scenes, 'images') },
        ...(validation > 0 && { val: { annotations: join(scenes, 'val.json'), images: join(scenes, 'images') } }),
        workers: 1,
      },
      train: { batchSize: 2, optimizer: { lr: 0.01 }, schedule: { warmupIterations: 10 }, ...train },
      runtime: { threads },
    }),
  );
  return config;
}

/** Runs the command to its end. @returns what it printed */
export function runGoshawk(args: readonly string[], env: NodeJS.ProcessEnv = process.env): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, [goshawk, ...args], { encoding: 'utf8', env });
  if (status !== 0) throw new Error(`goshawk ${args.join(' ')} ended with ${status}: ${stderr.trim()}`);
  return stdout;
}

/** One line of metrics.jsonl. */
export interface MetricsLine {
  readonly iteration: number;
  readonly [name: string]: number;
}

/**
 * The lines of a run, all of which must be complete.
 * @param options.afterKill leave out what a kill in the middle of writing left behind the last complete line
 */
export function readMetricsLines(output: string, options: { readonly afterKill?: boolean } = {}): MetricsLine[] {
  const lines = readFileSync(join(output, 'metrics.jsonl'), 'utf8').split('\n');
  const rest = lines.pop();
  if (rest !== '' && !options.afterKill) throw new Error(`${output}/metrics.jsonl: its last line is not complete`);
  return lines.map((line) => JSON.parse(line) as MetricsLine);
}
