// What a detector says to arguments that are none. The runtime under it is a stand-in: goshawk's own tests run real ones.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError, torchvisionPreprocess } from '@goshawk/core';
import { createDetector, type DetectOptions, type OnnxDetector } from './create-detector.js';
import { DESCRIPTION_FORMAT, DESCRIPTION_KEY } from './model-description.js';
import type { OnnxRuntime, OnnxSession, OnnxTensor } from './onnx-runtime.js';
import { rgbOfRgba } from './rgb-of-rgba.js';

const DESCRIPTION = {
  ...{ format: DESCRIPTION_FORMAT, model: 'faster_rcnn', measuredIn: 'image' },
  categories: [{ id: 7, name: 'cat' }],
  preprocess: { ...torchvisionPreprocess, resize: { ...torchvisionPreprocess.resize, rule: 'none' } },
};

function varint(value: number): number[] {
  return value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))];
}

function fileBytes(): Uint8Array {
  const field = (number: number, content: readonly number[]) => [number * 8 + 2, ...varint(content.length), ...content];
  const text = JSON.stringify(DESCRIPTION);
  return Uint8Array.from(
    field(14, [...field(1, [...Buffer.from(DESCRIPTION_KEY)]), ...field(2, [...Buffer.from(text)])]),
  );
}

class Values implements OnnxTensor {
  readonly data: unknown;
  readonly dims: readonly number[];
  constructor(_: 'float32', data: unknown, dims: readonly number[]) {
    this.data = data;
    this.dims = dims;
  }
}

/** Finds three objects in each batch's first picture. */
function standIn(run?: OnnxSession['run']): { readonly ort: OnnxRuntime; readonly log: string[] } {
  const log: string[] = [];
  const values = (data: unknown, ...dims: number[]): OnnxTensor => ({ data, dims });
  const session: OnnxSession = {
    inputNames: ['images'],
    run: async (feeds) => {
      log.push('run');
      if (run) return run(feeds);
      return {
        boxes: values(Float32Array.of(0, 0, 2, 2, 0, 0, 1, 1, 1, 1, 2, 2), 3, 4),
        scores: values(Float32Array.of(0.75, 0.5, 0.25), 3),
        classes: values(BigInt64Array.of(1n, 1n, 1n), 3),
        pictures: values(BigInt64Array.of(0n, 0n, 0n), 3),
      };
    },
    release: async () => {
      log.push('release');
    },
  };
  return { ort: { Tensor: Values, InferenceSession: { create: async () => session } }, log };
}

const opened = (run?: OnnxSession['run']): Promise<OnnxDetector> =>
  createDetector(standIn(run).ort, fileBytes(), { check: false, name: 'cats.onnx' });

const refused = (action: Promise<unknown>, message: RegExp): Promise<void> =>
  assert.rejects(action, (error) => {
    assert.ok(error instanceof InputError, String(error));
    assert.match(error.message, message);
    assert.doesNotMatch(error.message, /\n/);
    return true;
  });

const picture = { width: 2, height: 2, data: new Uint8Array(12) };

describe('a detector', () => {
  test('says which picture is not what it says it is, and how to mend it', async () => {
    const detector = await opened();
    const cases: [object, RegExp][] = [
      [{ data: new Uint8ClampedArray(16) }, /^picture 2 of 2: has 16 values \(expected 2 x 2 .* 12\): .* rgbOfRgba$/],
      [{ data: new Uint8Array(4) }, /: has 4 values .*: repeat the grey level of each pixel three times$/],
      [{ data: new Uint8Array(11) }, /: has 11 values .*: correct its sides or its pixels$/],
      [{ data: new Float32Array(12) }, /: holds its pixels as Float32Array \(expected Uint8Array/],
      [{ data: [...picture.data] }, /: holds its pixels as Array/],
      [{ width: 0, data: new Uint8Array() }, /: is 0 x 2 pixels \(expected whole numbers from 1 on\)/],
      [{ height: 1.5, data: new Uint8Array(9) }, /: is 2 x 1\.5 pixels/],
      [{ width: undefined }, /: is undefined x 2 pixels/],
    ];
    for (const [change, message] of cases)
      await refused(detector.detect([picture, { ...picture, ...change }]), message);
    assert.equal((await detector.detect([{ ...picture, data: new Uint8ClampedArray(12) as never }])).length, 1);
  });

  test('takes limits that are some, and says which is none', async () => {
    const detector = await opened();
    const count = async (options: DetectOptions): Promise<number> =>
      (await detector.detect([picture], options))[0]!.length;
    assert.equal(await count({ scoreThreshold: 0, maxDetections: 300 }), 3);
    assert.equal(await count({ scoreThreshold: 0.5 }), 2);
    assert.equal(await count({ scoreThreshold: 1 }), 0);
    assert.equal(await count({ maxDetections: 0 }), 0);
    for (const scoreThreshold of [Number.NaN, -0.1, 50, '0.5x' as never])
      await refused(count({ scoreThreshold }), /^scoreThreshold: is .* \(expected a number from 0 to 1\): correct it$/);
    // Those of an array's slice would count from the end.
    for (const maxDetections of [-1, 1.5, Number.NaN])
      await refused(
        count({ maxDetections }),
        /^maxDetections: is .* \(expected a whole number from 0 on\): correct it$/,
      );
  });

  test('asks for bytes where it is given what holds them', async () => {
    const { ort } = standIn();
    const bytes = fileBytes();
    await refused(
      createDetector(ort, bytes.buffer as never, { name: 'cats.onnx' }),
      /^cats\.onnx: is given as ArrayBuffer \(expected Uint8Array, the file's bytes\): give new Uint8Array of it$/,
    );
    await refused(createDetector(ort, 'cats.onnx' as never), /^the model: is given as String .*: read the file first$/);
  });

  test('says in a line what the runtime fails on, and goes on', async () => {
    let isFull = true;
    const detector = await opened(async () => {
      if (isFull) throw new Error('std::bad_alloc\n  at somewhere');
      const none: OnnxTensor = { data: new Float32Array(), dims: [0] };
      return { boxes: none, scores: none, classes: none, pictures: none };
    });
    await refused(
      detector.detect([picture, picture]),
      /^cats\.onnx: ONNX Runtime fails on 2 pictures of 32 x 32 pixels \(std::bad_alloc at somewhere\): give fewer or smaller pictures$/,
    );
    isFull = false;
    assert.deepEqual(await detector.detect([picture]), [[]]);
  });

  test('says that a batch is larger than an array can be', async () => {
    const wide = { width: 200_000, height: 1, data: new Uint8Array(600_000) };
    const high = { width: 1, height: 200_000, data: new Uint8Array(600_000) };
    await refused(
      (await opened()).detect([wide, high]),
      /^2 pictures of 200000 x 200000 pixels in the network's input are more than memory holds: give fewer or smaller ones$/,
    );
  });

  test('answers what was asked before it was released, and nothing afterwards', async () => {
    const { ort, log } = standIn();
    const detector = await createDetector(ort, fileBytes(), { check: false });
    const found = detector.detect([picture]);
    await Promise.all([detector.release(), detector.release()]);
    assert.equal((await found)[0]!.length, 3);
    assert.deepEqual(log, ['run', 'release']);
    await refused(detector.detect([picture]), /^the detector: was released: create another one$/);
  });
});

describe('rgbOfRgba', () => {
  test('drops the fourth value of each pixel, and takes nothing else', () => {
    const { data } = rgbOfRgba({ width: 2, height: 1, data: [1, 2, 3, 255, 4, 5, 6, 0] });
    assert.deepEqual([...data], [1, 2, 3, 4, 5, 6]);
    assert.throws(() => rgbOfRgba({ width: 2, height: 1, data: [1, 2, 3, 4, 5, 6] }), /has 6 values .* 8\): give what/);
  });
});
