import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { boxXywh, type Detection, encodeMask, InputError } from '@goshawk/core';
import { liveTensors, setThreads, writePth } from '@goshawk/torch';
import sharp from 'sharp';
import { configToYaml } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { inputErrorOf } from '../testing/input-error.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { maskMontage, PictureDetector } from './picture-detector.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-picture-detector-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const photo = join(folder, 'photo.png');
const config = join(folder, 'tiny.yaml');
const weights = join(folder, 'tiny.pth');

before(async () => {
  setThreads(1);
  const pixels = Buffer.from(Array.from({ length: 96 * 64 * 3 }, (_, i) => (i * 31) % 251));
  await sharp(pixels, { raw: { width: 96, height: 64, channels: 3 } })
    .png()
    .toFile(photo);
  writeFileSync(config, configToYaml(tinyConfig()));
  const state = [...tinyDetector().stateDict()].map(
    ([name, tensor]) => [name, { dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() }] as const,
  );
  writePth(weights, new Map(state));
});

const open = (options: Partial<ConstructorParameters<typeof PictureDetector>[0]> = {}): PictureDetector =>
  new PictureDetector({ config, weights, confidenceThreshold: 0, ...options });

describe('PictureDetector', () => {
  test('finds the same in a file, its bytes and its pixels', async () => {
    const detector = open();
    const image = await decodeImageFile(photo);
    const [first, ...others] = await Promise.all(
      [photo, readFileSync(photo), image].map((source) => detector.detect(source)),
    );
    assert.ok(first!.detections.length > 0);
    assert.deepEqual(first!.image, image);
    for (const other of others) assert.deepEqual(other.detections, first!.detections);
  });

  test('takes frames as they come', async () => {
    const image = await decodeImageFile(photo);
    async function* frames() {
      yield image;
      yield photo;
    }
    const counts: number[] = [];
    for await (const { detections } of open().detectEach(frames())) counts.push(detections.length);
    assert.equal(counts.length, 2);
    assert.equal(counts[0], counts[1]);
  });

  test('asks for a frame when the one before is done with, keeps none, and lets the source go', async () => {
    const image = await decodeImageFile(photo);
    let asked = 0;
    let isClosed = false;
    async function* camera() {
      try {
        for (;;) {
          asked++;
          yield { ...image, data: image.data.slice() };
        }
      } finally {
        isClosed = true;
      }
    }
    const detector = open();
    let seen = 0;
    let tensors = 0;
    for await (const _ of detector.detectEach(camera())) {
      seen++;
      assert.equal(asked, seen);
      if (seen === 2) tensors = liveTensors();
      if (seen === 6) break;
    }
    assert.equal(liveTensors(), tensors);
    assert.ok(isClosed);
  });

  test('leaves out what it is not sure of, and takes the size of pictures that it is given', async () => {
    const all = (await open().detect(photo)).detections;
    const scores = all.map(({ score }) => score);
    const middle = scores[Math.floor(scores.length / 2)]!;
    const sure = (await open({ confidenceThreshold: middle }).detect(photo)).detections;
    assert.deepEqual(
      sure,
      all.filter(({ score }) => score >= middle),
    );
    const larger = (await open({ minImageSize: 128 }).detect(photo)).detections;
    assert.notDeepEqual(larger, all);
    const set = (await open({ sets: ['preprocess.resize.minSize=128', 'preprocess.resize.maxSize=128'] }).detect(photo))
      .detections;
    const same = (
      await open({ config: tinyConfig(['preprocess.resize.maxSize=128']), minImageSize: 128 }).detect(photo)
    ).detections;
    assert.deepEqual(same, set);
  });

  test('draws what it found on a copy', async () => {
    const detector = open({
      categories: [
        { id: 1, name: 'cat' },
        { id: 2, name: 'dog' },
      ],
    });
    assert.deepEqual(
      detector.categories.map(({ name }) => name),
      ['cat', 'dog'],
    );
    const result = await detector.detect(photo);
    const drawn = detector.overlay(result);
    assert.deepEqual([drawn.width, drawn.height], [96, 64]);
    assert.notDeepEqual(drawn.data, result.image.data);
    assert.deepEqual(result.image, await decodeImageFile(photo));
  });

  test('says in one line what is wrong', async () => {
    assert.match(
      inputErrorOf(() => open({ confidenceThreshold: 70 })),
      /^confidenceThreshold: got 70: expected a number from 0 to 1$/,
    );
    assert.match(
      inputErrorOf(() => open({ minImageSize: 0.5 })),
      /^minImageSize: got 0\.5: expected a whole number of pixels$/,
    );
    const wrong = open().detect({ width: 4, height: 4, data: new Uint8Array(16) });
    await assert.rejects(
      wrong,
      (error) => error instanceof InputError && /has 16 values \(expected 4 x 4 pixels/.test(error.message),
    );
  });
});

describe('maskMontage', () => {
  const found = (data: number[], bbox: Detection['bbox']): Detection =>
    ({
      imageId: 0,
      categoryId: 1,
      score: 1,
      bbox,
      segmentation: { kind: 'rle', rle: encodeMask(Uint8Array.from(data), [4, 4]) },
    }) as Detection;

  test('shows each mask as large as its box, best first, and black where there is none', () => {
    // The left half of its box; all of its box.
    const half = found([0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], boxXywh(1, 1, 2, 2));
    const whole = found([1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], boxXywh(0, 0, 2, 2));
    const { width, height, data } = maskMontage([half, whole], { perSide: 2, tileSize: 4 });
    assert.deepEqual([width, height], [8, 8]);
    const rows = Array.from({ length: 8 }, (_, y) =>
      Array.from({ length: 8 }, (__, x) => (data[(y * 8 + x) * 3] === 255 ? '#' : '.')).join(''),
    );
    assert.deepEqual(rows, [...Array(4).fill('##..####'), ...Array(4).fill('........')]);
  });
});
