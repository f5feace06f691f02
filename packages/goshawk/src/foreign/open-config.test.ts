import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { shippedConfigs } from './detectron/fixtures/shipped-configs.js';
import { configDialects } from './dialects.js';
import { shippedConfigs as res2netConfigs, zooConfigs } from './maskrcnn-benchmark/fixtures/shipped-configs.js';
import { openConfig } from './open-config.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-open-config-'));
after(() => rmSync(folder, { recursive: true }));

function written(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text);
  return path;
}

describe('openConfig', () => {
  test('reads a config of ours', () => {
    const path = written('own.yaml', 'model: {type: mask_rcnn}\n');
    const { config, dialect, notices, source } = openConfig(path, ['train.batchSize=4']);
    assert.deepEqual([config.model.type, config.train.batchSize, dialect], ['mask_rcnn', 4, 'Goshawk']);
    assert.deepEqual(notices, []);
    assert.deepEqual(source, { file: path, text: 'model: {type: mask_rcnn}\n', sets: ['train.batchSize=4'] });
  });

  test('reads one of Detectron, whatever the file is called', () => {
    const stale = shippedConfigs.find(({ text }) => text.includes('head_builder'))!;
    const { config, dialect, notices } = openConfig(written('x.cfg', stale.text), [
      'TEST.SCALE=600',
      'train.batchSize=4',
    ]);
    assert.deepEqual(
      [config.model.type, config.preprocess.resize.minSize, config.train.batchSize],
      ['keypoint_rcnn', 600, 4],
    );
    assert.equal(dialect, 'Detectron');
    assert.equal(notices.length, 1);
  });

  test('tells systems whose keys look alike apart: one and no other knows each file', () => {
    const systemsOf = (text: string): string[] =>
      configDialects.filter(([, dialect]) => dialect.recognises('x.yaml', text)).map(([system]) => system);
    for (const { text } of shippedConfigs) assert.deepEqual(systemsOf(text), ['Detectron']);
    for (const text of [...res2netConfigs.map((config) => config.text), ...Object.values(zooConfigs)])
      assert.deepEqual(systemsOf(text), ['maskrcnn-benchmark']);
    assert.deepEqual(systemsOf('MODEL:\n  BACKBONE:\n    CONV_BODY: R-50-FPN\n'), ['maskrcnn-benchmark']);
    assert.deepEqual(systemsOf('model: {type: mask_rcnn}\n'), []);
  });

  test('reads one of maskrcnn-benchmark, with its keys and ours behind it', () => {
    const sets = ['SOLVER.IMS_PER_BATCH=2', 'SOLVER.STEPS=(480000, 640000)', 'train.seed=5'];
    const { config, dialect } = openConfig(written('r2.yaml', res2netConfigs[2]!.text), sets);
    assert.equal(dialect, 'maskrcnn-benchmark');
    assert.deepEqual(
      [config.train.batchSize, config.train.schedule.steps, config.train.seed],
      [2, [480_000, 640_000], 5],
    );
  });

  test('says that there is no such file', () => {
    assert.throws(
      () => openConfig(join(folder, 'none.yaml')),
      (error) => error instanceof InputError && /none\.yaml: no such config file: check the path$/.test(error.message),
    );
  });
});
