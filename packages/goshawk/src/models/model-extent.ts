// How much memory a model would ask for, found before any is: its parameters and the largest tensor on an image's way through
// its layers, from shapes alone.
import { noGrad, scope, Tensor, zeros } from '@goshawk/torch';
import type { ModelConfig, RunConfig } from '../config/index.js';
import { type BuildOptions, buildModel } from './build.js';
import type { Detector } from './detector.js';
import { detectorKind } from './kinds.js';
import { withShapesAlone } from './shapes-alone.js';
import type { HeightWidth } from './structures.js';

export interface ModelExtent {
  readonly parameters: number;
  /** State name of the part that has most of them. */
  readonly heaviest: string;
  /** Elements of the largest tensor for one image. */
  readonly elements: number;
  /** State name of the layer that makes it. */
  readonly widest: string;
}

/** A model whose layers do not fit together. */
export class UnfitModelError extends Error {
  override readonly name = 'UnfitModelError';
  /** State name of the layer that was reached; '' while the model was built. */
  readonly part: string;

  constructor(part: string, cause: unknown) {
    super(`internal: the layers of a model do not fit together at '${part}'`, { cause });
    this.part = part;
  }
}

/**
 * @throws UnfitModelError where it cannot be built or run
 * @throws InputError of a part that checks its own plan
 */
export function modelExtent(
  config: Pick<RunConfig, 'model' | 'preprocess' | 'data'>,
  options: BuildOptions,
): ModelExtent {
  const { model } = config;
  // What the second stage makes for each class, it makes for the wanted one alone.
  const classes = detectorKind(model).roiHeads.length === 0 ? options.classes : Math.min(options.classes, FEW_CLASSES);
  const ofLayers = largestTensor(config, { ...options, classes });
  // Building is half of the work.
  return classes === options.classes ? ofLayers : { ...ofLayers, ...countParameters(model, options) };
}

/** COCO's, whose ids reach 90, are among them. */
const FEW_CLASSES = 100;

export function countParameters(
  model: ModelConfig,
  options: BuildOptions,
): Pick<ModelExtent, 'parameters' | 'heaviest'> {
  return withModel(model, options, parametersOf);
}

function parametersOf(detector: Detector): Pick<ModelExtent, 'parameters' | 'heaviest'> {
  const counts = new Map<string, number>();
  for (const [name, { length }] of detector.namedParameters()) {
    const part = name.split('.').slice(0, 2).join('.');
    counts.set(part, (counts.get(part) ?? 0) + length);
  }
  let [heaviest, most, parameters] = ['', -1, 0];
  for (const [part, count] of counts) {
    parameters += count;
    if (count > most) [heaviest, most] = [part, count];
  }
  return { parameters, heaviest };
}

function largestTensor(config: Pick<RunConfig, 'model' | 'preprocess' | 'data'>, options: BuildOptions): ModelExtent {
  let elements = 0;
  let [latest, widest] = ['', ''];
  const names = new Map<unknown, string>();
  return withModel(
    config.model,
    options,
    (detector) => {
      for (const [name, parameter] of detector.namedParameters()) names.set(parameter, name.replace(/\.[^.]+$/, ''));
      try {
        noGrad(() => detector.runLayers(zeros([1, 3, ...networkSize(config)]), roiCounts(config.model)));
      } catch (error) {
        throw isInputError(error) ? error : new UnfitModelError(latest, error);
      }
      return { ...parametersOf(detector), elements, widest };
    },
    (args, result) => {
      const parameter = args.find((arg) => names.has(arg));
      if (parameter !== undefined) latest = names.get(parameter)!;
      if (result instanceof Tensor && result.length > elements && names.size > 0)
        [elements, widest] = [result.length, latest];
    },
  );
}

function withModel<T>(
  model: ModelConfig,
  options: BuildOptions,
  body: (detector: Detector) => T,
  observe: (args: readonly unknown[], result: unknown) => void = () => {},
): T {
  return withShapesAlone(
    () =>
      scope(() => {
        let detector: Detector;
        try {
          detector = buildModel(model, options);
        } catch (error) {
          throw isInputError(error) ? error : new UnfitModelError('', error);
        }
        try {
          return body(detector);
        } finally {
          for (const tensor of [...detector.parameters(), ...detector.buffers()]) tensor.dispose();
        }
      }),
    (_, args, result) => observe(args, result),
  );
}

function isInputError(error: unknown): boolean {
  return error instanceof Error && error.name === 'InputError';
}

/** The largest input that the config's own numbers ask for, in whole cells of every level. */
function networkSize({
  preprocess: { resize },
  data: { jitter },
}: Pick<RunConfig, 'preprocess' | 'data'>): HeightWidth {
  const long = Math.max(resize.maxSize, resize.trainMaxSize ?? 0);
  const short = Math.min(long, Math.max(resize.minSize, ...resize.trainMinSizes));
  const [height, width] =
    resize.rule === 'none'
      ? USUAL_SIZE
      : resize.rule === 'letterbox'
        ? [resize.maxSize, resize.maxSize]
        : [short, long];
  const sides =
    jitter !== undefined && jitter.size[0] * jitter.size[1] > height * width ? jitter.size : [height, width];
  return [wholeCells(sides[0]!), wholeCells(sides[1]!)];
}

const USUAL_SIZE = [800, 1333] as const;
const COARSEST_STRIDE = 128;
const wholeCells = (side: number): number => Math.ceil(side / COARSEST_STRIDE) * COARSEST_STRIDE;

function roiCounts(model: ModelConfig): { box: number; mask: number } {
  if (!('boxHead' in model)) return { box: 1, mask: 1 };
  const { batchSizePerImage, positiveFraction, maxDetections } = model.boxHead;
  return {
    box: Math.max(model.rpn.postNmsTopN.test, batchSizePerImage),
    mask: Math.max(maxDetections, Math.ceil(batchSizePerImage * positiveFraction)),
  };
}
