import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Detection, RgbImage } from '@goshawk/core';
import { synthesizeScene } from '@goshawk/core';
import { createDetector, DESCRIPTION_KEY, type ModelDescription, readModelDescription } from '@goshawk/runtime';
import type { Browser, Page } from 'puppeteer-core';
import { exportDetector } from '../export/export-detector.js';
import { measureAgreement } from '../export/measure-agreement.js';
import { browserScripts, onnxRuntimeFiles } from '../testing/browser-scripts.js';
import { NO_CHROMIUM, openChromium } from '../testing/chromium.js';
import { CLASS_NAMES, openOnnxRuntime, SKIPPED, wideModel } from '../testing/exported-detector.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { type PageServer, servePage } from './page-server.js';

const ort = await openOnnxRuntime();
const skip = NO_CHROMIUM || (!ort && SKIPPED);

const SET_UP = "ort.env.wasm.numThreads = 1; ort.env.wasm.wasmPaths = location.origin + '/';";
const IN_PAGE = `
import * as ort from 'onnxruntime-web/wasm';
import { createDetector, createDetectorInWorker } from '@goshawk/runtime';
${SET_UP}
const bytesOf = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const opened = (kind, bytes, options) => kind === 'page' ? createDetector(ort, bytes, options)
  : createDetectorInWorker(new Worker('/worker.js', { type: 'module' }), bytes, options);
globalThis.found = async (kind, model, pictures, { together = false, ...options } = {}) => {
  const images = await Promise.all(pictures.map(async ({ path, width, height }) => ({ data: await bytesOf(path), width, height })));
  const detector = await opened(kind, await bytesOf(model), options);
  const detections = together ? await detector.detect(images) : [];
  if (!together) for (const image of images) detections.push((await detector.detect([image]))[0]);
  await detector.release();
  return detections.map((list) => list.map(({ segmentation, ...rest }) =>
    segmentation ? { ...rest, segmentation: { ...segmentation, rle: { ...segmentation.rle, counts: [...segmentation.rle.counts] } } } : rest));
};
globalThis.refusal = (kind, model, options) => bytesOf(model).then((bytes) => opened(kind, bytes, options))
  .then(() => undefined, (error) => ({ name: error.name, message: error.message }));
globalThis.ready = true;
`;
const IN_WORKER = `
import * as ort from 'onnxruntime-web/wasm';
import { answerDetections } from '@goshawk/runtime';
${SET_UP}
answerDetections(ort, self);
`;

describe('the runtime in a browser', { skip }, () => {
  let browser: Browser;
  let server: PageServer;
  let page: Page;
  let bytes: Uint8Array;
  let nodes: Detection[][];
  /** Of all pictures in one batch. */
  let together: Detection[][];
  const requested: string[] = [];
  const pictures = Array.from(
    { length: 3 },
    (_, index) => synthesizeScene({ seed: 4, index, width: 90 + 10 * index, height: 80 }).image,
  );
  before(async () => {
    const config = tinyConfig(['model.boxHead.scoreThreshold=0.05']);
    bytes = exportDetector(wideModel(config, 3), { config, categories: CLASS_NAMES });
    const detector = await createDetector(ort!, bytes);
    nodes = [];
    for (const picture of pictures) nodes.push((await detector.detect([picture]))[0]!);
    together = await detector.detect(pictures);
    await detector.release();
    const html =
      '<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><script type="module" src="page.js"></script>';
    server = await servePage(
      new Map([
        ['/index.html', Buffer.from(html)],
        ['/model.onnx', bytes],
        ['/altered.onnx', alteredProbe(bytes)],
        ['/foreign.onnx', Buffer.from([0x08, 0x08])],
        ...pictures.map(({ data }, i) => [`/picture-${i}`, data] as const),
        ['/webgpu.html', Buffer.from(html.replace('page.js', 'webgpu.js'))],
        ...(await browserScripts({
          '/page.js': IN_PAGE,
          '/webgpu.js': IN_PAGE.replace('onnxruntime-web/wasm', 'onnxruntime-web/webgpu'),
          '/worker.js': IN_WORKER,
        })),
        ...onnxRuntimeFiles(
          ['', '.asyncify'].flatMap((kind) => [
            `ort-wasm-simd-threaded${kind}.mjs`,
            `ort-wasm-simd-threaded${kind}.wasm`,
          ]),
        ),
      ]),
      { port: 0 },
    );
    browser = await openChromium();
    page = await browser.newPage();
    page.on('request', (request) => requested.push(request.url()));
    await page.goto(server.address);
    await page.waitForFunction('globalThis.ready');
  });
  after(async () => {
    await browser?.close();
    await server?.close();
  });

  const asked = <T>(call: string, ...words: readonly unknown[]): Promise<T> =>
    page.evaluate(`${call}(...${JSON.stringify(words)})`) as Promise<T>;
  const places = pictures.map(({ width, height }: RgbImage, i) => ({ path: `/picture-${i}`, width, height }));

  const assertSame = (own: readonly Detection[][], other: readonly Detection[][]): void => {
    const agreement = measureAgreement(own.map((found, i) => [found, other[i]!]));
    assert.ok(agreement.detections > 10);
    assert.equal(agreement.unmatched, 0);
    assert.ok(agreement.leastIou > 0.9999);
    assert.ok(agreement.largestScoreDifference < 1e-6);
    assert.ok(agreement.leastMaskIou! > 0.999);
  };

  for (const kind of ['page', 'worker'])
    test(`in a ${kind} it finds what it finds in Node, also in pictures of three sizes in a batch`, async () => {
      assertSame(nodes, await asked<Detection[][]>('found', kind, '/model.onnx', places));
      assertSame(together, await asked<Detection[][]>('found', kind, '/model.onnx', places, { together: true }));
    });

  for (const kind of ['page', 'worker']) {
    const refused = (model: string, options = {}) =>
      asked<{ name: string; message: string } | undefined>('refusal', kind, model, options);

    test(`in a ${kind} numbers other than the file's own are refused, and why`, async () => {
      const { name, message } = (await refused('/altered.onnx'))!;
      assert.equal(name, 'InputError');
      assert.match(
        message,
        /^the model: this runtime does not find \d+ of the \d+ objects of the file's own probe: use the execution provider cpu or wasm$/,
      );
      assert.equal(await refused('/altered.onnx', { check: false }), undefined);
    });

    test(`in a ${kind} another's file and a provider that is not there are refused in a line`, async () => {
      assert.match(
        (await refused('/foreign.onnx', { name: 'yolo.onnx' }))!.message,
        /^yolo\.onnx: is no ONNX file that goshawk exported/,
      );
      const { name, message } = (await refused('/model.onnx', { session: { executionProviders: ['webnn'] } }))!;
      assert.equal(name, 'InputError');
      assert.match(
        message,
        /^the model: no execution provider that was asked for is here \(\[webnn\] .*\): use the execution provider cpu or wasm$/,
      );
    });
  }

  test('WebGPU, asked for where no graphics card is, is refused in a line', async () => {
    const other = await browser.newPage();
    await other.goto(`${server.address}webgpu.html`);
    await other.waitForFunction('globalThis.ready');
    const options = { session: { executionProviders: ['webgpu'] } };
    const refused = `refusal('page', '/model.onnx', ${JSON.stringify(options)})`;
    const { name, message } = (await other.evaluate(refused)) as { readonly name: string; readonly message: string };
    await other.close();
    assert.equal(name, 'InputError');
    assert.match(
      message,
      /^the model: no execution provider that was asked for is here \(\[webgpu\] .*\): use the execution provider cpu or wasm$/,
    );
  });

  test('nothing is asked of any other machine', () => {
    assert.ok(requested.length > 4);
    for (const url of requested) assert.ok(url.startsWith(server.address) || url.startsWith('data:'), url);
  });
});

/** The file with its own description, whose probe expects another score. */
function alteredProbe(bytes: Uint8Array): Uint8Array {
  const text = JSON.stringify(readModelDescription(bytes));
  const description = JSON.parse(text) as ModelDescription;
  const [object] = description.probe.objects;
  assert.ok(object, `the model finds nothing on its ${DESCRIPTION_KEY} probe`);
  // As long as before, so that nothing else in the file moves.
  const digits = String(object.score);
  const other = `${digits.slice(0, 2)}${digits[2] === '1' ? '2' : '1'}${digits.slice(3)}`;
  const copy = Buffer.from(bytes);
  const at = copy.indexOf(`"score":${digits}`);
  copy.write(`"score":${other}`, at);
  return copy;
}
