import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, mock, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { setThreads } from '@goshawk/torch';
import { configToYaml } from '../config/index.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { FASTER_RCNN, tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { writeWeights } from '../train/checkpoint.js';
import { runEval } from './eval.js';

let folder: string;
let weights: string;
let said: string[];
before(async () => {
  setThreads(1);
  folder = mkdtempSync(join(tmpdir(), 'goshawk-eval-categories-'));
  const { sets } = await writeTinyDataset(folder);
  weights = join(folder, 'weights.safetensors');
  const model = tinyDetector({ sets: FASTER_RCNN });
  const categories = named([2, 'red'], [5, 'blue']);
  writeWeights(weights, model, { config: tinyConfig([...sets, ...FASTER_RCNN]), categories });
});
after(() => rmSync(folder, { recursive: true }));
beforeEach(() => {
  said = [];
  mock.method(console, 'log', () => undefined);
  mock.method(console, 'error', (line: string) => said.push(line));
  mock.method(process.stderr, 'write', () => true);
});
afterEach(() => mock.restoreAll());

function named(...entries: [number, string][]) {
  return entries.map(([id, name]) => ({ id, name }));
}

/** Entries of metrics.json, which stand by ids, by their names. */
function inOrder<Entry extends { readonly name: string }>(entries: readonly Entry[]): Entry[] {
  return entries.toSorted((a, b) => a.name.localeCompare(b.name));
}

async function evaluate(name: string, categories: { id: number; name: string }[]) {
  const dataset: TinyDataset = await writeTinyDataset(folder, { name: `${name}.json`, categories });
  const config = join(folder, `${name}.yaml`);
  const threshold = 'model.boxHead.scoreThreshold=0.05';
  writeFileSync(config, configToYaml(tinyConfig([...dataset.sets, ...FASTER_RCNN, threshold])));
  await runEval(config, { weights, output: join(folder, name) });
  const read = (file: string) => JSON.parse(readFileSync(join(folder, name, file), 'utf8'));
  const found = read('detections.json') as {
    category_id: number;
    category_name: string;
    bbox: number[];
    score: number;
  }[];
  interface Entry {
    readonly name: string;
    readonly categoryId?: number;
  }
  interface PerCategory {
    readonly perCategory: readonly Entry[];
  }
  const metrics = read('metrics.json') as {
    readonly bbox: object;
    readonly categories: { readonly bbox: readonly Entry[] };
    readonly errors: { readonly tide: PerCategory; readonly thresholds: PerCategory };
  };
  return { found, metrics };
}

test('classes are matched by name: exchanged ids give the same figures, under the ids of the data', async () => {
  const own = await evaluate('own', named([2, 'red'], [5, 'blue']));
  assert.ok(own.found.length > 4);
  // What each stage of a picture took is no complaint.
  assert.deepEqual(
    said.filter((line) => !line.startsWith('a picture takes')),
    [],
  );
  // The data set's rectangles are those of its first and second category, so its names go with the ids here.
  const exchanged = await evaluate('exchanged', named([5, 'red'], [2, 'blue']));
  assert.match(
    said.join('\n'),
    /exchanged\.json: its categories have other ids than in .*weights\.safetensors \(.*\): they are matched by name/,
  );
  const figuresByName = ({ metrics: { bbox, categories, errors } }: typeof own) => ({
    bbox,
    categories: inOrder(categories.bbox).map(({ categoryId: _, ...figures }) => figures),
    tide: { ...errors.tide, perCategory: inOrder(errors.tide.perCategory) },
    thresholds: { ...errors.thresholds, perCategory: inOrder(errors.thresholds.perCategory) },
  });
  assert.deepEqual(figuresByName(exchanged), figuresByName(own));
  const ids = { red: 5, blue: 2 };
  for (const { category_id, category_name } of exchanged.found)
    assert.equal(category_id, ids[category_name as keyof typeof ids]);
  const byName = ({ found }: typeof own) => found.map(({ category_name, bbox, score }) => [category_name, bbox, score]);
  assert.deepEqual(byName(exchanged), byName(own));
});

test('data of a part of the categories is measured, whatever its ids; other names are refused', async () => {
  const more = await evaluate('other', named([1, 'red'], [7, 'blue']));
  assert.ok(more.found.every(({ category_id }) => category_id === 1 || category_id === 7));
  await assert.rejects(evaluate('renamed', named([2, 'red'], [5, 'green'])), (error) => {
    assert.ok(error instanceof InputError);
    assert.match(error.message, /weights\.safetensors: its categories are not those of .*renamed\.json .*'green'/);
    return true;
  });
});
