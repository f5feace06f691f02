// Trainings that are interrupted and go on from their checkpoints.
import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { before, describe, test } from 'node:test';
import { canAutocast, manualSeed, openSafetensors } from '@goshawk/torch';
import { inputError } from '../testing/input-error.js';
import { figuresOf } from '../testing/run-figures.js';
import { writeTinyDataset } from '../testing/tiny-dataset.js';
import { FLOAT16, tinyTrainings } from '../testing/tiny-trainings.js';
import { checkpointPath, listCheckpoints } from './checkpoint.js';
import { readMetrics } from './metrics-log.js';
import { train } from './trainer.js';

const { folder, configOf, outputOf, run } = tinyTrainings();

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

describe('a folder in which another training stopped is refused', () => {
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
