// goshawk info: how large the model of a config is, how much it computes, and how long that takes.
import { InputError, paddedBatchSize } from '@goshawk/core';
import type { ModelConfig, RunConfig } from '../config/index.js';
import {
  buildModel,
  COUNTED_ROIS,
  detectorKind,
  type HeightWidth,
  type ModuleComplexity,
  modelComplexity,
} from '../models/index.js';
import { formatTable } from '../terminal/text-table.js';
import { networkShape, timeModel, timeTable } from './info-time.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';

export interface InfoCommandOptions {
  readonly set?: readonly string[];
  readonly shape?: string;
  readonly classes?: string;
  readonly depth: string;
  readonly tree?: boolean;
  readonly json?: boolean;
  /** Whether to measure; a photo whose size is taken. */
  readonly time?: boolean | string;
}

export async function runInfo(configFile: string, options: InfoCommandOptions): Promise<void> {
  const { config } = openCommandConfig(configFile, options.set);
  const size = await sizeOf(config, options);
  const depth = options.tree ? Number.POSITIVE_INFINITY : wholeNumber('--depth', options.depth, 0, 9);
  const { classes, note } = classCount(config.model, options.classes);
  const { height, width } = paddedBatchSize([{ height: size[0], width: size[1] }], config.preprocess.padMultiple);
  const total = modelComplexity(() => buildModel(config.model, { classes }), [height, width]);
  const timed = options.time ? timeModel(config, classes, [height, width], total) : undefined;
  if (options.json) {
    const facts = { config: configFile, model: config.model.type, classes, shape: size, padded: [height, width] };
    console.log(JSON.stringify({ ...facts, rois: COUNTED_ROIS, ...total, ...timed }, undefined, 2));
    return;
  }
  console.log(
    [
      `${configFile}: ${config.model.type}, ${classes} classes${note}`,
      `${total.parameters.toLocaleString('en-US')} parameters, ${total.learningParameters.toLocaleString('en-US')} of them learn`,
      `${giga(total.macs)} G multiply-accumulates for an image of ${size.join(' x ')}, padded to ${height} x ${width}`,
      `${giga(total.flops)} GFLOPs as mmdetection 1.x counts them`,
      '',
      moduleTable(total, depth),
      '',
      ...explanation(config.model),
      ...(timed
        ? [
            '',
            `${timed.times.milliseconds.toFixed(0)} ms on ${timed.threads} thread${timed.threads === 1 ? '' : 's'} in ${timed.precision}, the median of five; a plain convolution reaches ${timed.peakGigaflops.toFixed(0)} GFLOP/s here`,
            '',
            timeTable(timed.times, depth),
            '',
            'Times include what is below a module; shares of the peak above 100 % are those of kernels that take fewer products.',
          ]
        : []),
    ].join('\n'),
  );
}

/** @throws InputError */
async function sizeOf(config: RunConfig, { shape, time }: InfoCommandOptions): Promise<HeightWidth> {
  if (shape !== undefined && typeof time === 'string')
    throw new InputError('usage', '--shape: the photo behind --time has a size already: leave one of them out');
  if (typeof time === 'string') return networkShape(time, config);
  return shape === undefined ? defaultShape(config) : parseShape(shape);
}

function explanation(model: ModelConfig): string[] {
  const { roiHeads } = detectorKind(model);
  const hasMasks = roiHeads.includes('mask');
  const rois = `${COUNTED_ROIS.box} boxes${hasMasks ? ` and ${COUNTED_ROIS.mask} masks` : ''}`;
  const stages = roiHeads.length === 0 ? '' : `, with ${rois} in the second stage`;
  return [
    `Multiply-accumulates are those of convolutions and linear layers${stages}.`,
    ...(hasMasks
      ? ['The last mask layer is counted for all classes, as the literature does; only the wanted one is computed.']
      : []),
    `mmdetection's FLOPs are these and the biases of convolutions, 2 for every element of a norm, 1 for every one that a ReLU or maximum reads${hasMasks ? '; transposed convolutions count four times' : ''}.`,
  ];
}

const giga = (count: number): string => (count / 1e9).toFixed(2);

/** The largest landscape picture that the config's resizing lets through. */
function defaultShape({ preprocess: { resize } }: RunConfig): HeightWidth {
  return [resize.minSize, resize.maxSize];
}

function parseShape(text: string): HeightWidth {
  const match = /^(\d{1,5})(?:x(\d{1,5}))?$/.exec(text);
  // One number is a square, as in mmdetection.
  const sides: HeightWidth = [Number(match?.[1]), Number(match?.[2] ?? match?.[1])];
  if (sides.every((side) => side >= MIN_SIDE && side <= MAX_SIDE)) return sides;
  throw new InputError(
    'usage',
    `--shape ${text}: expected HEIGHT WIDTH or HEIGHTxWIDTH in network pixels, ${MIN_SIDE} to ${MAX_SIDE} each: write for example 800x1333`,
  );
}

// Below, the coarsest level of a pyramid has no cell; above, nobody has a machine for it.
const MIN_SIDE = 32;
const MAX_SIDE = 4096;

function classCount(model: ModelConfig, option: string | undefined): { classes: number; note: string } {
  if (option !== undefined) return { classes: wholeNumber('--classes', option, 1, 100_000), note: '' };
  if (model.classes !== 'from-data') return { classes: model.classes, note: '' };
  return {
    classes: detectorKind(model).cocoClasses,
    note: " (the data decide; these are COCO's: --classes sets another number)",
  };
}

function moduleTable(total: ModuleComplexity, depth: number): string {
  const rows: string[][] = [];
  const walk = (module: ModuleComplexity, level: number): void => {
    rows.push([
      `${'  '.repeat(level)}${level === 0 ? 'model' : module.name}`,
      `${(module.parameters / 1e6).toFixed(3)} M`,
      `${(module.learningParameters / 1e6).toFixed(3)} M`,
      `${(module.macs / 1e9).toFixed(3)} G`,
      `${(module.flops / 1e9).toFixed(3)} G`,
      `${((100 * module.macs) / total.macs).toFixed(1)} %`,
    ]);
    if (level < depth) for (const child of module.children) if (child.parameters > 0) walk(child, level + 1);
  };
  walk(total, 0);
  const head = ['module', 'parameters', 'learning', 'mult-adds', 'FLOPs', 'share'];
  const widths = head.map((name, column) =>
    rows.reduce((widest, row) => Math.max(widest, row[column]!.length), name.length),
  );
  return formatTable(
    [head, ...rows].map((row) => row.map((cell, column) => (column === 0 ? cell : cell.padStart(widths[column]!)))),
  );
}
