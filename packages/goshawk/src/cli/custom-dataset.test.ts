// examples/custom-dataset: a data set of an odd format, by code, through the commands.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { goshawkHere } from '../testing/goshawk-here.js';

const program = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const example = fileURLToPath(new URL('../../../../examples/dist/custom-dataset/pets.js', import.meta.url));
const source = fileURLToPath(new URL('../../../../examples/custom-dataset/pets.ts', import.meta.url));
const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-pets-'));
after(() => rmSync(folder, { recursive: true, force: true }));

async function succeeds(...args: string[]): Promise<string> {
  const { code, out, err } = await goshawkHere(folder, args);
  assert.equal(code, 0, `${args.join(' ')}: ${err}`);
  return out;
}

before(async () => {
  mkdirSync(path.join(folder, 'pets'));
  const lines: string[] = [];
  for (const [index, name] of ['cat', 'dog', 'cat', 'dog'].entries()) {
    const pixels = Buffer.alloc(96 * 64 * 3, 90);
    for (let row = 16; row < 48; row++)
      for (let column = 24; column < 72; column++) pixels[(row * 96 + column) * 3 + (name === 'cat' ? 0 : 2)] = 230;
    await sharp(pixels, { raw: { width: 96, height: 64, channels: 3 } })
      .png()
      .toFile(path.join(folder, 'pets', `${index}.png`));
    lines.push(`${index}.png;96x64;${name};0.5 0.5 0.5 0.5;24 16 72 16 72 48 24 48`);
  }
  writeFileSync(path.join(folder, 'pets', 'pets.txt'), `${lines.join('\n')}\n`);
  writeFileSync(
    path.join(folder, 'pets.yaml'),
    `model:
  type: mask_rcnn
  backbone: {depth: 18, width: 8, norm: batch, frozenStages: 0}
  neck: {channels: 8}
  rpn: {preNmsTopN: {train: 50, test: 50}, postNmsTopN: {train: 30, test: 20}, batchSizePerImage: 32}
  boxHead: {hiddenSize: 16, batchSizePerImage: 16}
  maskHead: {channels: [8]}
preprocess: {resize: {minSize: 64, maxSize: 96}}
data:
  train: {annotations: ${example}, images: pets}
  val: {annotations: ${example}, images: pets}
  workers: 1
train: {iterations: 2, batchSize: 2}
`,
  );
});

describe('examples/custom-dataset', () => {
  test('is written in at most 60 lines', () => {
    assert.ok(readFileSync(source, 'utf8').trimEnd().split('\n').length <= 60);
  });

  test('is checked, counted and drawn', async () => {
    await succeeds('data', 'check', example, '--images', 'pets', '--masks');
    assert.match(await succeeds('data', 'stats', example), /cat[\s\S]*dog/);
    await succeeds('data', 'draw', example, '--images', 'pets', '--output', 'drawn');
    assert.ok(existsSync(path.join(folder, 'drawn', 'contact-sheet.png')));
  });

  test('is trained on and evaluated', async () => {
    const out = await succeeds('train', 'pets.yaml', '--output', 'run');
    assert.match(out, /trained 2 iterations/);
    const metrics = await succeeds('eval', 'pets.yaml', '--weights', 'run/final.safetensors', '--output', 'measured');
    assert.match(metrics, /Average Precision/);
    assert.ok(existsSync(path.join(folder, 'measured', 'detections.json')));
  });

  test('that does not find its list says so in one line', () => {
    const stats = (): { readonly status: number | null; readonly stderr: string } =>
      spawnSync(process.execPath, [program, 'data', 'stats', example], { cwd: folder, encoding: 'utf8' });
    const { status, stderr } = stats();
    assert.deepEqual([status, stderr], [0, '']);
    rmSync(path.join(folder, 'pets', 'pets.txt'));
    const missing = stats();
    assert.equal(missing.status, 2);
    assert.match(
      missing.stderr,
      /^goshawk: .*pets\.js: ENOENT: no such file or directory, open 'pets\/pets\.txt': correct the module\n$/,
    );
  });
});
