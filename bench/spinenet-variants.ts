// Time and memory of a training step (bf16, SGD) and of a prediction of each SpineNet, RetinaNet with 80 classes, each in a
// process of its own. Usage: node bench/dist/spinenet-variants.js [--size N] [--images N] [--threads N] [--only 49S|49|96|143|190]
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { manualSeed, randn, SGD, scope, setThreads, tensor } from '@goshawk/torch';
import { buildModel, inPrecision, parseConfig, totalLoss, unscaledBatch } from 'goshawk';

const { values } = parseArgs({
  options: {
    size: { type: 'string', default: '256' },
    images: { type: 'string', default: '2' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});

/** Scales of anchors and convolutions of the head by variant, as SpineNet-Pytorch's configs have them. */
const VARIANTS = {
  '49S': { scale: 3, convolutions: 4 },
  '49': { scale: 3, convolutions: 4 },
  '96': { scale: 3, convolutions: 4 },
  '143': { scale: 4, convolutions: 4 },
  '190': { scale: 4, convolutions: 7 },
} as const;

function measure(variant: keyof typeof VARIANTS): void {
  const [size, images] = [Number(values.size), Number(values.images)];
  setThreads(Number(values.threads));
  manualSeed(0);
  const { scale, convolutions } = VARIANTS[variant];
  const config = parseConfig(
    `
model:
  type: retinanet
  conventions: mmdetection
  backbone: { type: spinenet, variant: '${variant}' }
  anchors: { octaveBaseScale: ${scale} }
  head: { convolutions: ${convolutions}, norm: batch_per_level, normEps: 0.001, backgroundIou: 0.5, boxLoss: smooth_l1 }
`,
    { file: variant },
  );
  const model = buildModel(config.model, { classes: 80 }).to({ memoryFormat: 'channels_last' }).train();
  const optimizer = new SGD(model.namedParameters(), { lr: 1e-3, momentum: 0.9 });
  const box = [size / 8, size / 8, size / 2, size / 2];
  const step = (): number => {
    const begun = performance.now();
    scope(() => {
      const pixels = randn([images, 3, size, size]).to({ memoryFormat: 'channels_last' });
      const batch = unscaledBatch(
        pixels,
        Array.from({ length: images }, () => [size, size] as const),
      );
      const targets = batch.sizes.map(() => ({
        boxes: tensor(box, { shape: [1, 4] }),
        labels: tensor([7], { dtype: 'int64' }),
      }));
      totalLoss(inPrecision('bf16', 'cpu', () => model.loss(batch, targets))).backward();
    });
    optimizer.step();
    optimizer.zeroGrad();
    return (performance.now() - begun) / 1000;
  };
  const predict = (): number => {
    const begun = performance.now();
    scope(() => {
      const pixels = randn([1, 3, size, size]).to({ memoryFormat: 'channels_last' });
      inPrecision('bf16', 'cpu', () => model.eval().predict(unscaledBatch(pixels, [[size, size]])));
    });
    return (performance.now() - begun) / 1000;
  };
  // The first of each pays for allocations and for oneDNN's choice of kernels.
  const [, training] = [step(), step()];
  const trainingBytes = process.resourceUsage().maxRSS * 1024;
  const [, predicting] = [predict(), predict()];
  const parameters = model.parameters().reduce((sum, { length }) => sum + length, 0);
  console.log(
    `SpineNet-${variant}: ${(parameters / 1e6).toFixed(2)} M parameters; training step of ${images} x ${size}x${size} ${training.toFixed(2)} s, ` +
      `at most ${(trainingBytes / 1e9).toFixed(2)} GB; prediction ${predicting.toFixed(3)} s`,
  );
}

const wanted = Object.keys(VARIANTS).find((variant) => variant === values.only);
if (wanted) {
  measure(wanted as keyof typeof VARIANTS);
} else {
  for (const variant of Object.keys(VARIANTS)) {
    const { size, images, threads } = values;
    const options = ['--size', size, '--images', images, '--threads', threads, '--only', variant];
    execFileSync(process.execPath, [fileURLToPath(import.meta.url), ...options], { stdio: 'inherit' });
  }
}
