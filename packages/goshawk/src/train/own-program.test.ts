import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { goshawkHere } from '../testing/goshawk-here.js';
import { type RunBlock, runPage } from '../testing/run-page.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-own-program-'));
after(() => rmSync(folder, { recursive: true }));

let blocks: readonly RunBlock[];
before(async () => {
  blocks = await runPage('in-your-own-program.md', folder);
});

test('the program of docs/in-your-own-program.md learns from samples that load themselves, and finds their squares', () => {
  const lines = blocks[0]!.stdout.trim().split('\n');
  assert.equal(lines.length, 71);
  assert.match(lines[0]!, /^1 70 \d/);
  const ap50 = Number(/AP50 ([\d.]+)$/.exec(lines.at(-1)!)![1]);
  assert.ok(ap50 > 0.9, lines.at(-1)!);
  assert.equal(blocks[0]!.stderr, '');
});

test('it leaves what the command leaves', () => {
  assert.equal(
    readdirSync(join(folder, 'runs/squares/report-pictures')).filter((name) => /^\d+\.jpg$/.test(name)).length,
    12,
  );
  assert.deepEqual(readdirSync(join(folder, 'runs/squares')).toSorted(), [
    'best.safetensors',
    'checkpoints',
    'config.yaml',
    'final.safetensors',
    'metrics.json',
    'metrics.jsonl',
    'report-pictures',
    'report.html',
    'tensorboard',
  ]);
});

test('the others stop by a signal, predict from bytes, and measure', () => {
  assert.equal(blocks.length, 4);
  assert.match(blocks[1]!.stdout, /^saved runs\/stopped\/checkpoints\/iteration-00000003\.safetensors$/m);
  assert.match(blocks[1]!.stderr, /loss/);
  assert.ok(existsSync(join(folder, 'found.png')));
  assert.match(blocks[3]!.stdout, /Average Precision/);
});

test('goshawk predict takes those weights without a config, and says what is missing beside a config', async () => {
  const { code, err } = await goshawkHere(folder, [
    ...['predict', 'runs/squares/best.safetensors', 'photo.png'],
    ...['--set', 'train.precision=fp32'],
  ]);
  assert.equal(code, 0, err);
  assert.ok(existsSync(join(folder, 'predictions/photo.png')));
  const refused = await goshawkHere(folder, ['predict', 'runs/squares/config.yaml', 'photo.png']);
  assert.equal(refused.code, 2);
  assert.match(
    refused.err,
    /^goshawk: goshawk predict: runs\/squares\/config\.yaml is a config, and weights are missing: .*\n$/,
  );
});
