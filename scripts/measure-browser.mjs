// Measures what a browser changes: how far photos that Chromium decoded are from ours, and how far what exported detectors find in
// Chromium's WebAssembly is from what they find in Node, on our pixels, on Chromium's, and in a batch of photos of several sizes. Prints
// the tables of docs/browser.md.
//   node scripts/measure-browser.mjs PHOTOS MODEL.onnx... [--limit 20] [--webgpu]     PHOTOS: a folder of pictures
// --webgpu tells instead what becomes of each model where WebGPU is asked for: without a graphics card, and on one that Chromium
// computes itself. Needs a finished `tsc -b`, onnxruntime-node, onnxruntime-web, esbuild and a Chromium. Exit code 1 where WebAssembly
// finds other things than Node.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-node';
import { servePage } from '../packages/goshawk/dist/browser/page-server.js';
import { decodeImageFile } from '../packages/goshawk/dist/data/index.js';
import { measureAgreement } from '../packages/goshawk/dist/export/measure-agreement.js';
import { findImages } from '../packages/goshawk/dist/infer/index.js';
import { detectorKind } from '../packages/goshawk/dist/models/index.js';
import { browserScripts, onnxRuntimeFiles } from '../packages/goshawk/dist/testing/browser-scripts.js';
import { openChromium } from '../packages/goshawk/dist/testing/chromium.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { limit: { type: 'string', default: '20' }, webgpu: { type: 'boolean', default: false } },
});
const [folder, ...models] = positionals;
if (folder === undefined) {
  console.error('measure-browser: name a folder of pictures, and exported models');
  process.exit(2);
}

/** @param build of ONNX Runtime for browsers */
const inPage = (build) => `
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-web/${build}';
import { pictureOf } from '${root}/examples/browser/page/pictures.ts';
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = location.origin + '/';
ort.env.logLevel = 'error';
const bytesOf = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const decoded = async (name) => (await pictureOf(new File([await bytesOf(name)], name))).image;
globalThis.pixels = async (name) => {
  const { data } = await decoded(name);
  let text = '';
  for (let from = 0; from < data.length; from += 32768) text += String.fromCharCode(...data.subarray(from, from + 32768));
  return btoa(text);
};
globalThis.open = async (name, options) => { globalThis.detector = await createDetector(ort, await bytesOf(name), options); };
globalThis.find = async (pictures) => {
  const images = [];
  for (const { name, ...size } of pictures)
    images.push(size.width ? { data: await bytesOf(name), ...size } : await decoded(name));
  const found = await globalThis.detector.detect(images);
  return found.map((list) => list.map(({ segmentation, ...rest }) =>
    segmentation ? { ...rest, segmentation: { kind: 'rle', rle: { size: segmentation.rle.size, counts: [...segmentation.rle.counts] } } } : rest));
};
globalThis.onGraphicsCard = async (name) => {
  const adapter = await navigator.gpu?.requestAdapter();
  const card = adapter ? [adapter.info.vendor, adapter.info.architecture, adapter.info.description].filter(Boolean).join(' ') : 'none';
  const session = { executionProviders: ['webgpu'] };
  const said = await open(name, { session, name: 'the model' }).then(() => 'taken', (error) => error.message);
  if (!adapter) return { card, said };
  await open(name, { session, check: false });
  const { expected, missing, largestDifference } = await detector.selfCheck();
  return { card, said, objects: expected - missing.length + ' of ' + expected, largestDifference };
};
globalThis.ready = true;
`;

const photos = [];
for (const { path: file } of findImages([folder]).slice(0, Number(options.limit)))
  photos.push({ file, image: await decodeImageFile(file) });
const html = '<!doctype html><meta charset="utf-8"><script type="module" src="page.js"></script>';
const server = await servePage(
  new Map([
    ['/index.html', Buffer.from(html)],
    ...photos.flatMap(({ file, image }, i) => [
      [`/photo-${i}`, readFileSync(file)],
      [`/pixels-${i}`, image.data],
    ]),
    ...models.map((file, i) => [`/model-${i}`, readFileSync(file)]),
    ...(await browserScripts({ '/page.js': inPage(options.webgpu ? 'webgpu' : 'wasm') })),
    ...onnxRuntimeFiles([`ort-wasm-simd-threaded${options.webgpu ? '.asyncify' : ''}.mjs`]),
    ...onnxRuntimeFiles([`ort-wasm-simd-threaded${options.webgpu ? '.asyncify' : ''}.wasm`]),
  ]),
  { port: 0 },
);
let isGood = true;
try {
  if (options.webgpu) await measureGraphicsCards();
  else await measureWasm();
} finally {
  await server.close();
}
if (!isGood) process.exitCode = 1;

async function measureWasm() {
  const browser = await openChromium();
  try {
    const page = await openedPage(browser);
    console.log(`${await browser.version()}, ${photos.length} photos of ${path.basename(folder)}\n`);
    await measureDecoding(page);
    if (models.length > 0) await measureDetectors(page);
  } finally {
    await browser.close();
  }
}

async function measureGraphicsCards() {
  console.log('| model | graphics card | objects of the probe found | numbers apart | `createDetector` |');
  console.log('| --- | --- | --- | --- | --- |');
  for (const args of [[], ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']]) {
    const browser = await openChromium(args);
    try {
      for (const [m, file] of models.entries()) {
        const page = await openedPage(browser);
        const told = await page.evaluate(`onGraphicsCard('/model-${m}')`);
        const { card, said, objects = '-', largestDifference: apart } = told;
        const cells = [path.basename(file, '.onnx'), card, objects, apart?.toExponential(1) ?? '-', said];
        console.log(`| ${cells.join(' | ')} |`);
        await page.close();
      }
    } finally {
      await browser.close();
    }
  }
}

async function openedPage(browser) {
  const made = await browser.newPage();
  made.on('pageerror', (error) => console.error(`measure-browser: ${error}`));
  await made.goto(server.address);
  await made.waitForFunction('globalThis.ready');
  return made;
}

async function measureDecoding(page) {
  const steps = new Float64Array(256);
  let sum = 0;
  for (const [i, { file, image }] of photos.entries()) {
    const own = image.data;
    const theirs = Buffer.from(await page.evaluate(`pixels('/photo-${i}')`), 'base64');
    if (own.length !== theirs.length)
      throw new Error(`${file}: ${own.length} values here, ${theirs.length} in Chromium`);
    for (let k = 0; k < own.length; k++) {
      const difference = Math.abs(own[k] - theirs[k]);
      steps[difference]++;
      sum += difference;
    }
  }
  const values = steps.reduce((total, count) => total + count, 0);
  const share = (count) => `${((100 * count) / values).toFixed(3)} %`;
  const most = steps.findLastIndex((count) => count > 0);
  console.log(
    '| values equal | apart by 1 | by 2 | by 3 and more | at most | on the mean |\n| --- | --- | --- | --- | --- | --- |',
  );
  const more = steps.slice(3).reduce((total, count) => total + count, 0);
  console.log(
    `| ${[steps[0], steps[1], steps[2], more].map(share).join(' | ')} | ${most} | ${(sum / values).toFixed(4)} |\n`,
  );
}

/** Photos of one batch. */
const BATCH = 3;

async function measureDetectors(page) {
  console.log('| model | pixels | detections | unmatched | least IoU | scores within | masks, least IoU |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [m, file] of models.entries()) {
    const detector = await createDetector(ort, readFileSync(file));
    const { boxes } = detectorKind(detector.description.config.model);
    await page.evaluate(`open('/model-${m}')`);
    const found = (pictures) => page.evaluate(`find(${JSON.stringify(pictures)})`);
    const ownPixels = photos.map(({ image: { width, height } }, i) => ({ name: `/pixels-${i}`, width, height }));
    const pairs = { ours: [], "Chromium's": [], 'ours, three photos in a batch': [] };
    for (const [i, { image }] of photos.entries()) {
      const [own] = await detector.detect([image]);
      pairs.ours.push([own, (await found([ownPixels[i]]))[0]]);
      pairs["Chromium's"].push([own, (await found([{ name: `/photo-${i}` }]))[0]]);
    }
    const own = await detector.detect(photos.slice(0, BATCH).map(({ image }) => image));
    const other = await found(ownPixels.slice(0, BATCH));
    pairs['ours, three photos in a batch'] = own.map((list, i) => [list, other[i]]);
    for (const [pixels, lists] of Object.entries(pairs)) {
      const agreement = measureAgreement(lists, { boxes });
      const { detections, unmatched, leastIou, largestScoreDifference, leastMaskIou = 1 } = agreement;
      const cells = [`${path.basename(file, '.onnx')}, ${detector.description.model}`, pixels, detections, unmatched];
      const masks = agreement.leastMaskIou?.toFixed(4) ?? '-';
      console.log(`| ${[...cells, leastIou.toFixed(4), largestScoreDifference.toExponential(1), masks].join(' | ')} |`);
      if (unmatched > 0 || leastIou < 0.99 || largestScoreDifference > 1e-3 || leastMaskIou < 0.99 || detections === 0)
        isGood = false;
    }
    await detector.release();
    await page.evaluate('globalThis.detector.release()');
  }
}
