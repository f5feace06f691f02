import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError, parseCoco } from '@goshawk/core';
import { writeSafetensors } from '@goshawk/torch';
import { configToYaml, type RunConfig } from '../config/index.js';
import { describeDetector } from '../infer/index.js';
import { tinyConfig, tinyDetector } from '../models/tiny-detector.js';
import { detectInProcesses } from './eval-processes.js';
import { writeSyntheticDataset } from './synthetic-dataset.js';

const PICTURES = 5;
const main = fileURLToPath(new URL('./main.js', import.meta.url));

/** Process ids of this process's children. */
function children(): number[] {
  return readdirSync('/proc/self/task').flatMap((task) =>
    readFileSync(`/proc/self/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

async function command(...words: string[]): Promise<{ code: number | null; stderr: string; stdout: string }> {
  const child = spawn(process.execPath, [main, ...words]);
  let stderr = '';
  let stdout = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, stderr, stdout };
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

  test('gives the same bytes with one and with two', async () => {
    const files: Buffer[] = [];
    for (const options of [[], ['--processes', '1'], ['--processes', '2']]) {
      const output = join(folder, `out-${files.length}`);
      const { code, stderr } = await command('eval', configFile, '--weights', weights, '--output', output, ...options);
      assert.equal(code, 0, stderr);
      files.push(readFileSync(join(output, 'detections.json')));
    }
    const [plain, one, two] = files;
    assert.ok(JSON.parse(two!.toString()).length > PICTURES);
    assert.ok(one!.equals(two!));
    assert.ok(plain!.equals(two!));
  });
  test('takes the pictures of a range alone', async () => {
    const output = join(folder, 'range');
    const words = ['eval', configFile, '--weights', weights, '--output', output, '--range', '1', '3'];
    const { code, stderr } = await command(...words, '--processes', '2');
    assert.equal(code, 0, stderr);
    const rows = JSON.parse(readFileSync(join(output, 'detections.json'), 'utf8')) as { image_id: number }[];
    const all = JSON.parse(readFileSync(join(folder, 'out-0', 'detections.json'), 'utf8')) as { image_id: number }[];
    const ids = [...new Set(all.map((row) => row.image_id))];
    assert.deepEqual([...new Set(rows.map((row) => row.image_id))], ids.slice(1, 3));
    assert.deepEqual(
      rows,
      all.filter((row) => ids.slice(1, 3).includes(row.image_id)),
    );
    const empty = await command('eval', configFile, '--weights', weights, '--range', '5', '9');
    assert.deepEqual([empty.code, /--range 5 9: has none of the 5 pictures/.test(empty.stderr)], [2, true]);
    const wrong = await command('eval', configFile, '--weights', weights, '--range', '3', '1');
    assert.deepEqual(
      [wrong.code, /expected the first picture and the one behind the last/.test(wrong.stderr)],
      [2, true],
    );
  });
  test('passes on what is wrong with the input', async () => {
    const job = { config, weights: join(folder, 'missing.safetensors'), split: 'val' as const };
    await assert.rejects(detectInProcesses(job, { processes: 2, pictures: PICTURES }), /missing\.safetensors/);
    const wrong = { ...job, weights, range: [9, 10] as const };
    await assert.rejects(
      detectInProcesses(wrong, { processes: 2, pictures: PICTURES }),
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
        onProgress: () => {
          if (killed !== undefined) return;
          killed = children()[0]!;
          process.kill(killed, 'SIGKILL');
        },
      },
    );
    await assert.rejects(work, /process \d of 2 was ended by SIGKILL after \d pictures/);
  });
});
