// What a server answers, against what `goshawk predict` writes and draws.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { synthesizeScene } from '@goshawk/core';
import { setThreads } from '@goshawk/torch';
import sharp from 'sharp';
import { openOnnxRuntime, SKIPPED } from '../testing/exported-detector.js';
import { send, startTinyServer, type TinyServer } from '../testing/tiny-server.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';
import { runExport } from './export.js';
import { runPredict } from './predict.js';

setThreads(1);
const fixtures = fileURLToPath(new URL('../../src/data/fixtures/bad-images/', import.meta.url));
const JPEG = { 'content-type': 'image/jpeg' };

interface Entry {
  readonly image_id: number;
  readonly file_name: string;
  readonly category_id: number;
  readonly score: number;
  readonly bbox: readonly number[];
}
interface Answer {
  readonly images: readonly object[];
  readonly detections: readonly Entry[];
}

let folder: string;
let weights: string;
let server: TinyServer;
/** A JPEG, and what `goshawk predict` found in it and drew. */
let photo: Buffer;
let predicted: readonly Entry[];
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-serve-'));
  weights = writeTinyModel(folder).weights;
  const { data, width, height } = synthesizeScene({ seed: 3, index: 0, width: 120, height: 90 }).image;
  await sharp(data, { raw: { width, height, channels: 3 } })
    .jpeg()
    .toFile(join(folder, 'photo.jpg'));
  photo = readFileSync(join(folder, 'photo.jpg'));
  const quiet = [mock.method(console, 'log', () => {}), mock.method(console, 'error', () => {})];
  await runPredict(weights, [join(folder, 'photo.jpg')], { output: join(folder, 'found'), scoreThreshold: '0.1' });
  for (const each of quiet) each.mock.restore();
  predicted = JSON.parse(readFileSync(join(folder, 'found', 'detections.json'), 'utf8'));
  server = await startTinyServer(weights);
  await server.ready;
});
after(async () => {
  await server.drain(5);
  rmSync(folder, { recursive: true });
});

const detect = (body: Uint8Array, { query = '', headers = {} as Record<string, string> } = {}) =>
  send(`${server.base}/v1/detect${query}`, { method: 'POST', headers: { ...JPEG, ...headers }, body });
const parsed = (body: Buffer): Answer => JSON.parse(body.toString()) as Answer;
const unnamed = (entries: readonly Entry[]) => entries.map(({ file_name: _, ...entry }) => entry);

describe('POST /v1/detect', () => {
  test('finds in a picture what goshawk predict finds, to the last digit', async () => {
    const { status, body, headers } = await detect(photo);
    assert.equal(status, 200);
    assert.equal(headers['content-type'], 'application/json');
    const { images, detections } = parsed(body);
    assert.ok(predicted.length > 3);
    assert.deepEqual(unnamed(detections), unnamed(predicted));
    assert.deepEqual(images, [{ id: 1, file_name: 'picture', width: 120, height: 90 }]);
  });

  test('draws what goshawk predict draws, where PNG is asked for', async () => {
    const { headers, body } = await detect(photo, { headers: { accept: 'image/png' } });
    assert.equal(headers['content-type'], 'image/png');
    const pixels = (picture: string | Buffer) => sharp(picture).raw().toBuffer();
    assert.deepEqual(await pixels(body), await pixels(join(folder, 'found', 'photo.png')));
  });

  test('takes several pictures as a form, each with its own boxes', async () => {
    const form = new FormData();
    form.append('a', new Blob([photo]), 'first.jpg');
    form.append('b', new Blob([readFileSync(join(fixtures, 'webp.webp'))]), '../../second.webp');
    form.append('b', new Blob([readFileSync(join(fixtures, 'palette.png'))]), 'third.png');
    const response = await fetch(`${server.base}/v1/detect`, { method: 'POST', body: form });
    const { images, detections } = (await response.json()) as Answer;
    assert.deepEqual(images, [
      { id: 1, file_name: 'first.jpg', width: 120, height: 90 },
      { id: 2, file_name: '../../second.webp', width: 64, height: 48 },
      { id: 3, file_name: 'third.png', width: 64, height: 48 },
    ]);
    const first = detections.filter(({ image_id }) => image_id === 1);
    assert.deepEqual(
      first,
      predicted.map((entry) => ({ ...entry, file_name: 'first.jpg' })),
    );
    assert.ok(detections.some(({ image_id }) => image_id === 3));
  });

  test('keeps the detections that a request asks for', async () => {
    const threshold = (predicted[1]!.score + predicted[2]!.score) / 2;
    const above = parsed((await detect(photo, { query: `?score_threshold=${threshold}` })).body).detections;
    assert.deepEqual(unnamed(above), unnamed(predicted.slice(0, 2)));
    const one = parsed((await detect(photo, { query: '?max_detections=1&score_threshold=0' })).body).detections;
    assert.deepEqual(unnamed(one), unnamed(predicted.slice(0, 1)));
  });

  test('gives an empty list where nothing is found', async () => {
    const { status, body } = await detect(photo, { query: '?score_threshold=1' });
    assert.equal(status, 200);
    assert.deepEqual(parsed(body).detections, []);
  });

  test('answers 12 requests at once as one after another', async () => {
    const answers = await Promise.all(Array.from({ length: 12 }, () => detect(photo)));
    for (const { body } of answers) assert.deepEqual(unnamed(parsed(body).detections), unnamed(predicted));
  });

  test('does not keep the health waiting', async () => {
    const order: string[] = [];
    const many = Array.from({ length: 20 }, () => detect(photo));
    const all = Promise.all(many).then(() => order.push('detections'));
    await send(`${server.base}/healthz`).then(() => order.push('health'));
    await all;
    assert.deepEqual(order, ['health', 'detections']);
  });
});

describe('the other paths', () => {
  test('tell the model, its categories and limits', async () => {
    const { body } = await send(`${server.base}/v1/model`);
    const model = JSON.parse(body.toString());
    assert.equal(model.type, 'mask_rcnn');
    assert.match(model.sha256, /^[0-9a-f]{64}$/);
    assert.deepEqual(model.categories, [
      { id: 2, name: 'red', score_threshold: 0.1 },
      { id: 5, name: 'blue', score_threshold: 0.1 },
    ]);
    assert.equal(model.limits.maxBytes, 20e6);
  });

  test('tell health, and that the model answers', async () => {
    assert.equal((await send(`${server.base}/healthz`)).status, 200);
    const { status, body } = await send(`${server.base}/readyz`);
    assert.deepEqual([status, JSON.parse(body.toString())], [200, { status: 'ready' }]);
  });

  test('are not ready, and detect nothing, before the probe picture is through', async () => {
    const young = await startTinyServer(weights);
    try {
      assert.equal((await send(`${young.base}/healthz`)).status, 200);
      assert.equal((await send(`${young.base}/readyz`)).status, 503);
      const refused = await send(`${young.base}/v1/detect`, { method: 'POST', headers: JPEG, body: photo });
      assert.deepEqual([refused.status, refused.headers['retry-after']], [503, '1']);
      await young.ready;
      assert.equal((await send(`${young.base}/readyz`)).status, 200);
    } finally {
      await young.drain(5);
    }
  });

  test('count in the text format of Prometheus', async () => {
    const sampleOf = (text: string, sample: string): number =>
      Number(new RegExp(`^${sample.replace(/[{}"+]/g, '\\$&')} (.*)$`, 'm').exec(text)?.[1] ?? 0);
    const sample = 'goshawk_requests_total{route="/v1/detect",code="200"}';
    const before = (await send(`${server.base}/metrics`)).body.toString();
    await detect(photo);
    const { body, headers } = await send(`${server.base}/metrics`);
    const text = body.toString();
    assert.match(String(headers['content-type']), /^text\/plain; version=0\.0\.4/);
    assert.equal(sampleOf(text, sample), sampleOf(before, sample) + 1);
    assert.equal(sampleOf(text, 'goshawk_queue_pictures'), 0);
    assert.equal(sampleOf(text, 'goshawk_held_bytes'), 0);
    assert.equal(
      sampleOf(text, 'goshawk_detect_seconds_bucket{le="+Inf"}'),
      sampleOf(text, 'goshawk_detect_seconds_count'),
    );
    for (const line of text.trimEnd().split('\n'))
      assert.match(line, /^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="[^"]*"(,\w+="[^"]*")*\})? -?[\d.e+-]+)$/);
  });

  test('give an OpenAPI document of all paths, each of whose references leads somewhere', async () => {
    const { body } = await send(`${server.base}/openapi.json`);
    const text = body.toString();
    const document = JSON.parse(text);
    assert.equal(document.openapi, '3.1.0');
    for (const [path, methods] of Object.entries<Record<string, { responses: object }>>(document.paths))
      for (const [method, { responses }] of Object.entries(methods)) {
        const { status } = await send(`${server.base}${path}`, { method: method.toUpperCase() });
        assert.ok(String(status) in responses, `${method} ${path}: ${status}`);
      }
    for (const [, name] of text.matchAll(/"#\/components\/schemas\/(\w+)"/g))
      assert.ok(name! in document.components.schemas, name);
    const { required, properties } = document.components.schemas.Detection;
    for (const entry of predicted) {
      assert.ok(required.every((key: string) => key in entry));
      assert.ok(Object.keys(entry).every((key) => key in properties));
    }
  });
});

const ort = await openOnnxRuntime();
test('an exported detector in ONNX Runtime finds the same', { skip: ort ? false : SKIPPED }, async () => {
  const output = join(folder, 'model.onnx');
  const quiet = mock.method(console, 'log', () => {});
  await runExport(weights, { output, precision: 'fp32' });
  quiet.mock.restore();
  const other = await startTinyServer(weights, { source: { kind: 'onnx', file: output, threads: 1 } });
  try {
    const { facts } = await other.ready;
    assert.equal(facts.runtime, 'onnxruntime');
    const { body } = await send(`${other.base}/v1/detect`, { method: 'POST', headers: JPEG, body: photo });
    const { detections } = parsed(body);
    assert.equal(detections.length, predicted.length);
    for (const own of predicted)
      assert.ok(
        detections.some(
          ({ category_id, score, bbox }) =>
            category_id === own.category_id &&
            Math.abs(score - own.score) < 1e-3 &&
            bbox.every((value, i) => Math.abs(value - own.bbox[i]!) < 0.1),
        ),
      );
  } finally {
    await other.drain(5);
  }
});
