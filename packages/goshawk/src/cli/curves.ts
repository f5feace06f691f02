// goshawk curves: losses and measures of one or several runs as a chart, from their metrics.jsonl.
import { existsSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError, type RgbImage } from '@goshawk/core';
import sharp from 'sharp';
import { type Curve, drawCurves } from '../drawing/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { type MetricsRecord, readMetrics } from '../train/metrics-log.js';

export interface CurvesCommandOptions {
  readonly keys?: string;
  readonly smoothing: string;
  readonly log?: boolean;
  readonly output: string;
}

interface Run {
  readonly name: string;
  readonly file: string;
  readonly records: readonly MetricsRecord[];
}

/** What is drawn on one chart. */
interface Panel {
  readonly title: string;
  readonly keys: readonly string[];
}

export async function runCurves(names: readonly string[], options: CurvesCommandOptions): Promise<void> {
  const smoothing = parseSmoothing(options.smoothing);
  requireWritableFile(options.output);
  const runs = names.map(readRun);
  const panels = choosePanels(runs, options.keys);
  const charts = panels.map(async ({ title, keys }) => {
    const curves = curvesOf(runs, keys);
    const common = { title, xLabel: 'iteration', x: { from: 0, to: lastIteration(runs) } };
    // Measures come seldom and are no estimates: they stay as they are.
    if (title === MEASURES) return drawCurves(curves, { ...common, y: { from: 0, to: 1 } });
    return drawCurves(curves, { ...common, smoothing, logarithmic: options.log === true });
  });
  const { data, width, height } = stacked(await Promise.all(charts));
  endTidilyOnSignals();
  const image = sharp(data, { raw: { width, height, channels: 3 } });
  writeFileAtomic(options.output, await image.png().toBuffer());
  const counts = runs.map(({ name, records }) => `${name} ${records.length} lines`).join(', ');
  console.log(`${options.output}: ${panels.flatMap(({ keys }) => keys).join(', ')} (${counts})`);
}

function parseSmoothing(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value < 1) return value;
  throw new InputError(
    'usage',
    `--smoothing ${text}: expected a number from 0 (none) to below 1: write for example 0.9`,
  );
}

/** A run's folder, or its metrics.jsonl. */
function readRun(name: string): Run {
  const isFolder = existsSync(name) && statSync(name).isDirectory();
  const file = isFolder ? path.join(name, 'metrics.jsonl') : name;
  if (!existsSync(file)) {
    const remedy = isFolder ? 'name the output folder of goshawk train' : 'check the path';
    throw new InputError('file-not-found', `${file}: no such file: ${remedy}`);
  }
  const records = readMetrics(file);
  if (records.length === 0)
    throw new InputError('json-invalid', `${file}: has no line with an iteration: is it the metrics.jsonl of a run?`);
  return { name: runName(file), file, records };
}

function runName(file: string): string {
  const absolute = path.resolve(file);
  const base = path.basename(absolute);
  return base === 'metrics.jsonl' ? path.basename(path.dirname(absolute)) : base.replace(/\.jsonl?$/, '');
}

function lastIteration(runs: readonly Run[]): number {
  return runs.flatMap(({ records }) => records).reduce((last, { iteration }) => Math.max(last, iteration), 0);
}

const LOSSES = 'losses';
const MEASURES = 'measures';
const SHOWN_MEASURES = /\/(AP|AP50)$/;

function choosePanels(runs: readonly Run[], asked: string | undefined): Panel[] {
  const known = [...new Set(runs.flatMap(({ records }) => records.flatMap(Object.keys)))].filter(
    (key) => key !== 'iteration',
  );
  if (asked !== undefined) {
    const keys = asked.split(',').map((key) => key.trim());
    for (const key of keys) {
      if (known.includes(key)) continue;
      const files = runs.map(({ file }) => file).join(', ');
      throw new InputError('usage', `--keys ${key}: not in ${files}: the keys there are ${known.join(', ')}`);
    }
    return [{ title: keys.join(', '), keys }];
  }
  const losses = known.filter((key) => key === 'loss' || key.startsWith('loss_'));
  const measures = known.filter((key) => SHOWN_MEASURES.test(key));
  const panels = [
    { title: LOSSES, keys: losses },
    { title: MEASURES, keys: measures },
  ].filter(({ keys }) => keys.length > 0);
  if (panels.length > 0) return panels;
  throw new InputError('usage', `${runs[0]!.file}: has no losses: choose with --keys among ${known.join(', ')}`);
}

function curvesOf(runs: readonly Run[], keys: readonly string[]): Curve[] {
  return runs.flatMap(({ name, records }) =>
    keys.flatMap((key) => {
      const points = records
        .filter((record) => key in record)
        .map((record) => [record.iteration, Number(record[key])] as const);
      return points.length === 0 ? [] : [{ label: runs.length > 1 ? `${name}: ${key}` : key, points }];
    }),
  );
}

/** Pictures of one width below each other. */
function stacked(images: readonly RgbImage[]): RgbImage {
  const width = images[0]!.width;
  const height = images.reduce((sum, image) => sum + image.height, 0);
  const data = new Uint8Array(width * height * 3);
  let at = 0;
  for (const image of images) {
    data.set(image.data, at);
    at += image.data.length;
  }
  return { data, width, height };
}
