import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '../errors/index.js';
import { cocoPersonKeypoints, cocoPersonSigmas, cocoPersonSkeleton, oksSigmas } from './coco-person.js';
import { flipKeypoints, flipPairsOf, keypointFlip, keypointFlipOrder, keypointFlipPairs } from './flip-keypoints.js';

describe('COCO person', () => {
  test('has 17 keypoints, 17 sigmas and 19 limbs between them', () => {
    assert.equal(cocoPersonKeypoints.length, 17);
    assert.equal(cocoPersonSigmas.length, 17);
    assert.equal(cocoPersonSkeleton.length, 19);
    assert.ok(cocoPersonSkeleton.flat().every((point) => point >= 1 && point <= 17));
  });
  test('other numbers of keypoints have the mean of its sigmas', () => {
    assert.deepEqual(oksSigmas(17), cocoPersonSigmas);
    // (0.026 + 2 * (0.025 + 0.035 + 0.079 + 0.072 + 0.062 + 0.107 + 0.087 + 0.089)) / 17
    for (const sigma of oksSigmas(5)) assert.ok(Math.abs(sigma - 1.138 / 17) < 1e-12);
  });

  test('left and right share a sigma', () => {
    for (const [a, b] of keypointFlipPairs(cocoPersonKeypoints)) assert.equal(cocoPersonSigmas[a], cocoPersonSigmas[b]);
  });
  test('flips eight pairs and keeps the nose', () => {
    assert.deepEqual(
      keypointFlipOrder(cocoPersonKeypoints),
      [0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15],
    );
    assert.equal(keypointFlipPairs(cocoPersonKeypoints).length, 8);
  });
});

describe('keypointFlipOrder', () => {
  test('finds the side in any spelling', () => {
    assert.deepEqual(keypointFlipOrder(['eyeLeft', 'tip', 'eyeRight', 'l-wing', 'R_wing']), [2, 1, 0, 4, 3]);
  });
  test('does not take a letter inside a word for a side', () => {
    assert.deepEqual(keypointFlipOrder(['bright', 'leftover', 'tail']), [0, 1, 2]);
  });
  test('refuses a left without a right', () => {
    assert.throws(
      () => keypointFlipOrder(['left_eye', 'nose']),
      (error) => {
        assert.ok(error instanceof InputError);
        assert.match(error.message, /"left_eye" has no counterpart.*"right eye"/);
        return true;
      },
    );
  });
});

describe('keypointFlip', () => {
  test('goes by the pairs where they are given, whatever the names say', () => {
    const keypoints = ['tl', 'tr', 'br', 'bl'];
    const flipPairs = flipPairsOf(keypoints, [
      ['tl', 'tr'],
      [3, 2],
    ]);
    assert.deepEqual(keypointFlip({ keypoints, flipPairs }), { order: [1, 0, 3, 2], isGuess: false });
    assert.deepEqual(keypointFlip({ keypoints: ['left', 'right'], flipPairs: [] }).order, [0, 1]);
  });
  test('says where that nothing changes places is a guess', () => {
    assert.deepEqual(keypointFlip({ keypoints: ['tl', 'tr'] }), { order: [0, 1], isGuess: true });
    assert.equal(keypointFlip({ keypoints: ['tip'] }).isGuess, false);
    assert.equal(keypointFlip({ keypoints: ['nose', 'left ear', 'right ear'] }).isGuess, false);
  });
  test('names a point of one side, and leaves it where it is', () => {
    const flip = keypointFlip({ keypoints: ['left_tip', 'stem', 'l-wing', 'r-wing'] });
    assert.deepEqual(flip.order, [0, 1, 3, 2]);
    assert.deepEqual(flip.oneSided, { name: 'left_tip', expected: 'right tip' });
  });
  test('pairs that are none are refused in words', () => {
    for (const [pairs, message] of [
      [[['tl', 'xx']], /names "xx", which is no keypoint of tl, tr/],
      [[[0, 2]], /names 2, which is no keypoint/],
      [
        [
          [0, 1],
          [1, 0],
        ],
        /has "tr" twice/,
      ],
      [[[0, 0]], /has "tl" twice/],
      [[[0]], /no pair/],
      [{ 0: 1 }, /no list/],
    ] as const)
      assert.throws(() => flipPairsOf(['tl', 'tr'], pairs), message);
  });
});

describe('flipKeypoints', () => {
  const order = keypointFlipOrder(['left_eye', 'right_eye', 'nose']);
  test('mirrors x and exchanges the sides', () => {
    assert.deepEqual(
      flipKeypoints([10, 5, 2, 20, 6, 1, 0, 0, 0], { imageWidth: 64, order }),
      [44, 6, 1, 54, 5, 2, 0, 0, 0],
    );
  });
  test('mirrors pixel 0 onto the last pixel where x is an index', () => {
    assert.deepEqual(
      flipKeypoints([0, 5, 2, 63, 6, 1, 3, 4, 2], { imageWidth: 64, order, pixelCentres: true }),
      [0, 6, 1, 63, 5, 2, 60, 4, 2],
    );
  });
  test('names both lengths when they disagree', () => {
    assert.throws(() => flipKeypoints([1, 2, 2], { imageWidth: 64, order }), /expected 9 numbers for 3 points, got 3/);
  });
});
