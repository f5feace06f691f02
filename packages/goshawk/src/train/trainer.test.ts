// What a training does and leaves.
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { liveTensors, writeSafetensors } from '@goshawk/torch';
import { readDescription } from '../infer/index.js';
import type { Rcnn } from '../models/index.js';
import { resNetOf, tinyDetector } from '../testing/tiny-detector.js';
import { tinyTrainings } from '../testing/tiny-trainings.js';
import { listCheckpoints } from './checkpoint.js';
import { readMetrics } from './metrics-log.js';
import { train } from './trainer.js';
import { NonFiniteLossError } from './training-step.js';

const { folder, configOf, outputOf, run } = tinyTrainings();

/** The models of earlier tests go now, and not while tensors are counted. */
async function collectGarbage(): Promise<void> {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc') as () => void;
  for (let round = 0; round < 3; round++) {
    collect();
    await setImmediate();
  }
}

describe('train', () => {
  test('a program that watches nothing gets the weights of one that does', async () => {
    const sets = ['train.iterations=2', 'data.val=null'];
    const { weights } = await run(outputOf('watched'), { sets });
    const unwatched = await train({ config: configOf(sets), output: outputOf('unwatched') });
    assert.equal(unwatched.iteration, 2);
    assert.deepEqual(readFileSync(unwatched.weights!), readFileSync(weights!));
  });

  test('writes checkpoints, the newest of them kept, the best and the final weights, and a line for each step', async () => {
    const output = outputOf('whole');
    const steps: number[] = [];
    const written: number[] = [];
    const result = await run(output, {
      sets: ['train.evaluateEvery=3'],
      observer: {
        onStep: (step) => steps.push(step.iteration),
        onCheckpoint: (_, iteration) => written.push(iteration),
      },
    });
    assert.deepEqual(steps, [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(written, [2, 4, 6]);
    assert.deepEqual(listCheckpoints(join(output, 'checkpoints')), [4, 6]);
    assert.deepEqual(readdirSync(output).toSorted(), [
      'best.safetensors',
      'checkpoints',
      'config.yaml',
      'final.safetensors',
      'metrics.json',
      'metrics.jsonl',
      'report-pictures',
      'report.html',
      'tensorboard',
    ]);
    assert.deepEqual([result.iteration, result.weights], [6, join(output, 'final.safetensors')]);
    assert.deepEqual([...result.evaluations!.keys()], ['bbox', 'segm']);
    assert.deepEqual(
      result.categories.map(({ name }) => name),
      ['red', 'blue'],
    );
    const lines = readMetrics(join(output, 'metrics.jsonl'));
    assert.deepEqual(
      lines.map(({ iteration }) => iteration),
      [1, 2, 3, 3, 4, 5, 6, 6],
    );
    assert.ok(lines.every((line) => 'bbox/AP' in line || (Number.isFinite(line.loss) && Number.isFinite(line.lr))));
    assert.deepEqual(readDescription(join(output, 'final.safetensors')), {
      config: configOf(['train.evaluateEvery=3']),
      categories: result.categories,
    });
  });

  test('warms the learning rate up', async () => {
    const rates: number[] = [];
    await run(outputOf('warm-up'), {
      sets: ['train.schedule.warmupFactor=0.2', 'train.schedule.steps=[5]'],
      observer: { onStep: (step) => rates.push(step.learningRate) },
    });
    const expected = [0.2, 0.4, 0.6, 0.8, 1, 0.1].map((factor) => factor * 0.01);
    assert.ok(
      rates.every((rate, i) => Math.abs(rate - expected[i]!) < 1e-12),
      rates.join(' '),
    );
  });

  for (const [how, feed] of [
    ['', {}],
    [', fed as a card is', { gathered: true, ahead: true }],
  ] as const)
    test(`keeps no tensors from step to step${how}`, async () => {
      await collectGarbage();
      const alive: number[] = [];
      await run(outputOf(`leak${how}`), { feed, observer: { onStep: () => alive.push(liveTensors()) } });
      assert.deepEqual(new Set(alive.slice(1)).size, 1, alive.join(' '));
    });

  test('comes to the same weights and checkpoints where batches go to the model as to a card, stopped or not', async () => {
    const sets = [
      'data.workers=1',
      'train.accumulate=2',
      'train.batchSize=1',
      'train.clipGradNorm=1',
      'model.backbone.norm=batch',
    ];
    await run(outputOf('fed-plainly'), { sets });
    const feed = { gathered: true, ahead: true };
    const stop = new AbortController();
    const ahead = outputOf('fed-ahead');
    await run(ahead, {
      sets,
      feed,
      signal: stop.signal,
      observer: { onStep: ({ iteration }) => iteration === 3 && stop.abort() },
    });
    await run(ahead, { sets, feed, resume: true });
    for (const file of ['final.safetensors', join('checkpoints', 'iteration-00000006.safetensors')])
      assert.ok(readFileSync(join(outputOf('fed-plainly'), file)).equals(readFileSync(join(ahead, file))), file);
  });

  test('writes nothing where asked, not even a folder, and evaluates nevertheless', async () => {
    const output = outputOf('unsaved');
    const result = await train({ config: configOf(), output, save: false });
    assert.equal(existsSync(output), false);
    assert.deepEqual([result.iteration, result.weights], [6, undefined]);
    assert.deepEqual([...result.evaluations!.keys()], ['bbox', 'segm']);
  });

  test('ends after as many iterations as asked, the rate on its way as without', async () => {
    const rates: number[] = [];
    const result = await run(outputOf('short'), {
      iterations: 2,
      sets: ['train.referenceBatchSize=1', 'train.schedule.warmupFactor=0.2'],
      observer: { onStep: ({ learningRate }) => rates.push(learningRate) },
    });
    assert.equal(result.iteration, 2);
    assert.ok(
      [0.004, 0.008].every((rate, i) => Math.abs(rate - rates[i]!) < 1e-12),
      rates.join(' '),
    );
  });

  test('sums the gradients of its passes where asked: half the rate then does what their mean does', async () => {
    const common = ['train.accumulate=2', 'train.batchSize=1', 'train.optimizer.weightDecay=0', 'train.iterations=3'];
    const mean = await run(outputOf('mean'), { sets: common });
    const summed = await run(outputOf('sum'), {
      sets: [...common, 'train.gradients=sum', 'train.optimizer.lr=0.005'],
    });
    const [a, b] = [mean, summed].map(({ model }) => model.parameters().flatMap((value) => value.toNumbers())) as [
      number[],
      number[],
    ];
    const worst = a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i]!)), 0);
    assert.ok(worst < 1e-5, String(worst));
  });

  test('counts epochs: a started batch belongs to its epoch', async () => {
    const steps: [number, number][] = [];
    const sets = ['train.epochs=3', 'train.schedule.stepUnit=epoch', 'train.schedule.steps=[1,2]'];
    const result = await run(outputOf('epochs'), {
      sets: [...sets, 'train.schedule.warmupIterations=0'],
      observer: { onStep: ({ iteration, learningRate }) => steps.push([iteration, learningRate]) },
    });
    // Two iterations show all three pictures.
    assert.equal(result.iteration, 6);
    const rates = [0.01, 0.01, 0.001, 0.001, 0.0001, 0.0001];
    assert.ok(
      steps.every(([iteration, rate]) => Math.abs(rate - rates[iteration - 1]!) < 1e-12),
      String(steps),
    );
  });

  test('starts from weights, the backbone of the config under those of init', async () => {
    const backbone = join(folder, 'resnet18.safetensors');
    const init = join(folder, 'init.safetensors');
    const write = (path: string, seed: number, prefix: string): void => {
      const entries = [...tinyDetector({ seed }).stateDict()].filter(([name]) => name.startsWith(prefix));
      writeSafetensors(
        path,
        entries.map(([name, value]) => ({
          name: name.slice(prefix.length),
          dtype: value.dtype,
          shape: value.shape,
          data: value.toBytes(),
        })),
      );
    };
    write(backbone, 5, 'backbone.body.');
    write(init, 6, '');
    const sets = [`model.backbone.weights=${backbone}`, 'train.iterations=1', 'model.backbone.frozenStages=5'];
    const fromBackbone = await run(outputOf('from-backbone'), { sets });
    const fromInit = await run(outputOf('from-init'), { sets, init });
    const stemOf = (model: Rcnn): Uint8Array => resNetOf(model).stateDict().get('conv1.weight')!.toBytes();
    const stem = (seed: number): Uint8Array => stemOf(tinyDetector({ seed }));
    assert.deepEqual(stemOf(fromBackbone.model as Rcnn), stem(5));
    assert.deepEqual(stemOf(fromInit.model as Rcnn), stem(6));
  });

  test('does not go on from a loss that is not finite, and names its terms and the pictures', async () => {
    const init = join(folder, 'nan.safetensors');
    const model = tinyDetector();
    const entries = [...model.stateDict()].map(([name, value]) => {
      const data = value.toBytes();
      if (name.endsWith('cls_score.weight')) new Float32Array(data.buffer).fill(Number.NaN);
      return { name, dtype: value.dtype, shape: value.shape, data };
    });
    writeSafetensors(init, entries);
    await assert.rejects(run(outputOf('nan'), { init }), (error: unknown) => {
      assert.ok(error instanceof NonFiniteLossError);
      assert.match(
        error.message,
        /^the loss is not finite \(.*loss_classifier NaN.*loss_objectness 0\.\d+.*\) on picture-\d\.png, picture-\d\.png: lower train\.optimizer\.lr/,
      );
      return true;
    });
    assert.deepEqual(listCheckpoints(join(outputOf('nan'), 'checkpoints')), []);
  });
});
