import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { canAutocast, liveTensors, manualSeed, openSafetensors, writeSafetensors } from '@goshawk/torch';
import { readDescription } from '../infer/index.js';
import type { Rcnn } from '../models/index.js';
import { inputError } from '../testing/input-error.js';
import { figuresOf } from '../testing/run-figures.js';
import { writeTinyDataset } from '../testing/tiny-dataset.js';
import { resNetOf, tinyDetector } from '../testing/tiny-detector.js';
import { tinyTrainings } from '../testing/tiny-trainings.js';
import { checkpointPath, listCheckpoints, type Progress } from './checkpoint.js';
import { readMetrics } from './metrics-log.js';
import { type StepRecord, train } from './trainer.js';
import { NonFiniteLossError } from './training-step.js';

const { folder, configOf, outputOf, run } = tinyTrainings();

const FLOAT16 = ['train.precision=fp16', 'train.batchSize=1'];

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
});

describe('a training in float16', () => {
  test('is refused by name where the engine has none on the CPU', { skip: canAutocast('float16') }, async () => {
    await assert.rejects(
      run(outputOf('refused-float16'), { sets: FLOAT16 }),
      inputError(/^train\.precision: fp16 on the CPU needs libtorch 2\.4 or newer/),
    );
    assert.equal(existsSync(outputOf('refused-float16')), false);
  });

  test('leaves out the steps that overflow, halves the scale by each, and learns', {
    skip: !canAutocast('float16'),
  }, async () => {
    const output = outputOf('float16');
    const steps: StepRecord[] = [];
    const sets = [...FLOAT16, 'train.iterations=12', 'train.clipGradNorm=1000', 'data.val=null'];
    await run(output, { sets, observer: { onStep: (step) => steps.push(step) } });
    const overflows = steps.filter(({ gradientNorm }) => !Number.isFinite(gradientNorm)).length;
    assert.ok(overflows > 0 && overflows < 8, `${overflows} of 12`);
    const checkpoint = openSafetensors(checkpointPath(join(output, 'checkpoints'), 12));
    const { scaler } = JSON.parse(checkpoint.metadata.get('progress')!) as Progress;
    checkpoint.close();
    assert.equal(scaler?.scale, 65536 / 2 ** overflows);

    // The logged loss is without the scale.
    const single: StepRecord[] = [];
    const observer = { onStep: (step: StepRecord) => single.push(step) };
    await run(outputOf('float32'), { sets: ['train.iterations=1', 'train.batchSize=1', 'data.val=null'], observer });
    const [first, last] = [steps[0]!.totalLoss, steps.at(-1)!.totalLoss];
    assert.ok(Math.abs(first - single[0]!.totalLoss) < 0.01 * first, `${first}, in float32 ${single[0]!.totalLoss}`);
    assert.ok(last < first / 2, `from ${first} to ${last}`);
  });
});

describe('a training that is interrupted and resumed', () => {
  const cases: readonly (readonly [what: string, sets: readonly string[]])[] = [
    ['with SGD in float32 and a worker', ['data.workers=1', 'train.evaluateEvery=3']],
    [
      'with AdamW in bfloat16, accumulated and clipped',
      [
        'train.optimizer.type=adamw',
        'train.precision=bf16',
        'train.batchSize=1',
        'train.accumulate=2',
        'train.clipGradNorm=1',
        'model.backbone.norm=batch',
      ],
    ],
    [
      'with jitter, rules for biases and norms, and corrected momentum',
      [
        'data.jitter.size=[64,64]',
        'train.optimizer.biasLrFactor=2',
        'train.optimizer.biasWeightDecay=0',
        'train.optimizer.normWeightDecay=0',
        'train.momentumCorrection=true',
        'train.schedule.steps=[3,5]',
        'model.backbone.norm=batch',
      ],
    ],
    [
      "with Detectron's Adam and cropped pictures",
      ['train.optimizer.type=adam', 'train.optimizer.biasLrFactor=2', 'data.aspectCropping={low: 0.9, high: 1.1}'],
    ],
    // Its first steps overflow: the scale that a checkpoint keeps is not the one that trainings start from.
    ...(canAutocast('float16')
      ? ([['in float16, accumulated and clipped', [...FLOAT16, 'train.accumulate=2', 'train.clipGradNorm=1']]] as const)
      : []),
  ];
  for (const [index, [what, sets]] of cases.entries()) {
    test(`ends as if it never stopped, bit for bit, ${what}`, async () => {
      const whole = outputOf(`uninterrupted-${index}`);
      const stopped = outputOf(`interrupted-${index}`);
      await run(whole, { sets });

      const stop = new AbortController();
      const first = await run(stopped, {
        sets,
        signal: stop.signal,
        observer: { onStep: ({ iteration }) => iteration === 3 && stop.abort() },
      });
      assert.deepEqual([first.iteration, first.weights], [3, undefined]);
      assert.equal(existsSync(checkpointPath(join(stopped, 'checkpoints'), 3)), true);
      // Another program would start from other random numbers.
      manualSeed(12345);
      await run(stopped, { sets, resume: true });

      for (const file of ['final.safetensors', join('checkpoints', 'iteration-00000006.safetensors')])
        assert.ok(readFileSync(join(whole, file)).equals(readFileSync(join(stopped, file))), `${file} differs`);
      assert.deepEqual(figuresOf(stopped), figuresOf(whole));
    });
  }

  test('goes on from the last checkpoint when it was killed after it, and writes its lines again', async () => {
    const whole = outputOf('uninterrupted-0');
    const killed = outputOf('killed');
    const sets = cases[0]![1];
    const stop = new AbortController();
    await run(killed, {
      sets,
      signal: stop.signal,
      observer: { onStep: ({ iteration }) => iteration === 5 && stop.abort() },
    });
    // A kill would have left the lines of iteration 5 and no checkpoint of it.
    rmSync(checkpointPath(join(killed, 'checkpoints'), 5));
    assert.equal(readMetrics(join(killed, 'metrics.jsonl')).at(-1)?.iteration, 5);
    const started: number[] = [];
    await run(killed, { sets, resume: true, observer: { onStart: ({ iteration }) => started.push(iteration) } });
    assert.deepEqual(started, [4]);
    const name = 'final.safetensors';
    assert.ok(readFileSync(join(whole, name)).equals(readFileSync(join(killed, name))));
    assert.deepEqual(figuresOf(killed), figuresOf(whole));
  });

  test('writes the final weights when nothing else was left to do', async () => {
    const output = outputOf('uninterrupted-0');
    const before = readFileSync(join(output, 'final.safetensors'));
    rmSync(join(output, 'final.safetensors'));
    await run(output, { sets: cases[0]![1], resume: true });
    assert.ok(readFileSync(join(output, 'final.safetensors')).equals(before));
  });

  test('hears the signal while workers keep ahead of it', async () => {
    const stop = new AbortController();
    const sets = ['train.iterations=2000', 'train.checkpointEvery=2000', 'data.workers=1'];
    // Batches that are there already must leave the event loop its turns, in one of which the signal comes.
    const onStep = ({ iteration }: { readonly iteration: number }) => {
      if (iteration === 1) setTimeout(() => stop.abort(), 100);
    };
    const result = await run(outputOf('timely'), { sets, signal: stop.signal, observer: { onStep } });
    assert.ok(result.iteration < 500, `went on to iteration ${result.iteration}`);
    assert.deepEqual(listCheckpoints(join(outputOf('timely'), 'checkpoints')), [result.iteration]);
  });

  test('does not begin where the signal has come before', async () => {
    const output = outputOf('never');
    const result = await run(output, { signal: AbortSignal.abort() });
    assert.deepEqual([result.iteration, listCheckpoints(join(output, 'checkpoints'))], [0, []]);
  });
});

describe('train refuses', () => {
  test('to go on from a loss that is not finite, naming its terms and the pictures', async () => {
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

  describe('with a folder in which another training stopped', () => {
    let output: string;
    before(async () => {
      output = outputOf('earlier');
      await run(output, { sets: ['train.iterations=2'] });
    });

    test('to begin anew', async () => {
      await assert.rejects(
        run(output),
        inputError(
          /earlier: has checkpoints of an earlier training: continue it with --resume, or choose another --output$/,
        ),
      );
    });

    test('to resume another model', async () => {
      await assert.rejects(
        run(output, { resume: true, sets: ['model.backbone.width=16'] }),
        inputError(/iteration-00000002\.safetensors: \d+ of .* do not fit: backbone\.body\.conv1\.weight is \[8, /),
      );
    });

    test('to resume with another optimizer', async () => {
      await assert.rejects(
        run(output, { resume: true, sets: ['train.optimizer.type=adamw'] }),
        inputError(
          /iteration-00000002\.safetensors: optimizer state: .*: resume with the config that it was written under$/,
        ),
      );
    });

    test('to resume on data of other categories', async () => {
      const other = await writeTinyDataset(folder, {
        name: 'renamed.json',
        categories: [
          { id: 2, name: 'red' },
          { id: 5, name: 'green' },
        ],
      });
      await assert.rejects(
        train({ config: configOf(['train.iterations=4'], other), output, resume: true }),
        inputError(
          /renamed\.json: its categories differ from those in .*iteration-00000002\.safetensors \(.*'green' \(id 5\) is there and not here/,
        ),
      );
    });

    test('nothing when it resumes and trains longer, without the files that it once started from', async () => {
      const sets = ['train.iterations=3', 'model.backbone.weights=gone.pth'];
      const result = await run(output, { resume: true, sets, init: 'gone-too.pth' });
      assert.equal(result.iteration, 3);
    });
  });
});

describe('a checkpoint', () => {
  test('of training holds weights, optimizer, random numbers and progress', () => {
    const file = openSafetensors(checkpointPath(join(outputOf('uninterrupted-0'), 'checkpoints'), 6));
    try {
      const kinds = new Set(file.names.map((name) => name.split('/').slice(0, -1).join('/')));
      assert.deepEqual([...kinds].toSorted(), ['', 'optimizer', 'random']);
      assert.equal(JSON.parse(file.metadata.get('progress')!).iteration, 6);
    } finally {
      file.close();
    }
  });
});
