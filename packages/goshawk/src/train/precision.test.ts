// train.precision: fp64, by which a rounding is told from a fault, and fp16, whose scale is halved by steps that overflow.
import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { canAutocast, openSafetensors } from '@goshawk/torch';
import { decodeImageFile } from '../data/index.js';
import { openDetector } from '../infer/index.js';
import { inputError } from '../testing/input-error.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { FLOAT16, tinyTrainings } from '../testing/tiny-trainings.js';
import { checkpointPath, type Progress } from './checkpoint.js';
import { type StepRecord, train } from './trainer.js';

describe('a training in float64', () => {
  let folder: string;
  let data: TinyDataset;
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-double-'));
    data = await writeTinyDataset(folder);
    await train({ config: configOf('fp64'), output: outputOf('whole') });
  });
  after(() => rmSync(folder, { recursive: true }));

  const outputOf = (name: string): string => join(folder, 'runs', name);
  const finalOf = (name: string): string => join(outputOf(name), 'final.safetensors');
  const configOf = (precision: string) =>
    tinyConfig([
      ...data.sets,
      ...[`train.precision=${precision}`, 'train.batchSize=2', 'train.iterations=4', 'train.checkpointEvery=2'],
      ...['train.evaluateEvery=4', 'train.logEvery=1', 'train.ema.decay=0.9'],
    ]);
  const lossesOf = (name: string): number[] =>
    readFileSync(join(outputOf(name), 'metrics.jsonl'), 'utf8')
      .trim()
      .split('\n')
      .flatMap((line) => (JSON.parse(line) as { readonly loss?: number }).loss ?? []);

  test('keeps its weights in float64', () => {
    const file = openSafetensors(finalOf('whole'));
    const types = new Set(file.names.map((name) => file.info(name).dtype));
    file.close();
    assert.deepEqual([...types], ['float64']);
  });

  test('goes on from a checkpoint as if it had never stopped, to the bit', async () => {
    cpSync(outputOf('whole'), outputOf('stopped'), { recursive: true });
    const checkpoints = join(outputOf('stopped'), 'checkpoints');
    rmSync(join(checkpoints, 'iteration-00000004.safetensors'));
    await train({ config: configOf('fp64'), output: outputOf('stopped'), resume: true });
    assert.ok(readFileSync(finalOf('stopped')).equals(readFileSync(finalOf('whole'))));
  });

  test('has the losses of one in float32 but for roundings, which are there', async () => {
    await train({ config: configOf('fp32'), output: outputOf('single') });
    const [wide, single] = [lossesOf('whole'), lossesOf('single')];
    assert.equal(wide.length, 4);
    wide.forEach((loss, step) => {
      assert.ok(Math.abs(loss / single[step]! - 1) < 1e-4, `step ${step}: ${loss} and ${single[step]}`);
    });
    assert.notDeepEqual(wide, single);
  });

  test('its weights predict, also with augmentation, what they predict in float32', async () => {
    const images = [await decodeImageFile(join(data.images, 'picture-1.png'))];
    for (const sets of [[], ['inference.augment.boxes.enabled=true', 'inference.augment.boxes.flip=true']]) {
      const open = (precision: string) => {
        const config = tinyConfig([...data.sets, `train.precision=${precision}`, ...sets]);
        return openDetector({ config, weights: finalOf('whole') });
      };
      const [wide, single] = [open('fp64'), open('fp32')];
      assert.ok(wide.model.parameters().every(({ dtype }) => dtype === 'float64'));
      const [found, other] = [wide.predictor.predict(images)[0]!, single.predictor.predict(images)[0]!];
      assert.ok(found.length > 0);
      assert.equal(found.length, other.length);
      const scores = (of: typeof found): number[] => of.map(({ score }) => score).sort();
      scores(found).forEach((score, i) => {
        assert.ok(Math.abs(score - scores(other)[i]!) < 1e-5);
      });
    }
  });
});

describe('a training in float16', () => {
  const { outputOf, run } = tinyTrainings();

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
