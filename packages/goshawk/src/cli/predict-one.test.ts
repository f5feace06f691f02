// A single picture goes a shorter way than one of several: weights stay in their file, and nothing is kept for a next one.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { writeSafetensors } from '@goshawk/torch';
import sharp from 'sharp';
import { configToYaml } from '../config/index.js';
import { goshawkHere } from '../testing/goshawk-here.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';

let folder: string;
const sets = ['model.boxHead.scoreThreshold=0.01', 'model.backbone.width=32'];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-predict-one-'));
  for (const [name, factor] of [
    ['a.png', 7919],
    ['b.png', 104729],
  ] as const) {
    const pixels = Buffer.alloc(64 * 64 * 3);
    for (let i = 0; i < pixels.length; i++) pixels[i] = (i * factor) % 251;
    await sharp(pixels, { raw: { width: 64, height: 64, channels: 3 } })
      .png()
      .toFile(join(folder, name));
  }
  writeFileSync(join(folder, 'config.yaml'), configToYaml(tinyConfig(sets)));
  const state = [...tinyDetector({ sets }).stateDict()];
  writeSafetensors(
    join(folder, 'tiny.safetensors'),
    state.map(([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
  );
});
after(() => rmSync(folder, { recursive: true, force: true }));

async function predicted(output: string, pictures: readonly string[]): Promise<readonly Record<string, unknown>[]> {
  const words = ['predict', 'config.yaml', '--weights', 'tiny.safetensors', '--score-threshold', '0.01'];
  const { code, err } = await goshawkHere(folder, [...words, '--output', output, ...pictures]);
  assert.equal(code, 0, err);
  return JSON.parse(readFileSync(join(folder, output, 'detections.json'), 'utf8')) as Record<string, unknown>[];
}

test('one picture has what it has among others, and is drawn the same', async () => {
  const one = await predicted('one', ['a.png']);
  const two = await predicted('two', ['a.png', 'b.png']);
  assert.ok(one.length > 0);
  assert.deepEqual(
    one,
    two.filter(({ file_name }) => file_name === 'a.png'),
  );
  assert.deepEqual(readFileSync(join(folder, 'one/a.png')), readFileSync(join(folder, 'two/a.png')));
});

test('where nothing reaches the score, the surest that was found is said', async () => {
  const words = ['predict', 'config.yaml', '--weights', 'tiny.safetensors', '--output', 'none', 'a.png'];
  const { code, out, err } = await goshawkHere(folder, [...words, '--score-threshold', '0.9999']);
  assert.equal(code, 0, err);
  assert.match(out, /^0 objects in 1 picture: /);
  assert.match(
    err,
    /notice: no object reaches its score threshold \(1\.0\), the surest has 0\.\d+: lower --score-threshold/,
  );
});
