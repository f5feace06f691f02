// goshawk curves on logs written here, and goshawk info's forms.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { goshawkHere } from '../testing/goshawk-here.js';

const main = fileURLToPath(new URL('./main.js', import.meta.url));
const run = async (...words: string[]) => {
  const { code, out, err } = await goshawkHere(process.cwd(), words);
  return { status: code, stdout: out, stderr: err };
};

describe('goshawk curves', () => {
  let folder: string;
  const log = (name: string, lines: readonly object[]): string => {
    mkdirSync(path.join(folder, name));
    writeFileSync(path.join(folder, name, 'metrics.jsonl'), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return path.join(folder, name);
  };
  let first: string;
  let second: string;
  before(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'goshawk-curves-'));
    const steps = Array.from({ length: 40 }, (_, i) => ({ iteration: 20 * (i + 1), loss: 3 / (i + 1), lr: 0.1 }));
    first = log('first', [...steps, { iteration: 800, 'bbox/AP': 0.4, 'bbox/AP50': 0.6, 'bbox/AP75': 0.5 }]);
    second = log('second', [
      { iteration: 20, loss: 2 },
      { iteration: 40, loss: 'NaN' },
      { iteration: 60, loss: 1 },
    ]);
  });
  after(() => rmSync(folder, { recursive: true }));

  test('draws losses and measures of several runs', async () => {
    const output = path.join(folder, 'curves.png');
    const { status, stdout } = await run('curves', first, path.join(second, 'metrics.jsonl'), '--output', output);
    assert.equal(status, 0);
    assert.equal(stdout, `${output}: loss, bbox/AP, bbox/AP50 (first 41 lines, second 3 lines)\n`);
    const { width, height } = await sharp(output).metadata();
    assert.deepEqual([width, height], [960, 2 * 480]);
  });

  test('draws the keys that are named, on one chart', async () => {
    const output = path.join(folder, 'rate.png');
    assert.equal((await run('curves', first, '--keys', 'lr', '--smoothing', '0', '--output', output)).status, 0);
    assert.equal((await sharp(output).metadata()).height, 480);
  });

  test('says in a line what is missing', async () => {
    const cases: readonly (readonly [string[], RegExp])[] = [
      [[path.join(folder, 'third')], /third: no such file: check the path\n$/],
      [[folder], /metrics\.jsonl: no such file: name the output folder of goshawk train\n$/],
      [
        [first, '--keys', 'los'],
        /--keys los: not in .*: the keys there are loss, lr, bbox\/AP, bbox\/AP50, bbox\/AP75\n$/,
      ],
      [[first, '--smoothing', '1'], /--smoothing 1: expected a number from 0/],
      [[main], /has no line with an iteration/],
    ];
    for (const [args, message] of cases) {
      const { status, stderr } = await run('curves', ...args);
      assert.equal(status, 2, stderr);
      assert.match(stderr, message);
    }
  });
});

describe('goshawk info', () => {
  const config = fileURLToPath(new URL('../../../../configs/spinenet/spinenet_49S_B_8gpu.yaml', import.meta.url));

  test('takes --shape HEIGHT WIDTH as mmdetection does, beside HEIGHTxWIDTH and one number', async () => {
    const { stdout: two } = await run('info', config, '--shape', '256', '512');
    assert.equal((await run('info', config, '--shape', '256x512')).stdout, two);
    assert.match(two, /for an image of 256 x 512, padded to 256 x 512\n[\d.]+ GFLOPs as mmdetection 1\.x counts them/);
    assert.match((await run('info', config, '--shape', '640')).stdout, /29\.81 G multiply-accumulates.*640 x 640/);
  });

  test('--tree shows every module, --json all of their figures', async () => {
    const tree = (await run('info', config, '--shape', '128', '--tree')).stdout;
    assert.match(tree, /^ {10}(conv|bn) {2}/m);
    const { macs, flops, parameters, children } = JSON.parse(
      (await run('info', config, '--shape', '128', '--json')).stdout,
    );
    const sum = (key: string): number =>
      children.reduce((total: number, child: Record<string, number>) => total + child[key]!, 0);
    assert.deepEqual([sum('macs'), sum('flops'), sum('parameters')], [macs, flops, parameters]);
  });

  test('--time shows where a prediction spends its time, a module within its parent', async () => {
    const demo = fileURLToPath(new URL('../../../../configs/demo/mask_rcnn_r18_tiny.yaml', import.meta.url));
    const { stdout } = await run('info', demo, '--time', '--shape', '64', '--json');
    const { times, peakGigaflops } = JSON.parse(stdout);
    assert.ok(peakGigaflops > 0);
    assert.equal(times.share, 1);
    const sum = (module: { children: { milliseconds: number }[] }): number =>
      module.children.reduce((total, child) => total + child.milliseconds, 0);
    assert.ok(sum(times) > 0 && sum(times) <= times.milliseconds * 1.2, `${sum(times)} of ${times.milliseconds}`);
    assert.match((await run('info', demo, '--time', '--shape', '64')).stdout, /^model +[\d.]+ +100\.0 % +\d+ +\d+ %$/m);
    assert.match((await run('info', demo, '--time', demo, '--shape', '64')).stderr, /--shape: the photo behind --time/);
  });

  test("reads mmdetection's files, and tells on stderr what has no effect", async () => {
    const file = fileURLToPath(
      new URL('../../src/foreign/mmdetection/fixtures/mask_rcnn_spinenet.py', import.meta.url),
    );
    const { status, stdout, stderr } = await run('info', file, '--depth', '0');
    assert.equal(status, 0);
    assert.match(stdout, /^13,916,084 parameters.*\n59\.58 G multiply-accumulates.*\n63\.77 GFLOPs/m);
    assert.match(stderr, /^notice: .*without effect here: .*cudnn_benchmark/m);
  });
});
