// goshawk info --time: where the time of a prediction goes, by module.
import { InputError } from '@goshawk/core';
import { engineInfo } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { applyRuntime, inPrecision, prepareBatch, requirePrecision } from '../infer/index.js';
import {
  buildModel,
  type HeightWidth,
  type ModuleComplexity,
  type ModuleTime,
  measuredPeak,
  moduleTimes,
} from '../models/index.js';
import { formatTable } from '../terminal/text-table.js';

/** What a module takes, and how near it comes to the machine's best. */
export interface TimedModule {
  readonly name: string;
  readonly milliseconds: number;
  /** Of the whole, 0 to 1. */
  readonly share: number;
  /** 10^9 products and sums a second, of as many as a plain convolution needs. */
  readonly gigaflops: number;
  /** Of the measured peak; above 1 where fewer products are taken. */
  readonly ofPeak: number;
  readonly children: readonly TimedModule[];
}

/** The size in which a photo enters the network, before padding. @throws InputError where it cannot be read */
export async function networkShape(photo: string, { preprocess }: RunConfig): Promise<HeightWidth> {
  const { images } = prepareBatch([await decodeImageFile(photo)], preprocess);
  return [images[0]!.height, images[0]!.width];
}

/** @param counted the same model's complexity at the same size (padded, network pixels) */
export function timeModel(
  config: RunConfig,
  classes: number,
  size: HeightWidth,
  counted: ModuleComplexity,
): {
  readonly peakGigaflops: number;
  readonly threads: number;
  readonly precision: string;
  readonly times: TimedModule;
} {
  const { device } = config.runtime;
  const { precision } = config.train;
  requirePrecision(precision, device);
  if (precision === 'fp64')
    throw new InputError(
      'config-invalid',
      'train.precision: fp64 is for comparing numbers, and its time is not measured: set it to fp32 or bf16',
    );
  applyRuntime({ ...config.runtime, device: 'cpu' }, { kind: 'prediction' });
  const run = (body: () => void): void => inPrecision(precision, 'cpu', body);
  const peak = measuredPeak(run);
  const model = buildModel(config.model, { classes }).to({ memoryFormat: 'channels_last' });
  const times = moduleTimes(model, size, { run });
  return {
    peakGigaflops: gigaflops(peak),
    threads: engineInfo().threads,
    precision,
    times: withRates(times, counted, { whole: times.milliseconds, peak }),
  };
}

/** A multiply-accumulate is two operations. */
const gigaflops = (macsPerMillisecond: number): number => (2 * macsPerMillisecond) / 1e6;

function withRates(
  time: ModuleTime,
  counted: ModuleComplexity,
  limits: { readonly whole: number; readonly peak: number },
): TimedModule {
  const rate = time.milliseconds > 0 ? counted.macs / time.milliseconds : 0;
  return {
    name: time.name,
    milliseconds: time.milliseconds,
    share: time.milliseconds / limits.whole,
    gigaflops: gigaflops(rate),
    ofPeak: rate / limits.peak,
    children: time.children.map((child, i) => withRates(child, counted.children[i]!, limits)),
  };
}

/** Largest first below each module, down to `depth`; without what takes less than a thousandth of the whole. */
export function timeTable(times: TimedModule, depth: number): string {
  const rows: string[][] = [['module', 'ms', 'share', 'GFLOP/s', 'of peak']];
  const walk = (module: TimedModule, level: number): void => {
    rows.push([
      `${'  '.repeat(level)}${level === 0 ? 'model' : module.name}`,
      module.milliseconds.toFixed(2),
      `${(100 * module.share).toFixed(1)} %`,
      module.gigaflops > 0 ? module.gigaflops.toFixed(0) : '-',
      module.gigaflops > 0 ? `${(100 * module.ofPeak).toFixed(0)} %` : '-',
    ]);
    if (level >= depth) return;
    const shown = module.children.filter(({ share }) => share >= LEAST_SHARE);
    for (const child of shown.sort((a, b) => b.milliseconds - a.milliseconds)) walk(child, level + 1);
  };
  walk(times, 0);
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return formatTable(rows.map((row) => row.map((cell, i) => (i === 0 ? cell : cell.padStart(widths[i]!)))));
}

const LEAST_SHARE = 0.001;
