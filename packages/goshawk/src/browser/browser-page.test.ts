import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Detection, distinctColor, parseCocoResults, synthesizeScene } from '@goshawk/core';
import { createDetector } from '@goshawk/runtime';
import type { Browser, Page } from 'puppeteer-core';
import sharp from 'sharp';
import { exportDetector } from '../export/export-detector.js';
import { measureAgreement } from '../export/measure-agreement.js';
import { NO_CHROMIUM, openChromium } from '../testing/chromium.js';
import { contrast, luminance } from '../testing/colors.js';
import { CLASS_NAMES, openOnnxRuntime, SKIPPED, wideModel } from '../testing/exported-detector.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { builtPage } from './built-page.js';
import { type PageServer, servePage } from './page-server.js';

const ort = await openOnnxRuntime();
const skip = NO_CHROMIUM || (!ort && SKIPPED);
const root = fileURLToPath(new URL('../../../../', import.meta.url));
/** Pictures of what the page looks like are left there, for people. */
const shots = process.env.PAGE_SHOTS;
const [width, height] = [120, 90];

/** Of an element that takes files; the types of puppeteer ask for those of a page. */
interface Upload {
  uploadFile(...paths: readonly string[]): Promise<void>;
}

describe("the browser's page", { skip }, () => {
  let folder: string;
  let server: PageServer;
  let browser: Browser;
  let page: Page;
  let nodes: Detection[];
  const complaints: string[] = [];
  const files = { photo: '', other: '', model: '', foreign: '' };
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-page-'));
    const built = join(folder, 'page');
    execFileSync(process.execPath, [join(root, 'scripts/build-browser-page.mjs'), '--output', built]);
    const config = tinyConfig(['model.boxHead.scoreThreshold=0.05']);
    const bytes = exportDetector(wideModel(config, 3), { config, categories: CLASS_NAMES });
    const { image } = synthesizeScene({ seed: 4, index: 0, width, height });
    for (const [kind, name] of Object.entries({
      photo: 'a.png',
      other: 'b.jpg',
      model: 'own.onnx',
      foreign: 'yolo.onnx',
    }))
      files[kind as keyof typeof files] = join(folder, name);
    const picture = sharp(image.data, { raw: { width, height, channels: 3 } });
    await picture.clone().png().toFile(files.photo);
    await picture.clone().jpeg().toFile(files.other);
    writeFileSync(files.model, bytes);
    writeFileSync(files.foreign, Buffer.from([8, 8]));
    const detector = await createDetector(ort!, bytes);
    nodes = (await detector.detect([image]))[0]!;
    await detector.release();
    server = await servePage(new Map([...builtPage(built), ['/model.onnx', bytes]]), { port: 0 });
    browser = await openChromium(['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream']);
    page = await opened();
  });
  after(async () => {
    await browser?.close();
    await server?.close();
    rmSync(folder, { recursive: true });
  });

  async function opened(): Promise<Page> {
    const made = await browser.newPage();
    made.on('console', (message) => complaints.push(message.text()));
    made.on('pageerror', (error) => complaints.push(String(error)));
    made.on('request', (request) => {
      if (!request.url().startsWith(server.address)) complaints.push(request.url());
    });
    await made.setViewport({ width: 1280, height: 900 });
    await made.goto(server.address, { waitUntil: 'load' });
    await modelIsOpen(made);
    return made;
  }
  const modelIsOpen = (on: Page) =>
    on.waitForFunction("/finds cat, dog, bird/.test(document.querySelector('#model').textContent)");
  const textOf = (selector: string) => page.$eval(selector, ({ textContent }) => textContent ?? '');
  const choose = async (selector: string, ...paths: readonly string[]): Promise<void> => {
    const input = (await page.$(selector)) as unknown as Upload;
    await input.uploadFile(...paths);
  };
  /** What was found on that picture is shown and told; before, the page may still tell of another. */
  const answered = (name: string) =>
    page.waitForFunction(`document.querySelector('#canvas').ariaLabel?.startsWith('${name}: ')
      && /^(Found|Nothing found)/.test(document.querySelector('#status').textContent)`);
  /** What the page shows as JSON, a results file. */
  const found = async (): Promise<readonly Detection[]> => {
    const text = await page.$eval('#json', (box) => (box as unknown as { readonly value: string }).value);
    const image = { id: 1, fileName: 'a.png', width, height };
    const dataset = { images: [image], categories: CLASS_NAMES, annotations: [] };
    return parseCocoResults(text, { fileName: 'page', dataset }).detections;
  };

  test('a photo gets the boxes that Node finds, by keyboard down to the least score', async () => {
    await choose('#photos', files.photo);
    await answered('a.png');
    await page.focus('#threshold');
    await page.keyboard.press('Home');
    assert.equal(await textOf('#least'), '0.05');
    const own = nodes.filter(({ score }) => score >= 0.05);
    const agreement = measureAgreement([[own, [...(await found())]]]);
    assert.ok(agreement.detections > 3);
    assert.equal(agreement.unmatched, 0);
    assert.ok(agreement.leastIou > 0.9999);
    assert.ok(agreement.largestScoreDifference < 1e-6);
    assert.ok(agreement.leastMaskIou! > 0.999);
  });

  test('they are told in words, in a table, and drawn on the canvas in their colours', async () => {
    assert.match(await textOf('#status'), /^Found (\d+ (cat|dog|bird)(, )?)+ in \d+\.\d\d s\.$/);
    assert.match(await page.$eval('#canvas', (canvas) => canvas.ariaLabel ?? ''), /^a\.png: Found /);
    assert.equal((await page.$$('#found tbody tr')).length, nodes.filter(({ score }) => score >= 0.05).length);
    for (const id of ['masks', 'names']) await page.click(`#${id}`);
    const [best] = nodes;
    const [x, y, w] = best!.bbox!;
    const seen = await page.evaluate(`(() => {
      const canvas = document.querySelector('#canvas');
      const scale = canvas.width / ${width};
      const at = [Math.round(${x + w / 2} * scale), Math.max(0, Math.round(${y} * scale)) + 1];
      return [...canvas.getContext('2d').getImageData(...at, 1, 1).data.slice(0, 3)];
    })()`);
    const isOneCategory = nodes.every(({ categoryId }) => categoryId === best!.categoryId);
    const wanted = distinctColor(isOneCategory ? 0 : CLASS_NAMES.findIndex(({ id }) => id === best!.categoryId));
    assert.deepEqual(seen, [...wanted]);
    for (const id of ['masks', 'names']) await page.click(`#${id}`);
  });

  test('several photos are turned by buttons', async () => {
    await choose('#photos', files.photo, files.other);
    await page.waitForFunction("document.querySelector('#place').textContent === '1 of 2: a.png'");
    await page.click('#next');
    await page.waitForFunction("document.querySelector('#place').textContent === '2 of 2: b.jpg'");
    await answered('b.jpg');
  });

  test("what cannot be used is said in a line, and the page goes on; one's own model is taken, and the worker before it ends", async () => {
    await choose('#own-model', files.foreign);
    await page.waitForSelector('#problem:not([hidden])');
    assert.match(await textOf('#problem'), /^yolo\.onnx: is no ONNX file that goshawk exported/);
    await choose('#photos', files.model.replace('own.onnx', 'page/licenses.txt'));
    await page.waitForFunction(
      "document.querySelector('#problem').textContent.startsWith('licenses.txt: is no picture')",
    );
    await choose('#own-model', files.model);
    await page.waitForFunction(
      "document.querySelector('#model').textContent.startsWith('own.onnx: mask_rcnn, finds cat')",
    );
    assert.equal(await page.$eval('#problem', (line) => (line as unknown as { hidden: boolean }).hidden), true);
    const detectors = () => page.workers().filter((worker) => worker.url().endsWith('/detector-worker.js')).length;
    // The news of an end comes later than the end.
    for (let wait = 0; detectors() > 1 && wait < 100; wait++) await new Promise((wake) => setTimeout(wake, 50));
    assert.equal(detectors(), 1);
  });

  test('the camera is shown with its rate until it is stopped', async () => {
    await page.click('#camera');
    await page.waitForFunction("/^\\d+\\.\\d frames a second/.test(document.querySelector('#rate').textContent)");
    assert.equal(await page.$eval('#camera', (button) => button.ariaPressed), 'true');
    await page.click('#camera');
    assert.equal(await textOf('#camera'), 'Use the camera');
    await answered('camera');
  });

  for (const [wide, scheme] of [
    [390, 'light'],
    [390, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
  ] as const)
    test(`at ${wide} px, ${scheme}: nothing scrolls sideways, every control has a name, text stands out from its ground`, async () => {
      await page.setViewport({ width: wide, height: 900 });
      await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
      const seen = (await page.evaluate(`({
        sideways: document.documentElement.scrollWidth - innerWidth,
        colors: ['body', '#camera', '.first', '.soft', '#problem'].map((one) => {
          const element = document.querySelector(one);
          let ground = element;
          while (getComputedStyle(ground).backgroundColor === 'rgba(0, 0, 0, 0)') ground = ground.parentElement;
          return [one, getComputedStyle(element).color, getComputedStyle(ground).backgroundColor];
        }),
        small: [...document.querySelectorAll('button, .button')].filter((one) => one.offsetParent && one.offsetHeight < 44).length,
      })`)) as { sideways: number; colors: [string, string, string][]; small: number };
      assert.ok(seen.sideways <= 0, `${seen.sideways} px too wide`);
      assert.equal(seen.small, 0, 'buttons are large enough for a finger');
      for (const [name, ink, ground] of seen.colors)
        assert.ok(contrast(ink, ground) > 4.5, `${name}: ${ink} on ${ground}`);
      assert.equal(luminance(seen.colors[0]![2]) < 0.2, scheme === 'dark');
      const { children = [] } = (await page.accessibility.snapshot())!;
      for (const { role, name } of children)
        if (['button', 'slider', 'checkbox', 'image'].includes(role)) assert.ok(name, `a ${role} has no name`);
      if (shots) {
        mkdirSync(shots, { recursive: true });
        await page.screenshot({ path: join(shots, `${wide}-${scheme}.png`) as `${string}.png`, fullPage: true });
      }
    });

  test('it works again when the server is gone', async () => {
    await page.waitForFunction("document.querySelector('#offline').textContent !== ''");
    await page.close();
    await server.close();
    page = await opened();
    await choose('#photos', files.photo);
    await answered('a.png');
    await page.focus('#threshold');
    await page.keyboard.press('Home');
    assert.equal((await found()).length, nodes.filter(({ score }) => score >= 0.05).length);
  });

  test('the browser complains of nothing, and asks no other machine', () => {
    assert.deepEqual(complaints, []);
  });
});
