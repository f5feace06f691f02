import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openCocoDataset } from '../data/index.js';
import { buildModel } from '../models/index.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { effectiveSchedule } from './effective-schedule.js';
import { trainingNotices } from './notices.js';
import { train } from './trainer.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-notices-'));
after(() => rmSync(folder, { recursive: true }));

let data: TinyDataset;
/** The same objects among three categories, of which one has none. */
let sparse: TinyDataset;
before(async () => {
  data = await writeTinyDataset(folder);
  sparse = await writeTinyDataset(join(folder, 'sparse'), {
    categories: [1, 2, 3].map((id) => ({ id, name: ['red', 'blue', 'green'][id - 1]! })),
  });
});

/** Three pictures with objects, of 96 x 64 and 64 x 96, whose rectangles fit the anchors of 12 to 192 pixels. */
function noticesOf(
  sets: readonly string[],
  { files = data, loaded = undefined as readonly string[] | undefined } = {},
) {
  const config = tinyConfig(['train.batchSize=2', 'train.schedule.warmupIterations=5', ...sets]);
  const trainSet = openCocoDataset(files, { skipEmpty: true });
  const model = buildModel(config.model, { classes: trainSet.categories.length });
  const report = { path: 'some.pth', dialect: 'Goshawk', orphans: [], missing: [], unexpected: [], mismatched: [] };
  return trainingNotices({
    ...{ config, model, trainSet, valSets: [], processes: 1 },
    schedule: effectiveSchedule(config.train, trainSet.samples.length),
    initialised: loaded ? [{ ...report, loaded }] : [],
  });
}

describe('before a training begins it is said', () => {
  test('nothing, where nothing is odd', () => {
    assert.deepEqual(noticesOf(['model.backbone.norm=group', 'model.backbone.width=64', 'model.neck.channels=32']), []);
  });

  test('that frozen layers are random, unless weights were loaded into them', () => {
    const frozen = ['model.backbone.frozenStages=2', 'model.backbone.norm=batch'];
    const [notice, ...others] = noticesOf(frozen);
    assert.deepEqual(others, []);
    assert.match(
      notice!,
      /^\d+ weights stay random: they are frozen \(model\.backbone\.frozenStages is 2\), and nothing was loaded into them \(the first is backbone\.body\.conv1\.weight\): name pretrained weights/,
    );
    const { model } = tinyConfig(frozen);
    const loaded = [...buildModel(model, { classes: 2 }).stateDict().keys()];
    assert.deepEqual(noticesOf(frozen, { loaded }), []);
  });

  test('that frozen norms do nothing from random weights', () => {
    const sets = ['model.backbone.norm=frozen_batch'];
    assert.match(noticesOf(sets)[0]!, /^\d+ frozen norms do nothing: .* or set model\.backbone\.norm/);
    const loaded = [...buildModel(tinyConfig(sets).model, { classes: 2 }).stateDict().keys()];
    assert.deepEqual(noticesOf(sets, { loaded }), []);
  });

  const own = ['model.backbone.norm=batch'];

  test('that anchors are far from the objects, with both sizes as the network sees them', () => {
    const [notice] = noticesOf([...own, 'model.anchors.sizes=[[256],[300],[400],[500],[600]]']);
    assert.match(
      notice!,
      /^no anchor fits \d of the \d objects \(IoU below 0\.3\): most of these are \d+ to \d+ pixels long where the network sees them, the anchors 256 to 600: set model\.anchors/,
    );
    // Pictures twice as large on both sides, and they fit.
    assert.deepEqual(
      noticesOf([
        ...own,
        'model.anchors.sizes=[[256],[300],[400],[500],[600]]',
        'preprocess.resize.minSize=900',
        'preprocess.resize.maxSize=1400',
      ]),
      [],
    );
  });

  test('which categories have no object', () => {
    assert.match(
      noticesOf(own, { files: sparse })[0]!,
      /train\.json: has no object of 1 of the 3 categories \(green\): they will never be found: add pictures/,
    );
  });

  for (const [what, sets, expected] of [
    ['a step is larger than the data', ['train.batchSize=4'], /^a step takes 4 pictures of 3, so that some come twice/],
    [
      'a batch is too small for its norms',
      ['train.batchSize=1'],
      /^model\.backbone\.norm is batch, and a batch is one/,
    ],
    [
      'steps come too late',
      ['train.iterations=100', 'train.schedule.steps=[80,200]'],
      /^only 1 of train\.schedule\.steps \(80, 200\) comes within the 100 iterations/,
    ],
    ['patience has nothing to wait for', ['train.patience=3'], /^train\.patience has no effect without data\.val$/],
  ] as const)
    test(`that ${what}`, () => {
      const [notice, ...others] = noticesOf([...own, ...sets]);
      assert.match(notice!, expected);
      assert.deepEqual(others, []);
    });

  test('that pictures are measured which were learned, on the line of the command', async () => {
    const notes: string[] = [];
    const sets = ['train.iterations=1', 'train.batchSize=2', 'train.patience=2', 'train.evaluateEvery=1'];
    await train({
      config: tinyConfig([...sets, ...own, ...data.sets]),
      output: join(folder, 'run'),
      line: { update() {}, note: (text) => notes.push(text), done() {} },
    });
    assert.deepEqual(
      notes.filter((note) => note.startsWith('notice: ')).map((note) => note.slice(8).split(':')[0]),
      [`3 of the 4 pictures of ${data.annotations} are learned from too`, 'train.patience of 2 has no effect'],
    );
    assert.match(notes.join('\n'), /the warm-up of 1000 iterations outlasts the training of 1/);
  });
});
