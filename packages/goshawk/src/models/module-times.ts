// Where the time of a prediction goes, by module, beside what the machine computes at best.
import { Conv2d, dropFolded, type Module, noGrad, randn, scope } from '@goshawk/torch';
import { COUNTED_ROIS } from './complexity.js';
import type { Detector } from './detector.js';
import type { HeightWidth } from './structures.js';

/** A module with everything below it. */
export interface ModuleTime {
  /** State name inside its parent; '' for the model. */
  readonly name: string;
  /** Median over the rounds. What runs between a module's children counts for the module alone. */
  readonly milliseconds: number;
  readonly children: readonly ModuleTime[];
}

/**
 * Times the layers of a model for one image of `size` (padded, network pixels), with as many RoIs in the second stage as
 * {@link COUNTED_ROIS} says: a prediction but for its picking of candidates and its masks in the picture's pixels. The model goes into
 * evaluation mode; the first round, which lays out weights, does not count.
 * @param run what a round is done in: a precision
 */
export function moduleTimes(
  model: Detector,
  [height, width]: HeightWidth,
  { rounds = 5, run = (body) => body() }: { readonly rounds?: number; readonly run?: (body: () => void) => void } = {},
): ModuleTime {
  model.eval();
  const pixels = randn([1, 3, height, width]).to({ memoryFormat: 'channels_last' });
  const spent = new Map<Module, number>();
  const restore = timeCalls(model, spent);
  const samples = new Map<Module, number[]>();
  try {
    for (let round = -1; round < rounds; round++) {
      spent.clear();
      const begun = performance.now();
      noGrad(() => scope(() => run(() => model.runLayers(pixels, COUNTED_ROIS))));
      spent.set(model, performance.now() - begun);
      if (round < 0) continue;
      for (const [module, time] of spent) samples.set(module, [...(samples.get(module) ?? []), time]);
    }
  } finally {
    restore();
    pixels.dispose();
  }
  return summarise('', model, samples);
}

/**
 * Multiply-accumulates a millisecond of a convolution that no model of ours has a faster one than: 3x3, 256 channels, in memory
 * pixel by pixel, by the engine's own kernel. The best of the rounds.
 */
export function measuredPeak(run: (body: () => void) => void = (body) => body()): number {
  return noGrad(() =>
    scope(() => {
      // Of stride 2: the engine's own, never one by fewer products.
      const conv = new Conv2d(256, 256, 3, { padding: 1, stride: 2 }).to({ memoryFormat: 'channels_last' }).eval();
      const input = randn([1, 256, 128, 128]).to({ memoryFormat: 'channels_last' });
      const times = Array.from({ length: 9 }, () => {
        const begun = performance.now();
        scope(() => run(() => conv.forward(input)));
        return performance.now() - begun;
      });
      dropFolded(conv);
      return (64 * 64 * 256 * 256 * 9) / Math.min(...times);
    }),
  );
}

type Method = (...args: unknown[]) => unknown;

/** The calls by which modules are run; a convolution that a norm is folded into has no forward() of its own. */
const METHODS = ['forward', 'constant', 'convolve'] as const;

/** Lets every module below `model` add up the time of its outermost calls. @returns what undoes it */
function timeCalls(model: Module, spent: Map<Module, number>): () => void {
  const running = new Set<Module>();
  const wrapped: [Record<string, unknown>, string][] = [];
  for (const module of model.modules()) {
    if (module === model) continue;
    const methods = module as unknown as Record<string, unknown>;
    for (const name of METHODS) {
      const method = methods[name];
      if (typeof method !== 'function') continue;
      const own: Method = (...args) => {
        if (running.has(module)) return Reflect.apply(method, module, args);
        running.add(module);
        const begun = performance.now();
        try {
          return Reflect.apply(method, module, args);
        } finally {
          running.delete(module);
          spent.set(module, (spent.get(module) ?? 0) + performance.now() - begun);
        }
      };
      Object.defineProperty(methods, name, { value: own, configurable: true, writable: true, enumerable: false });
      wrapped.push([methods, name]);
    }
  }
  return () => {
    for (const [methods, name] of wrapped) delete methods[name];
  };
}

function summarise(name: string, module: Module, samples: ReadonlyMap<Module, readonly number[]>): ModuleTime {
  const children = Array.from(module.namedChildren(), ([child, part]) => summarise(child, part, samples));
  const own = samples.get(module);
  // A list of modules, such as a head, may have no call of its own.
  const below = children.reduce((sum, child) => sum + child.milliseconds, 0);
  return { name, milliseconds: own ? median(own) : below, children };
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}
