// A picture in the middle of its frame: what a network finds there is put back where it is in the picture.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { boxXywh, letterboxSize } from '@goshawk/core';
import { tensor } from '@goshawk/torch';
import { makeTarget } from '../data/target.js';
import { postProcess } from './post-process.js';

const WIDTH = 100;
const HEIGHT = 60;
const OBJECT = {
  id: 1,
  imageId: 1,
  categoryId: 7,
  bbox: boxXywh(20, 10, 40, 20),
  area: 800,
  isCrowd: false,
  keypoints: [30, 20, 2],
};
const size = letterboxSize(WIDTH, HEIGHT, { maxSize: 50 });

describe('a letterboxed picture', () => {
  test('has its objects where its pixels are', () => {
    const { boxes, keypoints } = makeTarget(
      [OBJECT],
      { width: WIDTH, height: HEIGHT },
      {
        size,
        flip: false,
        classes: [1],
        masks: false,
        keypointCount: 1,
        keypointFlipOrder: [0],
      },
    );
    // Half as large, 10 pixels down.
    assert.deepEqual([...boxes], [10, 15, 30, 25]);
    assert.deepEqual([...keypoints!], [15, 20, 2]);
  });

  test('has detections in its own pixels, inside of it', () => {
    const found = {
      pixels: 'network' as const,
      boxes: tensor([10, 15, 30, 25, 0, 0, 50, 50], { shape: [2, 4] }),
      scores: tensor([0.9, 0.8]),
      labels: tensor(BigInt64Array.of(1n, 1n), { shape: [2] }),
    };
    const image = {
      imageId: 1,
      width: 50,
      height: 50,
      originalWidth: WIDTH,
      originalHeight: HEIGHT,
      scaleX: size.scaleX,
      scaleY: size.scaleY,
      frame: size.frame!,
    };
    const boxes = postProcess(found, image, { categoryIds: [7] }).map(({ bbox }) => [...bbox!]);
    assert.deepEqual(boxes, [
      [20, 10, 40, 20],
      [0, 0, WIDTH, HEIGHT],
    ]);
  });
});
