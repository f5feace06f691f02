// The steps that a picture takes in an mmdetection 1.x config, in the one order that its configs have.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';

export interface Size {
  readonly long: number;
  readonly short: number;
}

export interface Pipeline {
  /** Of which training draws one, or the ends between which it draws. */
  readonly sizes: readonly Size[];
  readonly sizeMode: 'value' | 'range';
  readonly normalize: { readonly mean: readonly number[]; readonly std: readonly number[]; readonly isRgb: boolean };
  readonly padMultiple: number;
  /** Share of mirrored pictures. */
  readonly flip: number;
  /** data.jitter of ours. */
  readonly jitter?: ConfigPart;
}

const TRAIN_STEPS = [
  'LoadImageFromFile',
  'LoadAnnotations',
  'Resize',
  'RandomCrop',
  'RandomFlip',
  'Normalize',
  'Pad',
  'DefaultFormatBundle',
  'Collect',
] as const;
const TEST_STEPS = ['LoadImageFromFile', 'MultiScaleFlipAug'] as const;
const INNER_TEST_STEPS = ['Resize', 'RandomFlip', 'Normalize', 'Pad', 'ImageToTensor', 'Collect'] as const;

export function readTrainPipeline(steps: readonly Section[]): Pipeline {
  const named = byType(steps, TRAIN_STEPS);
  passTransport(named);
  const resize = need(named, 'Resize', steps);
  resize.fixed('keep_ratio', true);
  const sizes = readSizes(resize);
  const ratios = resize.isGiven('ratio_range') ? resize.numbers('ratio_range') : undefined;
  const pad = need(named, 'Pad', steps);
  const jitter = readJitter(resize, { ratios, sizes, crop: named.get('RandomCrop'), pad });
  const pipeline = {
    sizes,
    sizeMode: readSizeMode(resize, sizes),
    normalize: readNormalize(need(named, 'Normalize', steps)),
    padMultiple: jitter === undefined ? pad.count('size_divisor') : 1,
    flip: named.get('RandomFlip')?.number('flip_ratio', 0) ?? 0,
    ...(jitter === undefined ? {} : { jitter }),
  };
  for (const step of named.values()) step.finish();
  return pipeline;
}

export function readTestPipeline(steps: readonly Section[]): Pipeline {
  const named = byType(steps, TEST_STEPS);
  passTransport(named);
  const whole = need(named, 'MultiScaleFlipAug', steps);
  const sizes = readSizes(whole);
  if (sizes.length > 1)
    throw whole.wrong(
      'img_scale',
      `${sizes.length} sizes are not read: give one, and several by inference.augment of ours`,
    );
  whole.fixed('flip', false);
  const inner = byType(whole.sections('transforms'), INNER_TEST_STEPS);
  passTransport(inner);
  need(inner, 'Resize', steps).fixed('keep_ratio', true);
  inner.get('RandomFlip')?.passOver('flip_ratio');
  const pipeline = {
    sizes,
    sizeMode: 'value' as const,
    normalize: readNormalize(need(inner, 'Normalize', steps)),
    padMultiple: inner.get('Pad')?.count('size_divisor') ?? 1,
    flip: 0,
  };
  for (const step of [...named.values(), ...inner.values()]) step.finish();
  return pipeline;
}

/** Every step once, in the order of `known`. */
function byType<T extends string>(steps: readonly Section[], known: readonly T[]): Map<T, Section> {
  const named = new Map<T, Section>();
  let last = -1;
  for (const step of steps) {
    const type = step.choice('type', known);
    const place = known.indexOf(type);
    if (place <= last)
      throw step.wrong(
        'type',
        `${type} stands after ${known[last]}, which is not supported: the order is ${known.join(', ')}`,
      );
    last = place;
    named.set(type, step);
  }
  return named;
}

function need<T extends string>(named: ReadonlyMap<T, Section>, type: T, steps: readonly Section[]): Section {
  const step = named.get(type);
  if (step !== undefined) return step;
  const [first] = steps;
  throw first === undefined
    ? new Error(`internal: a pipeline without ${type}`)
    : first.wrong('type', `the pipeline has no ${type}: add it`);
}

/** How pictures and labels travel inside mmdetection. */
function passTransport(named: ReadonlyMap<string, Section>): void {
  named.get('LoadImageFromFile')?.passOver('to_float32', 'color_type');
  named.get('LoadAnnotations')?.passOver('with_bbox', 'with_mask', 'with_label', 'poly2mask');
  named.get('ImageToTensor')?.passOver('keys');
  named.get('Collect')?.passOver('keys', 'meta_keys');
}

/** `img_scale`, two numbers in either order, or a list of such. */
function readSizes(step: Section): Size[] {
  return step.pairs('img_scale').map(([a, b]) => ({ long: Math.max(a, b), short: Math.min(a, b) }));
}

/** Without several sizes it says nothing. */
function readSizeMode(resize: Section, sizes: readonly Size[]): Pipeline['sizeMode'] {
  if (sizes.length > 1) return resize.choice('multiscale_mode', ['value', 'range'], 'range');
  resize.passOver('multiscale_mode');
  return 'value';
}

function readNormalize(step: Section): Pipeline['normalize'] {
  return { mean: step.numbers('mean'), std: step.numbers('std'), isRgb: step.flag('to_rgb', true) };
}

interface JitterSteps {
  readonly ratios: readonly number[] | undefined;
  readonly sizes: readonly Size[];
  readonly crop: Section | undefined;
  readonly pad: Section;
}

/** Resize with ratio_range, RandomCrop and Pad to one size are large-scale jitter; none of them alone is supported. */
function readJitter(resize: Section, { ratios, sizes, crop, pad }: JitterSteps): ConfigPart | undefined {
  const isPaddedToSize = pad.isGiven('size');
  if (ratios === undefined && crop === undefined && !isPaddedToSize) return undefined;
  if (ratios === undefined || crop === undefined || !isPaddedToSize)
    throw resize.wrong(
      'ratio_range',
      'ratio_range, RandomCrop and the size of Pad are supported together: give all three, or none',
    );
  const [height, width] = crop.pairs('crop_size')[0]!;
  pad.fixed('size', [height, width]);
  const [size] = sizes;
  if (sizes.length !== 1 || size?.long !== Math.max(height, width) || size.short !== Math.min(height, width))
    throw crop.wrong('crop_size', 'differs from img_scale of Resize, which is not supported: set both alike');
  if (height !== width) throw crop.wrong('crop_size', 'is not square, which is not supported: set both sides alike');
  const [minScale, maxScale] = ratios;
  if (minScale === undefined || maxScale === undefined)
    throw resize.wrong('ratio_range', 'expected the smallest and the largest factor: write (0.5, 2.0)');
  return { size: [height, width], minScale, maxScale };
}
