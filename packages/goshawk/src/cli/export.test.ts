import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { InputError, synthesizeScene } from '@goshawk/core';
import { createDetector, readModelDescription } from '@goshawk/runtime';
import { setThreads } from '@goshawk/torch';
import sharp from 'sharp';
import { measureAgreement } from '../export/measure-agreement.js';
import { readWeights } from '../infer/detector-file.js';
import { openDetector, readDescription } from '../infer/index.js';
import { openOnnxRuntime, SKIPPED } from '../testing/exported-detector.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';
import { runExport } from './export.js';
import { openCommandConfig } from './open-command-config.js';

setThreads(1);
const ort = await openOnnxRuntime();
const SIZES = [
  [120, 90],
  [70, 110],
] as const;
const pictures = SIZES.map(([width, height], index) => synthesizeScene({ seed: 3, index, width, height }).image);

describe('goshawk export', { skip: ort ? false : SKIPPED }, () => {
  let folder = '';
  let weights = '';
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-export-'));
    weights = writeTinyModel(folder).weights;
    for (const [i, { data, width, height }] of pictures.entries())
      await sharp(data, { raw: { width, height, channels: 3 } })
        .png()
        .toFile(join(folder, `${i}.png`));
  });
  after(() => rmSync(folder, { recursive: true }));

  const exported = async (name: string, precision: 'fp32' | 'fp16' | 'int8', verify?: readonly string[]) => {
    const output = join(folder, name);
    const printed = mock.method(console, 'log', () => {});
    try {
      await runExport(weights, {
        output,
        precision,
        verify,
        ...(precision === 'int8' && { calibrate: [folder] }),
        json: true,
      });
      return { output, facts: JSON.parse(String(printed.mock.calls[0]!.arguments[0])) };
    } finally {
      printed.mock.restore();
    }
  };

  test('writes a file that describes itself and finds the same', async () => {
    const { output, facts } = await exported('model.onnx', 'fp32', [folder]);
    const { agreement } = facts;
    assert.equal(agreement.pictures, 2);
    assert.ok(agreement.detections > 4);
    assert.equal(agreement.unmatched, 0);
    assert.ok(agreement.leastIou > 0.99 && agreement.largestScoreDifference < 1e-3 && agreement.leastMaskIou > 0.99);
    // Nothing is left to be explained by the last bits.
    assert.equal(facts.direct, undefined);
    const description = readModelDescription(readFileSync(output));
    assert.deepEqual(
      description.categories.map(({ name }) => name),
      ['red', 'blue'],
    );
    assert.deepEqual(description.config, JSON.parse(JSON.stringify(readDescription(weights)!.config)));
    assert.match(description.weights.sha256!, /^[0-9a-f]{64}$/);
    assert.ok(description.probe.objects.length > 0);
  });

  test('stores weights in half the bytes, computes in full and stays near', async () => {
    const full = await exported('full.onnx', 'fp32');
    const half = await exported('half.onnx', 'fp16', [folder]);
    assert.ok(half.facts.bytes < full.facts.bytes - 50_000);
    assert.ok(half.facts.agreement.largestScoreDifference < 2e-2);
  });

  test('in bytes: computes near the same, as a file that every runtime checks', async () => {
    const full = await exported('full.onnx', 'fp32');
    const { output, facts } = await exported('bytes.onnx', 'int8');
    assert.ok(facts.bytes < full.facts.bytes);
    assert.equal(facts.agreement.pictures, 2);
    assert.ok(facts.seconds.exported > 0 && facts.seconds.rival > 0);
    const [boxes, masks] = facts.precision;
    assert.deepEqual([boxes.type, boxes.truth, masks.type], ['bbox', 'engine', 'segm']);
    const detector = await createDetector(ort!, readFileSync(output));
    assert.equal(detector.description.weights.precision, 'int8');
    await detector.release();
  });

  test('measures AP by annotations, of the categories of their names', async () => {
    const annotations = join(folder, 'objects.json');
    const { predictor } = openDetector({ config: readDescription(weights)!.config, weights });
    // One at a time, as the command does.
    const own = pictures.map((picture) => predictor.predict([picture])[0]!);
    const categories = [
      { id: 7, name: 'blue' },
      { id: 9, name: 'red' },
    ];
    const red = readDescription(weights)!.categories.find(({ name }) => name === 'red')!.id;
    // What the engine finds itself: its AP is 1.
    const objects = own.flatMap((found, image) =>
      found.map(({ bbox, categoryId }, i) => ({
        ...{ id: 100 * image + i + 1, image_id: image, category_id: categoryId === red ? 9 : 7, bbox, iscrowd: 0 },
        area: bbox![2] * bbox![3],
      })),
    );
    const images = SIZES.map(([width, height], id) => ({ id, width, height, file_name: `${id}.png` }));
    writeFileSync(annotations, JSON.stringify({ images, categories, annotations: objects }));
    const printed = mock.method(console, 'log', () => {});
    try {
      await runExport(weights, {
        ...{ output: join(folder, 'm.onnx'), precision: 'fp32', json: true, annotations },
        verify: [join(folder, '0.png'), join(folder, '1.png')],
      });
      const { precision } = JSON.parse(String(printed.mock.calls[0]!.arguments[0]));
      assert.equal(precision[0].truth, 'annotations');
      assert.ok(precision[0].engine > 0.9, `AP of ${precision[0].engine}`);
      assert.ok(Math.abs(precision[0].engine - precision[0].exported) < 1e-3, `AP of ${precision[0].exported}`);
    } finally {
      printed.mock.restore();
    }
  });

  for (const [name, options, message] of [
    ['int8 without pictures', { precision: 'int8' }, /^--precision int8: needs pictures .* --calibrate$/],
    ['pictures for fp32', { precision: 'fp32', calibrate: ['.'] }, /^--calibrate: belongs to --precision int8/],
    ['annotations of nothing', { precision: 'fp32', annotations: 'a.json' }, /^--annotations: belongs to the pictures/],
  ] as const)
    test(`refuses ${name} in one line`, async () => {
      const output = join(folder, 'none.onnx');
      await assert.rejects(runExport(weights, { output, ...options }), (error) => {
        return error instanceof InputError && message.test(error.message) && !existsSync(output);
      });
    });

  test('is named for what it is where weights or a config are wanted', async () => {
    const { output } = await exported('own.onnx', 'fp32');
    const unnamed = join(folder, 'own');
    copyFileSync(output, unnamed);
    for (const file of [output, unnamed]) {
      const isNamed = (error: unknown): boolean =>
        error instanceof InputError && error.message.startsWith(`${file}: is an ONNX file, `);
      await assert.rejects(runExport(file, { output: join(folder, 'again.onnx'), precision: 'fp32' }), isNamed);
      assert.throws(() => openCommandConfig(file), isNamed);
      assert.throws(() => readWeights(file), /this is an ONNX file, whose weights are not read/);
    }
  });

  test('is run by the runtime: pictures of a call in one batch, as the engine does', async () => {
    const { output } = await exported('batch.onnx', 'fp32');
    const bytes = readFileSync(output);
    const detector = await createDetector(ort!, bytes);
    const { config } = readDescription(weights)!;
    const own = openDetector({ config, weights }).predictor.predict(pictures);
    const other = await detector.detect(pictures);
    const { detections, unmatched } = measureAgreement(own.map((found, i) => [found, other[i]!]));
    assert.ok(detections > 4);
    assert.equal(unmatched, 0);
    const [first] = await detector.detect(pictures, { scoreThreshold: own[0]![2]!.score - 1e-4, maxDetections: 2 });
    assert.equal(first!.length, 2);
    assert.deepEqual(await detector.detect([]), []);
    await detector.release();
  });

  test('is refused in one line where its graph is damaged', async () => {
    const { output } = await exported('damaged.onnx', 'fp32');
    const bytes = readFileSync(output);
    bytes.write('Kony', bytes.indexOf('Conv'));
    await assert.rejects(createDetector(ort!, bytes, { name: 'damaged.onnx' }), (error) => {
      return (
        error instanceof InputError && /^damaged\.onnx: ONNX Runtime does not open it \([^\n]*$/.test(error.message)
      );
    });
  });

  test('is refused where a runtime computes other numbers, also where the probe holds no object', async () => {
    const output = join(folder, 'unsure.onnx');
    const printed = mock.method(console, 'log', () => {});
    try {
      await runExport(weights, { output, precision: 'fp32', set: ['model.boxHead.scoreThreshold=0.99'] });
    } finally {
      printed.mock.restore();
    }
    const bytes = readFileSync(output);
    const { probe } = readModelDescription(bytes);
    assert.equal(probe.objects.length, 0);
    const detector = await createDetector(ort!, bytes);
    const { agrees, samples, largestDifference } = await detector.selfCheck();
    await detector.release();
    // Maps of the pyramid and of the first stage's head, what the box head says, masks.
    assert.ok(agrees && samples > 50 && largestDifference < 1e-4, `${samples} numbers, ${largestDifference}`);
    // Another number than the file expects, of the first stage's finest map, of the box head, of the mask head.
    for (const list of [0, probe.samples.length - 3, probe.samples.length - 1]) {
      const [wanted = 0] = probe.samples[list]!;
      const changed = Buffer.from(bytes);
      const text = JSON.stringify(probe.samples);
      const at = changed.indexOf(text);
      const other = probe.samples.with(list, [wanted === 0 ? 1 : wanted * 1.5, ...probe.samples[list]!.slice(1)]);
      // The entry's length stands before it: numbers give way to shorter ones.
      const shorter = other.map((own) => own.map((value) => Number(value.toPrecision(5))));
      changed.write(JSON.stringify(shorter).padEnd(text.length), at);
      await assert.rejects(createDetector(ort!, changed, { name: 'unsure.onnx' }), (error) => {
        return error instanceof InputError && /^unsure\.onnx: this runtime's numbers are .* % away/.test(error.message);
      });
    }
  });

  test('is refused where a runtime finds other objects than the file expects', async () => {
    const { output } = await exported('other.onnx', 'fp32');
    const bytes = readFileSync(output);
    const { score } = readModelDescription(bytes).probe.objects[0]!;
    const text = `"score":${score}`;
    const at = bytes.indexOf(text);
    bytes.write(`"score":${String(score).replace(/[1-8]/, (digit) => String(Number(digit) + 1))}`, at);
    await assert.rejects(createDetector(ort!, bytes, { name: 'other.onnx' }), (error) => {
      return (
        error instanceof InputError &&
        /^other\.onnx: this runtime does not find 1 of the \d+ objects/.test(error.message)
      );
    });
  });
});
