// Evaluation of a split that has several data sets, and of several pictures a pass.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { parseCoco } from '@goshawk/core';
import { writeSafetensors } from '@goshawk/torch';
import { configToYaml } from '../config/index.js';
import { describeDetector } from '../infer/index.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { type EvalCommandOptions, runEval } from './eval.js';
import { writeSyntheticDataset } from './synthetic-dataset.js';

interface Row {
  readonly image_id: number;
  readonly category_id: number;
  readonly bbox: readonly number[];
  readonly score: number;
}

describe('evaluation', () => {
  let folder: string;
  let weights: string;
  let configFile: string;
  let printed: string[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-sets-'));
    // Wide and tall pictures by turns, whose batches would pad one another.
    const shapes = { wide: [96, 64], tall: [64, 96] } as const;
    for (const [name, [width, height]] of Object.entries(shapes))
      await writeSyntheticDataset({
        output: join(folder, name),
        splits: [{ name, images: 5 }],
        width,
        height,
        seed: width,
        difficulty: 'demo',
      });
    const files = Object.keys(shapes).map((name) => join(folder, name, `${name}.json`));
    const read = files.map((file) => JSON.parse(readFileSync(file, 'utf8')));
    const at = (offset: number, rows: { id: number; image_id?: number; file_name?: string }[], name: string) =>
      rows.map((row) => ({
        ...row,
        id: row.id + offset,
        ...(row.image_id !== undefined && { image_id: row.image_id + offset }),
        ...(row.file_name !== undefined && { file_name: join(name, 'images', row.file_name) }),
      }));
    const mixed = {
      categories: read[0].categories,
      images: [...at(0, read[0].images, 'wide'), ...at(1000, read[1].images, 'tall')].sort(
        (a, b) => (a.id % 1000) - (b.id % 1000),
      ),
      annotations: [...at(0, read[0].annotations, ''), ...at(1000, read[1].annotations, '')],
    };
    const mixedFile = join(folder, 'mixed.json');
    writeFileSync(mixedFile, JSON.stringify(mixed));
    const { dataset } = parseCoco(readFileSync(files[0]!, 'utf8'), { fileName: files[0]! });
    const config = tinyConfig([
      `data.val={annotations: ${files[0]}, images: ${join(folder, 'wide', 'images')}}`,
      `data.val.also=[{annotations: ${files[1]}, images: ${join(folder, 'tall', 'images')}, name: upright}]`,
      `data.test={annotations: ${mixedFile}, images: ${folder}}`,
      'model.boxHead.scoreThreshold=0.05',
      'preprocess.padMultiple=32',
    ]);
    configFile = join(folder, 'tiny.yaml');
    writeFileSync(configFile, configToYaml(config));
    weights = join(folder, 'tiny.safetensors');
    const state = [...tinyDetector({ classes: dataset.categories.length }).stateDict()];
    writeSafetensors(
      weights,
      state.map(([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
      describeDetector({ config, categories: dataset.categories }),
    );
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    printed = [];
    mock.method(console, 'log', (line: string) => printed.push(line));
    mock.method(process.stderr, 'write', () => true);
  });

  async function evaluate(name: string, options: Partial<EvalCommandOptions>): Promise<string> {
    const output = join(folder, 'results', name);
    await runEval(configFile, { weights, output, ...options });
    return output;
  }
  const json = (...path: string[]) => JSON.parse(readFileSync(join(...path), 'utf8'));

  test('measures each data set of a split by itself', async () => {
    const both = await evaluate('both', {});
    assert.equal(printed[0], 'wide:');
    assert.ok(printed.includes('\nupright:'));
    const metrics = json(both, 'metrics.json');
    assert.deepEqual(Object.keys(metrics), ['wide', 'upright']);
    assert.deepEqual(metrics.upright, json(both, 'upright', 'metrics.json'));
    const alone = await evaluate('alone', { set: ['data.val.also=null'] });
    assert.deepEqual(json(alone, 'metrics.json'), metrics.wide);
    assert.deepEqual(json(alone, 'detections.json'), json(both, 'wide', 'detections.json'));
  });

  test('prints one JSON object for all of them', async () => {
    await evaluate('json', { json: true });
    assert.equal(printed.length, 1);
    assert.deepEqual(Object.keys(JSON.parse(printed[0]!)), ['wide', 'upright']);
  });

  test('finds the same with any number of pictures a pass and of processes', async () => {
    const rows = async (name: string, options: Partial<EvalCommandOptions>): Promise<Row[]> =>
      json(await evaluate(name, { split: 'test', ...options }), 'detections.json');
    const one = await rows('one', {});
    assert.ok(one.length > 20);
    for (const [name, options] of [
      ['three', { set: ['inference.batchSize=3'] }],
      ['many', { set: ['inference.batchSize=64'] }],
      ['shared', { set: ['inference.batchSize=4'], processes: '2' }],
    ] as const) {
      const several = await rows(name, options);
      assert.equal(several.length, one.length);
      for (const [i, row] of several.entries()) {
        const same = one[i]!;
        assert.deepEqual([row.image_id, row.category_id], [same.image_id, same.category_id]);
        assert.ok(Math.abs(row.score - same.score) < 1e-5);
        assert.ok(row.bbox.every((side, k) => Math.abs(side - same.bbox[k]!) < 1e-2));
      }
    }
  });
});
