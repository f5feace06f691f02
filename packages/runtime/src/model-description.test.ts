import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { type Probe, readModelDescription } from './model-description.js';
import { readOnnxMetadata } from './onnx-metadata.js';
import { compareWithProbe } from './probe.js';

/** An outermost message of: IR version 8, a graph of three bytes, and metadata. */
function fileWith(key: string, value: string): Uint8Array {
  const entry = [0x0a, key.length, ...Buffer.from(key), 0x12, value.length, ...Buffer.from(value)];
  return Uint8Array.from([0x08, 0x08, 0x3a, 3, 1, 2, 3, 0x72, entry.length, ...entry]);
}

describe('readOnnxMetadata', () => {
  test('reads the metadata behind a graph that it does not look into', () => {
    assert.deepEqual([...readOnnxMetadata(fileWith('names', 'cat'))], [['names', 'cat']]);
  });

  test('finds none in other files', () => {
    for (const bytes of [[], [0xff, 0xff], [0x72, 40, 1], [...Buffer.from('<html></html>')]])
      assert.equal(readOnnxMetadata(Uint8Array.from(bytes)).size, 0);
  });
});

describe('readModelDescription', () => {
  test('refuses ONNX files of others, and forms of another version, by name', () => {
    const refused = (bytes: Uint8Array, message: RegExp) =>
      assert.throws(
        () => readModelDescription(bytes, 'yolo.onnx'),
        (error) => error instanceof InputError && message.test(error.message),
      );
    refused(fileWith('names', 'cat'), /^yolo\.onnx: is no ONNX file that goshawk exported/);
    refused(fileWith('goshawk', '{"format":9}'), /^yolo\.onnx: describes itself in form 9 \(expected 2\)/);
    refused(fileWith('goshawk', '{"form'), /^yolo\.onnx: describes itself in form undefined/);
  });
});

describe('compareWithProbe', () => {
  const probe: Probe = {
    width: 2,
    height: 1,
    pixels: '000102030405',
    objects: [{ label: 1, score: 0.9, box: [0, 0, 100, 100] }],
    samples: [
      [-2, 0.5],
      [0, 0],
    ],
    tolerance: { iou: 0.99, score: 1e-3, samples: 1e-3 },
  };

  test('takes numbers within the tolerance and names what it misses', () => {
    const agrees = (label: number, score: number, right: number): boolean =>
      compareWithProbe(probe, { ...probe, objects: [{ label, score, box: [0, 0, right, 100] }] }).agrees;
    assert.ok(agrees(1, 0.9005, 100.5));
    assert.ok(!agrees(1, 0.902, 100));
    assert.ok(!agrees(1, 0.9, 102));
    assert.ok(!agrees(2, 0.9, 100));
    const { agrees: found, expected, missing } = compareWithProbe(probe, { ...probe, objects: [] });
    assert.deepEqual({ found, expected, missing }, { found: false, expected: 1, missing: probe.objects });
  });

  test('compares numbers on the way, also where nothing is to be found', () => {
    const nothing = { ...probe, objects: [] };
    const compared = (...samples: (readonly number[])[]) => compareWithProbe(nothing, { objects: [], samples });
    assert.deepEqual(compared(...probe.samples), {
      ...{ agrees: true, expected: 0, missing: [] },
      ...{ samples: 4, largestDifference: 0 },
    });
    // Within a thousandth of the largest of a list, 2.
    assert.ok(compared([-2, 0.5019], [0, 0]).agrees);
    assert.ok(!compared([-2, 0.503], [0, 0]).agrees);
    assert.ok(Math.abs(compared([-2, 0.7], [0, 0]).largestDifference - 0.1) < 1e-9);
    // Of a list of zeros the last bits may be there.
    assert.ok(compared([-2, 0.5], [0, 1e-7]).agrees);
    assert.ok(!compared([-2, 0.5], [0, 0.1]).agrees);
  });

  test('takes no numbers, and none that are not there, for another', () => {
    const nothing = { ...probe, objects: [] };
    for (const samples of [
      [
        [Number.NaN, 0.5],
        [0, 0],
      ],
      [[-2], [0, 0]],
      [],
    ])
      assert.equal(compareWithProbe(nothing, { objects: [], samples }).largestDifference, Number.POSITIVE_INFINITY);
  });
});
