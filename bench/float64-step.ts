// How far a model's training step in float32 is from the same step in float64: losses, and each parameter's gradient.
//
//     node bench/dist/float64-step.js CONFIG [--size 256] [--threads 2] [--seed 0]
//
// The two pictures are waves, the weights fresh ones. float64 takes some ten times as long.
import { parseArgs } from 'node:util';
import { keep, manualSeed, ops, rand, scope, setThreads, type Tensor, tensor } from '@goshawk/torch';
import { buildModel, openConfig, totalLoss } from 'goshawk';

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    size: { type: 'string', default: '256' },
    threads: { type: 'string', default: '2' },
    seed: { type: 'string', default: '0' },
  },
});

interface Step {
  readonly seconds: number;
  readonly losses: ReadonlyMap<string, number>;
  /** float64. */
  readonly gradients: ReadonlyMap<string, Tensor>;
}

const CLASSES = 80;
const size = Number(options.size);
const [path] = positionals;
if (path === undefined) throw new Error('name a config');
const { config } = openConfig(path, []);
if (config.model.type !== 'retinanet') throw new Error('name a config of a RetinaNet: its losses sample nothing');
setThreads(Number(options.threads));

const [exact, own] = [step('float64'), step('float32')];
console.log(`float64 ${exact.seconds.toFixed(1)} s, float32 ${own.seconds.toFixed(1)} s; relative differences`);
for (const [name, loss] of exact.losses) console.log(`${name}: ${(own.losses.get(name)! / loss - 1).toExponential(1)}`);
// Of a gradient that is nothing but rounding, as that of a bias before a batch norm, no digit can be right.
const largest = Math.max(...[...exact.gradients.values()].map(sizeOf));
const errors = [...exact.gradients]
  .filter(([, gradient]) => sizeOf(gradient) > 1e-9 * largest)
  .map(([name, gradient]) => scope(() => sizeOf(ops.sub(own.gradients.get(name)!, gradient)) / sizeOf(gradient)))
  .sort((a, b) => a - b);
const median = errors[Math.floor(errors.length / 2)]!;
console.log(`gradients: median ${median.toExponential(1)}, largest ${errors.at(-1)!.toExponential(1)}`);

function step(dtype: 'float32' | 'float64'): Step {
  manualSeed(Number(options.seed));
  const model = buildModel(config.model, { classes: CLASSES }).to({ memoryFormat: 'channels_last' });
  const pixels = twoPictures().to({ memoryFormat: 'channels_last' });
  if (dtype === 'float64') model.to({ dtype });
  model.train();
  return scope(() => {
    const targets = [0.1, 0.4].map((corner) => ({
      boxes: tensor(
        [corner, corner, corner + 0.4, corner + 0.5].map((part) => part * size),
        { shape: [1, 4] },
      ),
      labels: tensor([3], { dtype: 'int64' }),
    }));
    const sizes = [0, 1].map(() => [size, size] as const);
    const scales = [0, 1].map(() => ({ x: 1, y: 1 }));
    const begun = performance.now();
    const losses = model.loss({ pixels: pixels.to(dtype), sizes, originals: sizes, scales }, targets);
    totalLoss(losses).backward();
    return {
      seconds: (performance.now() - begun) / 1000,
      losses: new Map(Object.entries(losses).map(([name, loss]) => [name, loss.item()])),
      gradients: new Map(
        [...model.namedParameters()].flatMap(([name, { grad }]) => (grad ? [[name, keep(grad.to('float64'))]] : [])),
      ),
    };
  });
}

/** Waves of other lengths in each colour of each picture, and a little noise. */
function twoPictures(): Tensor {
  const place = ops.linspace(0, 2 * Math.PI, size);
  const waves = Array.from({ length: 6 }, (_, i) =>
    ops.outer(ops.sin(ops.mul(place, i + 1)), ops.cos(ops.mul(place, 7 - i))),
  );
  return ops.add(ops.stack(waves).reshape([2, 3, size, size]), ops.mul(rand([2, 3, size, size]), 0.3));
}

/** The Euclidean norm. */
function sizeOf(values: Tensor): number {
  return scope(() => Math.sqrt(ops.sum(ops.mul(values, values)).item()));
}
