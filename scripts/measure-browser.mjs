// Measures what a browser changes: how far photos that Chromium decoded are from ours, and how far what exported detectors find in
// Chromium's WebAssembly is from what they find in Node, on our pixels and on Chromium's. Prints the tables of docs/browser.md.
//   node scripts/measure-browser.mjs PHOTOS MODEL.onnx... [--limit 20]     PHOTOS: a folder of pictures
// Needs a finished `tsc -b`, onnxruntime-node, onnxruntime-web, esbuild and a Chromium.
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-node';
import { servePage } from '../packages/goshawk/dist/browser/page-server.js';
import { decodeImageFile } from '../packages/goshawk/dist/data/index.js';
import { measureAgreement } from '../packages/goshawk/dist/export/measure-agreement.js';
import { findImages } from '../packages/goshawk/dist/infer/index.js';
import { browserScripts, onnxRuntimeFiles } from '../packages/goshawk/dist/testing/browser-scripts.js';
import { openChromium } from '../packages/goshawk/dist/testing/chromium.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const words = process.argv.slice(2);
const at = words.indexOf('--limit');
const limit = at < 0 ? 20 : Number(words.splice(at, 2)[1]);
const [folder, ...models] = words;
if (folder === undefined) {
  console.error('measure-browser: name a folder of pictures, and exported models');
  process.exit(2);
}

const inPage = `
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-web/wasm';
import { pictureOf } from '${root}/examples/browser/page/pictures.ts';
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmPaths = location.origin + '/';
const bytesOf = async (name) => new Uint8Array(await (await fetch(name)).arrayBuffer());
const decoded = async (name) => (await pictureOf(new File([await bytesOf(name)], name))).image;
globalThis.pixels = async (name) => {
  const { data } = await decoded(name);
  let text = '';
  for (let from = 0; from < data.length; from += 32768) text += String.fromCharCode(...data.subarray(from, from + 32768));
  return btoa(text);
};
globalThis.open = async (name) => { globalThis.detector = await createDetector(ort, await bytesOf(name)); };
globalThis.find = async (name, size) => {
  const image = size ? { data: await bytesOf(name), ...size } : await decoded(name);
  const [found] = await globalThis.detector.detect([image]);
  return found.map(({ segmentation, ...rest }) =>
    segmentation ? { ...rest, segmentation: { kind: 'rle', rle: { size: segmentation.rle.size, counts: [...segmentation.rle.counts] } } } : rest);
};
globalThis.ready = true;
`;

const photos = [];
for (const { path: file } of findImages([folder]).slice(0, limit))
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
    ...(await browserScripts({ '/page.js': inPage })),
    ...onnxRuntimeFiles(['ort-wasm-simd-threaded.mjs', 'ort-wasm-simd-threaded.wasm']),
  ]),
  { port: 0 },
);
const browser = await openChromium();
const page = await opened();
try {
  console.log(`${await browser.version()}, ${photos.length} photos of ${path.basename(folder)}\n`);
  await measureDecoding();
  if (models.length > 0) await measureDetectors();
} finally {
  await browser.close();
  await server.close();
}

async function opened() {
  const made = await browser.newPage();
  made.on('pageerror', (error) => console.error(`measure-browser: ${error}`));
  await made.goto(server.address);
  await made.waitForFunction('globalThis.ready');
  return made;
}

async function measureDecoding() {
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

async function measureDetectors() {
  console.log('| model | pixels | detections | unmatched | least IoU | scores within | masks, least IoU |');
  console.log('| --- | --- | --- | --- | --- | --- | --- |');
  for (const [m, file] of models.entries()) {
    const detector = await createDetector(ort, readFileSync(file));
    await page.evaluate(`open('/model-${m}')`);
    const pairs = { ours: [], "Chromium's": [] };
    for (const [i, { image }] of photos.entries()) {
      const [own] = await detector.detect([image]);
      const size = JSON.stringify({ width: image.width, height: image.height });
      pairs.ours.push([own, await page.evaluate(`find('/pixels-${i}', ${size})`)]);
      pairs["Chromium's"].push([own, await page.evaluate(`find('/photo-${i}')`)]);
    }
    for (const [pixels, found] of Object.entries(pairs)) {
      const { detections, unmatched, leastIou, largestScoreDifference, leastMaskIou } = measureAgreement(found);
      const cells = [`${path.basename(file, '.onnx')}, ${detector.description.model}`, pixels, detections, unmatched];
      const measured = [leastIou.toFixed(4), largestScoreDifference.toExponential(1), leastMaskIou?.toFixed(4) ?? '-'];
      console.log(`| ${[...cells, ...measured].join(' | ')} |`);
    }
    await detector.release();
    await page.evaluate('globalThis.detector.release()');
  }
}
