import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RgbImage } from '@goshawk/core';
import { canAutocast, liveTensors, scope, setThreads } from '@goshawk/torch';
import type { Precision } from '../config/index.js';
import { inputError } from '../testing/input-error.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { imageBatchOf } from './network-batch.js';
import { Predictor } from './predictor.js';
import { prepareBatch } from './prepare-batch.js';

const categories = [
  { id: 4, name: 'a' },
  { id: 8, name: 'b' },
];

const picture = (width: number, height: number): RgbImage => ({
  width,
  height,
  data: Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 7) % 256),
});

describe('Predictor', () => {
  before(() => setThreads(1));

  const make = (precision: Precision = 'fp32'): Predictor =>
    new Predictor({
      model: tinyDetector({ sets: ['model.boxHead.scoreThreshold=0.01'] }),
      categories,
      preprocess: tinyConfig().preprocess,
      precision,
    });

  test("gives detections in each picture's own pixels, best first", () => {
    const pictures = [picture(120, 80), picture(50, 100)];
    const found = make().predict(pictures);
    assert.equal(found.length, 2);
    for (const [index, detections] of found.entries()) {
      const { width, height } = pictures[index]!;
      assert.ok(detections.length > 0);
      for (const [i, { bbox, score, categoryId, segmentation, imageId }] of detections.entries()) {
        const [x, y, w, h] = bbox!;
        assert.ok(x >= 0 && y >= 0 && x + w <= width + 1e-3 && y + h <= height + 1e-3, `${[x, y, w, h]}`);
        assert.ok(i === 0 || score <= detections[i - 1]!.score);
        assert.ok(categoryId === 4 || categoryId === 8);
        assert.equal(imageId, index);
        assert.deepEqual(segmentation?.kind === 'rle' && segmentation.rle.size, [height, width]);
      }
    }
  });

  test('launches a batch and reads it later, with the same result and nothing left behind', () => {
    const predictor = make();
    const prepared = prepareBatch([picture(120, 80), picture(50, 100)], tinyConfig().preprocess);
    const images = prepared.images.map((size, imageId) => ({ ...size, imageId }));
    const expected = predictor.predictBatch({ ...prepared, images });
    assert.ok(expected[0]!.length > 0);
    const alive = liveTensors();
    const found = scope(() => predictor.launch(imageBatchOf(prepared), images).read());
    assert.deepEqual(found, expected);
    assert.equal(liveTensors(), alive);
  });

  test('tells in one line when memory is out', () => {
    const model = tinyDetector();
    model.predict = () => {
      throw new Error(
        'CUDA out of memory. Tried to allocate 2.00 GiB (GPU 1; 8.00 GiB total capacity; 6.00 GiB already allocated; 1.00 GiB free; 6.50 GiB reserved in total by PyTorch)',
      );
    };
    const predictor = new Predictor({ model, categories, preprocess: tinyConfig().preprocess, precision: 'bf16' });
    assert.throws(() => predictor.predict([picture(96, 64)]), {
      name: 'OutOfMemoryError',
      message:
        'the memory of card 1 is out (2.0 GiB asked for, 6.5 GiB in use by this process, 1.0 GiB free of 8.0 GiB): lower preprocess.resize.minSize and maxSize',
    });
  });

  for (const precision of ['fp32', 'bf16', ...(canAutocast('float16') ? (['fp16'] as const) : [])] as const) {
    test(`leaves no tensors behind in ${precision}`, () => {
      const predictor = make(precision);
      predictor.predict([picture(96, 64)]);
      const alive = liveTensors();
      for (let time = 0; time < 5; time++) predictor.predict([picture(96, 64)]);
      assert.equal(liveTensors(), alive);
    });
  }

  test('in fp16 needs a libtorch that has it on the CPU, and says so', { skip: canAutocast('float16') }, () => {
    assert.throws(
      () => make('fp16'),
      inputError(/^train\.precision: fp16 on the CPU needs libtorch 2\.4 or newer, this is .*: set it to bf16/),
    );
  });
});
