import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import {
  boxXywh,
  type Category,
  type Detection,
  formatCocoResults,
  type ImageRecord,
  rleFromCounts,
} from '@goshawk/core';
import { growingName, openResultsFile, type ResultsFile } from './results-file.js';

const categories: Category[] = [
  { id: 1, name: 'cat' },
  { id: 7, name: 'dög' },
];
const images: ImageRecord[] = ['a.jpg', 'ü/b.jpg', 'empty.jpg', 'c.jpg'].map((fileName, index) => ({
  id: 10 * (index + 1),
  fileName,
  width: 4,
  height: 4,
}));
const rle = { kind: 'rle', rle: rleFromCounts([4, 4, 8], [4, 4]) } as const;
const found: Detection[][] = [
  [
    { imageId: 10, categoryId: 7, score: 0.25, bbox: boxXywh(0, 0.5, 2, 2) },
    { imageId: 10, categoryId: 1, score: 0.75, bbox: boxXywh(0, 0, 2, 2), segmentation: rle },
  ],
  [{ imageId: 20, categoryId: 7, score: 0.5, keypoints: [1, 2, 2], keypointLogits: [3] }],
  [],
  [{ imageId: 40, categoryId: 1, score: 1, bbox: boxXywh(1, 1, 2, 2), segmentation: rle }],
];
const whole = formatCocoResults(found.flat(), { images, categories, annotations: [] });

describe('a results file', () => {
  let folder = '';
  let file = '';
  const addAll = (results: ResultsFile, order = [0, 1, 2, 3]) => {
    for (const at of order) results.add(images[at]!, found[at]!, at);
  };
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'goshawk-results-'));
    file = path.join(folder, 'run', 'detections.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  test('finished, has the bytes that formatCocoResults makes of all detections', () => {
    const results = openResultsFile(file, { categories });
    for (const [at, image] of images.entries()) results.add(image, found[at]!);
    assert.ok(!existsSync(file));
    results.finish();
    assert.equal(readFileSync(file, 'utf8'), whole);
    assert.deepEqual(readdirSync(path.dirname(file)), ['detections.json']);
    assert.deepEqual([results.pictures, results.detections], [4, 4]);
  });

  test('has the same bytes whatever order the pictures come in', () => {
    for (const order of [
      [3, 2, 1, 0],
      [2, 0, 3, 1],
    ]) {
      const results = openResultsFile(file, { categories });
      addAll(results, order);
      results.finish();
      assert.equal(readFileSync(file, 'utf8'), whole);
      assert.deepEqual(readdirSync(path.dirname(file)), ['detections.json']);
    }
  });

  test('is the list of what was done, after every picture', () => {
    const results = openResultsFile(file, { categories });
    assert.equal(readFileSync(growingName(file), 'utf8'), '[]\n');
    for (const [at, image] of images.entries()) {
      results.add(image, found[at]!);
      const expected = formatCocoResults(found.slice(0, at + 1).flat(), { images, categories, annotations: [] });
      assert.equal(readFileSync(growingName(file), 'utf8'), expected);
    }
    results.abandon();
  });

  test('without detections is an empty list', () => {
    const results = openResultsFile(file, { categories });
    results.add(images[0]!, []);
    results.finish();
    assert.equal(readFileSync(file, 'utf8'), '[]\n');
  });

  test('abandoned leaves neither file nor folder, and an older file as it was', () => {
    const results = openResultsFile(file, { categories });
    addAll(results);
    results.abandon();
    assert.deepEqual(readdirSync(folder), []);
    mkdirSync(path.dirname(file));
    writeFileSync(file, 'old');
    openResultsFile(file, { categories }).abandon();
    assert.equal(readFileSync(file, 'utf8'), 'old');
  });

  test('that cannot be written is an error before the work', () => {
    mkdirSync(file, { recursive: true });
    assert.throws(() => openResultsFile(file, { categories }), { message: `${file}: is a folder: name a file` });
    writeFileSync(path.join(folder, 'taken'), '');
    const below = path.join(folder, 'taken', 'x.json');
    assert.throws(() => openResultsFile(below, { categories }), {
      name: 'InputError',
      message: /a part of its path is a file/,
    });
  });

  test('takes a picture once', () => {
    const results = openResultsFile(file, { categories });
    results.add(images[0]!, found[0]!, 3);
    assert.throws(() => results.add(images[1]!, found[1]!, 3), /a picture at place 3 already/);
    results.finish();
    assert.throws(() => results.add(images[1]!, found[1]!), /is finished/);
  });
});

describe('work that ends early', () => {
  let folder = '';
  let file = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), 'goshawk-results-'));
    file = path.join(folder, 'detections.json');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** A process that writes two pictures and then runs `then`. */
  const run = (then: string, shell = '') => {
    const module = new URL('./results-file.js', import.meta.url).href;
    const script = `
      const { openResultsFile } = await import(${JSON.stringify(module)});
      const results = openResultsFile(${JSON.stringify(file)}, { categories: [{ id: 1, name: 'cat' }] });
      const box = (id, count) => results.add({ id, fileName: id + '.jpg' },
        Array.from({ length: count }, (_, i) => ({ imageId: id, categoryId: 1, score: 0.5, bbox: [i, 0, 1, 1] })));
      box(1, 1);
      box(2, 2);
      ${then}`;
    const node = [process.execPath, '--input-type=module', '-e', script];
    return spawnSync('bash', ['-c', `${shell} exec "$0" "$@"`, ...node], { encoding: 'utf8' });
  };
  const pictures = (at: string) =>
    (JSON.parse(readFileSync(at, 'utf8')) as { image_id: number }[]).map((one) => one.image_id);

  test('by SIGKILL leaves what was done', () => {
    assert.equal(run("process.kill(process.pid, 'SIGKILL');").signal, 'SIGKILL');
    assert.deepEqual(pictures(growingName(file)), [1, 2, 2]);
    assert.deepEqual(readdirSync(folder), ['detections.partial.json']);
  });

  test('by SIGINT or SIGTERM finishes the file with what was done, and says so', () => {
    for (const [signal, code] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      const { status, stderr } = run(`process.kill(process.pid, '${signal}'); setInterval(() => {}, 1000);`);
      assert.equal(status, code);
      assert.equal(stderr, `stopped by ${signal}: ${file} has the 3 objects of the 2 pictures that were done\n`);
      assert.deepEqual(pictures(file), [1, 2, 2]);
      assert.deepEqual(readdirSync(folder), ['detections.json']);
    }
  });

  test('at the limit of the file system finishes the file with what fitted, and says why', () => {
    const then = 'try { box(3, 100); } catch (error) { console.log(error.name, error.message); }';
    const { stdout } = run(then, 'ulimit -f 4;');
    assert.match(stdout, /^InputError .*detections\.json: is larger than the system lets a file become/);
    assert.deepEqual(pictures(file), [1, 2, 2]);
    assert.deepEqual(readdirSync(folder), ['detections.json']);
  });
});
