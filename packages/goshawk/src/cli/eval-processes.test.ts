import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { InputError, parseCoco } from '@goshawk/core';
import { writeSafetensors } from '@goshawk/torch';
import { configToYaml, type RunConfig } from '../config/index.js';
import { describeDetector } from '../infer/index.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { type EvalCommandOptions, runEval } from './eval.js';
import type { DetectionReceiver } from './eval-job.js';
import { detectInProcesses } from './eval-processes.js';
import { writeSyntheticDataset } from './synthetic-dataset.js';

const PICTURES = 5;

const receiver: DetectionReceiver = { onReady() {}, onFound() {}, onUnusable() {} };

/** Process ids of this process's children. */
function children(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

describe('evaluation in several processes', () => {
  let folder: string;
  let config: RunConfig;
  let weights: string;
  let configFile: string;

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-processes-'));
    const scenes = join(folder, 'scenes');
    await writeSyntheticDataset({
      output: scenes,
      splits: [{ name: 'val', images: PICTURES }],
      width: 96,
      height: 64,
      seed: 1,
      difficulty: 'demo',
    });
    const annotations = join(scenes, 'val.json');
    const { dataset } = parseCoco(readFileSync(annotations, 'utf8'), { fileName: annotations });
    const classes = dataset.categories.length;
    config = tinyConfig([
      `data.val.annotations=${annotations}`,
      `data.val.images=${join(scenes, 'images')}`,
      'model.boxHead.scoreThreshold=0.05',
    ]);
    configFile = join(folder, 'tiny.yaml');
    writeFileSync(configFile, configToYaml(config));
    weights = join(folder, 'tiny.safetensors');
    const state = [...tinyDetector({ classes }).stateDict()];
    writeSafetensors(
      weights,
      state.map(([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
      describeDetector({ config, categories: dataset.categories }),
    );
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    mock.method(console, 'log', () => undefined);
    mock.method(process.stderr, 'write', () => true);
  });

  /** The detections.json of an evaluation. */
  async function evaluate(name: string, options: Partial<EvalCommandOptions>): Promise<Buffer> {
    const output = join(folder, name);
    await runEval(configFile, { weights, output, ...options });
    return readFileSync(join(output, 'detections.json'));
  }

  test('gives the same bytes with one and with two', async () => {
    const plain = await evaluate('plain', {});
    const one = await evaluate('one', { processes: '1' });
    const two = await evaluate('two', { processes: '2' });
    assert.ok(JSON.parse(two.toString()).length > PICTURES);
    assert.ok(one.equals(two));
    assert.ok(plain.equals(two));
  });
  test('takes the pictures of a range alone', async () => {
    type Rows = { readonly image_id: number }[];
    const all = JSON.parse((await evaluate('all', {})).toString()) as Rows;
    const rows = JSON.parse((await evaluate('range', { range: '1:3', processes: '2' })).toString()) as Rows;
    const wanted = [...new Set(all.map((row) => row.image_id))].slice(1, 3);
    assert.deepEqual(
      rows,
      all.filter((row) => wanted.includes(row.image_id)),
    );
    const refused = (range: string, message: RegExp) =>
      assert.rejects(
        evaluate('none', { range }),
        (error) => error instanceof InputError && message.test(error.message),
      );
    await refused('5:9', /--range 5 9: has none of the 5 pictures/);
    for (const range of ['3:1', '3', '0:2:4', '-1:2'])
      await refused(range, /expected the first picture and the one behind the last/);
  });
  test('passes on what is wrong with the input', async () => {
    const job = { config, weights: join(folder, 'missing.safetensors'), split: 'val' as const };
    await assert.rejects(
      detectInProcesses(job, { processes: 2, pictures: PICTURES, receiver }),
      /missing\.safetensors/,
    );
    const wrong = { ...job, weights, range: [9, 10] as const };
    await assert.rejects(
      detectInProcesses(wrong, { processes: 2, pictures: PICTURES, receiver }),
      (error) => error instanceof InputError && error.code === 'usage',
    );
  });
  test('ends with an error when a process is killed', { skip: process.platform !== 'linux' }, async () => {
    let killed: number | undefined;
    const work = detectInProcesses(
      { config, weights, split: 'val' },
      {
        processes: 2,
        pictures: PICTURES,
        receiver: {
          ...receiver,
          onFound: () => {
            if (killed !== undefined) return;
            killed = children()[0]!;
            process.kill(killed, 'SIGKILL');
          },
        },
      },
    );
    await assert.rejects(work, /process \d of 2 was ended by SIGKILL after \d pictures/);
  });
});
