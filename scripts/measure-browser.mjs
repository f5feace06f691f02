// Measures what a browser changes: how far photos that Chromium decoded are from ours, and how far what exported detectors find in
// Chromium's WebAssembly is from what they find in Node, on our pixels, on Chromium's where those are others, and in a batch of photos of
// several sizes. Prints the tables of docs/browser.md.
//   node scripts/measure-browser.mjs PHOTOS DETECTOR... [--parity WORD] [--pictures 20] [--webgpu]
// PHOTOS, DETECTORs, --parity and --pictures are as measured-detectors.mjs says; weights are exported first.
// --webgpu tells instead what becomes of each model where WebGPU is asked for: without a graphics card, and on one that Chromium
// computes itself. Needs a finished `tsc -b`, onnxruntime-node, onnxruntime-web, esbuild and a Chromium. Exit code 1 where WebAssembly
// finds other things than Node.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { createDetector } from '@goshawk/runtime';
import * as ort from 'onnxruntime-node';
import { servePage } from '../packages/goshawk/dist/browser/page-server.js';
import { decodeImageFile } from '../packages/goshawk/dist/data/index.js';
import { measureAgreement } from '../packages/goshawk/dist/export/measure-agreement.js';
import { detectorKind } from '../packages/goshawk/dist/models/index.js';
import { browserScripts, onnxRuntimeFiles } from '../packages/goshawk/dist/testing/browser-scripts.js';
import { openChromium } from '../packages/goshawk/dist/testing/chromium.js';
import {
  AGREEMENT_COLUMNS,
  agreementCells,
  askedMeasurement,
  exported,
  printHead,
  printRow,
  problemsOf,
} from './measured-detectors.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { folder, pictures, detectors, options } = askedMeasurement('measure-browser', {
  webgpu: { type: 'boolean', default: false },
});

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

/** Photos of one batch. */
const BATCH = 3;

const photos = [];
for (const file of pictures) photos.push({ file, image: await decodeImageFile(file) });
const html = '<!doctype html><meta charset="utf-8"><script type="module" src="page.js"></script>';
const runtimeFiles = ['mjs', 'wasm'].map((end) => `ort-wasm-simd-threaded${options.webgpu ? '.asyncify' : ''}.${end}`);
const pageFiles = [
  ['/index.html', Buffer.from(html)],
  ...(await browserScripts({ '/page.js': inPage(options.webgpu ? 'webgpu' : 'wasm') })),
  ...onnxRuntimeFiles(runtimeFiles),
];
const photoFiles = photos.flatMap(({ file, image }, i) => [
  [`/photo-${i}`, readFileSync(file)],
  [`/pixels-${i}`, image.data],
]);
let isGood = true;
const scratch = mkdtempSync(path.join(tmpdir(), 'goshawk-measure-browser-'));
try {
  if (options.webgpu) await measureGraphicsCards();
  else await measureWasm();
} finally {
  rmSync(scratch, { recursive: true });
}
if (!isGood) process.exitCode = 1;

/** Each detector as an exported file. */
async function* models() {
  for (const { name, files } of detectors) {
    const own = await files(scratch);
    const file = own.weights.endsWith('.onnx') ? own.weights : path.join(scratch, 'model.onnx');
    if (file !== own.weights) exported(own, file);
    yield { name, bytes: readFileSync(file) };
  }
}

/** @param bytes of the model, where the page is to open one */
async function withPage(bytes, args, body) {
  const served = await servePage(new Map([...pageFiles, ...photoFiles, ...(bytes ? [['/model', bytes]] : [])]), {
    port: 0,
  });
  const browser = await openChromium(args);
  try {
    const page = await browser.newPage();
    page.on('pageerror', (error) => console.error(`measure-browser: ${error}`));
    await page.goto(served.address);
    await page.waitForFunction('globalThis.ready');
    return await body(page, browser);
  } finally {
    await browser.close();
    await served.close();
  }
}

async function measureWasm() {
  const others = await withPage(undefined, [], async (page, browser) => {
    console.log(`${await browser.version()}, ${photos.length} photos of ${path.basename(folder)}\n`);
    return measureDecoding(page);
  });
  printHead(['model', 'pixels', ...AGREEMENT_COLUMNS]);
  for await (const { name, bytes } of models()) {
    const begun = performance.now();
    await withPage(bytes, [], (page) => measureDetector(page, { name, bytes, others }));
    console.error(`measure-browser: ${name}: ${((performance.now() - begun) / 1000).toFixed(0)} s`);
  }
}

async function measureGraphicsCards() {
  printHead(['model', 'graphics card', 'objects of the probe found', 'numbers apart', '`createDetector`']);
  for await (const { name, bytes } of models())
    for (const args of [[], ['--enable-unsafe-webgpu', '--use-webgpu-adapter=swiftshader']])
      await withPage(bytes, args, async (page) => {
        const told = await page.evaluate("onGraphicsCard('/model')");
        const { card, said, objects = '-', largestDifference: apart } = told;
        printRow([name, card, objects, apart?.toExponential(1) ?? '-', said]);
      });
}

/** @returns the numbers of the photos that Chromium gives other pixels of */
async function measureDecoding(page) {
  const steps = new Float64Array(256);
  const others = [];
  let sum = 0;
  for (const [i, { file, image }] of photos.entries()) {
    const own = image.data;
    const theirs = Buffer.from(await page.evaluate(`pixels('/photo-${i}')`), 'base64');
    if (own.length !== theirs.length)
      throw new Error(`${file}: ${own.length} values here, ${theirs.length} in Chromium`);
    const equal = steps[0];
    for (let k = 0; k < own.length; k++) {
      const difference = Math.abs(own[k] - theirs[k]);
      steps[difference]++;
      sum += difference;
    }
    if (steps[0] - equal < own.length) others.push(i);
  }
  const values = steps.reduce((total, count) => total + count, 0);
  const share = (count) => `${((100 * count) / values).toFixed(3)} %`;
  const most = steps.findLastIndex((count) => count > 0);
  const more = steps.slice(3).reduce((total, count) => total + count, 0);
  printHead(['values equal', 'apart by 1', 'by 2', 'by 3 and more', 'at most', 'on the mean']);
  printRow([...[steps[0], steps[1], steps[2], more].map(share), most, (sum / values).toFixed(4)]);
  console.log();
  return others;
}

async function measureDetector(page, { name, bytes, others }) {
  const detector = await createDetector(ort, bytes);
  const { boxes } = detectorKind(detector.description.config.model);
  await page.evaluate("open('/model')");
  const found = (pictures) => page.evaluate(`find(${JSON.stringify(pictures)})`);
  const ownPixels = photos.map(({ image: { width, height } }, i) => ({ name: `/pixels-${i}`, width, height }));
  const [pairs, ofOthers] = [[], []];
  for (const [i, { image }] of photos.entries()) {
    const [own] = await detector.detect([image]);
    pairs.push([own, (await found([ownPixels[i]]))[0]]);
    if (others.includes(i)) ofOthers.push([own, (await found([{ name: `/photo-${i}` }]))[0]]);
  }
  const batch = await detector.detect(photos.slice(0, BATCH).map(({ image }) => image));
  const inPageBatch = await found(ownPixels.slice(0, BATCH));
  const measured = {
    [others.length === 0 ? "ours, which are Chromium's" : 'ours']: pairs,
    ...(others.length > 0 && { [`Chromium's, of ${others.length} photos that have others`]: ofOthers }),
    'ours, three photos in a batch': batch.map((list, i) => [list, inPageBatch[i]]),
  };
  for (const [pixels, lists] of Object.entries(measured)) {
    const agreement = measureAgreement(lists, { boxes });
    printRow([pixels.endsWith('batch') ? 'the same' : name, pixels, ...agreementCells(agreement)]);
    if (problemsOf(agreement).length > 0) isGood = false;
  }
  await detector.release();
  await page.evaluate('globalThis.detector.release()');
}
