import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hostMemory, trimMemory } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { buildModel } from '../models/index.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { settleBatchSize } from './settle-batch-size.js';
import { type TrainOptions, train } from './trainer.js';
import { openSplit } from './training-data.js';

let folder: string;
let data: TinyDataset;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-batch-size-'));
  data = await writeTinyDataset(folder);
});
after(() => rmSync(folder, { recursive: true }));

const configOf = (sets: readonly string[]) =>
  tinyConfig([...data.sets, 'data.val=null', 'train.iterations=3', 'train.checkpointEvery=1', ...sets]);
const run = async (name: string, sets: readonly string[], options: Partial<TrainOptions> = {}) => {
  const lines: string[] = [];
  const line = { update: () => {}, note: (text: string) => lines.push(text), done: () => {} };
  const output = join(folder, name);
  const result = await train({ config: configOf(sets), output, line, ...options });
  return { ...result, output, lines };
};
const recorded = (output: string) =>
  parseConfig(readFileSync(join(output, 'config.yaml'), 'utf8'), { file: 'config.yaml' }).train.batchSize;
const choiceIn = (lines: readonly string[]) => lines.find((line) => line.startsWith('train.batchSize: '));

describe('train.batchSize: auto', () => {
  test('takes what fits into a limit that is forced upon it', async (context) => {
    if (hostMemory() === undefined) return context.skip('tensors have the memory of malloc, which is not counted');
    const config = configOf(['preprocess.resize.minSize=256', 'preprocess.resize.maxSize=384', 'train.batchSize=auto']);
    const opened = openSplit(config, 'train', { purpose: 'training' });
    const twice = opened.samples.map((sample) => ({ ...sample }));
    const trainSet = { ...opened, samples: [...opened.samples, ...twice] };
    const build = () => buildModel(config.model, { classes: 2 }).to({ memoryFormat: 'channels_last' });
    // Exact where the process as a whole is not: what tensors hold.
    const taken: number[] = [];
    const gauge = (free: number) => ({
      used: hostMemory()!.inUse,
      free,
      async mostDuring(work: () => Promise<void>): Promise<number> {
        trimMemory();
        await work();
        taken.push(hostMemory()!.mostInUse);
        return hostMemory()!.mostInUse;
      },
    });
    const settle = async (free: number) =>
      (await settleBatchSize(config, { trainSet, build, resumed: undefined, gauge: gauge(free) })).config.train
        .batchSize;
    const used = hostMemory()!.inUse;
    assert.equal(await settle(100e9), 4);
    const [one, two, four] = taken.map((bytes) => bytes - used) as [number, number, number];
    assert.ok(one > 1e6 && two > 1.4 * one && four > 1.4 * two, taken.join(', '));
    // Four fifths of what is free count. What a process has taken at most it never takes back: smaller limits come by a fresh gauge.
    const replayed = async (free: number) => {
      const bytes = [one, two, four].map((own) => own + used);
      const mostDuring = async (): Promise<number> => bytes.shift()!;
      const settled = await settleBatchSize(config, {
        trainSet,
        build,
        resumed: undefined,
        gauge: { used, free, mostDuring },
      });
      return settled.config.train.batchSize;
    };
    assert.equal(await replayed((1.01 * four) / 0.8), 4);
    assert.equal(await replayed((0.99 * four) / 0.8), 2);
    assert.equal(await replayed((1.01 * one) / 0.8), 1);
  });

  test('is a number in the run, said in a line, and the same training as with that number', async () => {
    const auto = await run('auto', ['train.batchSize=auto']);
    assert.equal(recorded(auto.output), 2);
    assert.match(
      choiceIn(auto.lines)!,
      /^train\.batchSize: auto is 2: (a step takes .* of the .* that are free; more than 3 are not tried|the memory .*); the learning rate stays as given: train\.referenceBatchSize scales it$/,
    );
    const given = await run('given', ['train.batchSize=2']);
    assert.equal(choiceIn(given.lines), undefined);
    assert.deepEqual(readFileSync(auto.weights!), readFileSync(given.weights!));
  });

  test('the learning rate follows where the config says for how many pictures it is', async () => {
    const { lines } = await run('scaled', [
      'train.batchSize=auto',
      'train.referenceBatchSize=16',
      'train.iterations=2',
    ]);
    assert.ok(lines.some((line) => /^for 2 images a step instead of 16: learning rate/.test(line)));
    assert.doesNotMatch(choiceIn(lines)!, /learning rate/);
  });

  test('a run that is resumed keeps what it began with', async () => {
    const sets = ['train.iterations=4'];
    const whole = await run('whole', [...sets, 'train.batchSize=1']);
    const stop = new AbortController();
    const signalled = { signal: stop.signal, observer: { onStep: () => stop.abort() } };
    const first = await run('resumed', [...sets, 'train.batchSize=1'], signalled);
    assert.equal(first.iteration, 1);
    const again = await run('resumed', [...sets, 'train.batchSize=auto'], { resume: true });
    assert.equal(choiceIn(again.lines), 'train.batchSize: auto is 1: as the run began with');
    assert.equal(recorded(again.output), 1);
    assert.deepEqual(readFileSync(again.weights!), readFileSync(whole.weights!));
  });
});
