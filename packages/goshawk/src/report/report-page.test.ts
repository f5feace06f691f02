import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { confusionMatrix, scoreCurves } from '@goshawk/core';
import type { Browser, Page } from 'puppeteer-core';
import sharp from 'sharp';
import { NO_CHROMIUM, openChromium } from '../testing/chromium.js';
import { contrast, luminance } from '../testing/colors.js';
import { madeReport } from '../testing/made-report.js';
import { Thumbnails } from './thumbnails.js';
import { type ReportInput, writeReport } from './write-report.js';

const hostile = '</script><b>"&';

describe('the page of a report', { skip: NO_CHROMIUM }, () => {
  let folder: string;
  let browser: Browser;
  let input: ReportInput;
  const complaints: string[] = [];
  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-report-'));
    input = madeReport({ pictures: 30, categories: ['cat', '猫', hostile] }, (name) => join(folder, name));
    // Every second object has a mask that fills its box.
    for (const [i, one] of input.dataset.annotations.annotations.entries()) {
      const [x, y, width, height] = one.bbox;
      const corners = [x, y, x + width, y, x + width, y + height, x, y + height];
      if (i % 2 === 1) Object.assign(one, { segmentation: { kind: 'polygons', polygons: [corners] } });
    }
    for (const { path } of input.dataset.samples)
      await sharp({ create: { width: 320, height: 240, channels: 3, background: '#567' } }).toFile(path);
    await writeReport(folder, { ...input, title: hostile }, new Thumbnails(folder));
    browser = await openChromium();
  });
  after(async () => {
    await browser?.close();
    rmSync(folder, { recursive: true });
  });

  async function opened(width: number, scheme: 'light' | 'dark', hash = ''): Promise<Page> {
    const page = await browser.newPage();
    page.on('console', (message) => complaints.push(message.text()));
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('requestfailed', (request) => complaints.push(request.url()));
    await page.setViewport({ width, height: 800 });
    await page.emulateMediaFeatures([{ name: 'prefers-color-scheme', value: scheme }]);
    await page.goto(pathToFileURL(join(folder, 'report.html')).href + hash, { waitUntil: 'load' });
    return page;
  }
  const text = (page: Page, selector: string) =>
    page.$$eval(selector, (found) => found.map(({ textContent }) => textContent ?? ''));

  for (const [width, scheme] of [
    [390, 'light'],
    [390, 'dark'],
    [1280, 'light'],
    [1280, 'dark'],
  ] as const)
    test(`at ${width} px, ${scheme}: every section is there, nothing scrolls sideways, text stands out from its ground`, async () => {
      const page = await opened(width, scheme);
      assert.deepEqual(await text(page, 'section > h2'), [
        'Summary',
        'Curves',
        'Classes',
        'Thresholds',
        'Confusion',
        'Errors',
        'Pictures',
        'Data',
      ]);
      // Those out of sight are drawn behind the first frame.
      await page.waitForFunction("[...document.querySelectorAll('canvas')].every((canvas) => Chart.getChart(canvas))");
      const seen = (await page.evaluate(`({
        sideways: document.documentElement.scrollWidth - innerWidth,
        ink: getComputedStyle(document.body).color,
        ground: getComputedStyle(document.body).backgroundColor,
        charts: [...document.querySelectorAll('canvas')].every(({ width, height }) => width > 0 && height > 0),
      })`)) as { readonly sideways: number; readonly ink: string; readonly ground: string; readonly charts: boolean };
      assert.ok(seen.sideways <= 0, `${seen.sideways} px too wide`);
      assert.ok(seen.charts);
      assert.ok(contrast(seen.ink, seen.ground) > 7);
      assert.equal(luminance(seen.ground) < 0.2, scheme === 'dark');
      assert.deepEqual(complaints, []);
      await page.close();
    });

  test('names from files are text, whatever stands in them', async () => {
    const page = await opened(1280, 'light');
    assert.deepEqual(await text(page, 'h1'), [hostile]);
    assert.ok((await text(page, '#classes tbody th')).includes(hostile));
    assert.equal((await page.$$('b')).length, 0);
    await page.close();
  });

  test('a number leads to its pictures by keyboard, and a picture to the next', async () => {
    const page = await opened(1280, 'light');
    const link = await page.$('#confusion td.wrong a');
    const count = Number(await link!.evaluate(({ textContent }) => textContent));
    // What is waited for is not so before: another list has its cards there.
    const titleBefore = await text(page, '#pictures > div > h3');
    await link!.focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction(`location.hash.startsWith('#pictures=cell/')
      && document.querySelector('#pictures > div > h3').textContent !== ${JSON.stringify(titleBefore[0])}
      && document.querySelectorAll('.card').length === ${Math.min(count, 24)}`);
    const viewer = (place: number) =>
      page.waitForFunction(
        `document.querySelector('dialog[open] h3')?.textContent.startsWith('${place} of ${count}: ')`,
      );
    await page.focus('.card');
    await page.keyboard.press('Enter');
    await viewer(1);
    await page.keyboard.press('ArrowRight');
    if (count > 1) await viewer(2);
    await page.keyboard.press('Escape');
    await page.waitForFunction("document.querySelector('dialog[open]') === null");
    await page.close();
  });

  /** `counts[truth][found]` as the page shows them; the corner has none. */
  const matrix = (page: Page) =>
    page.$$eval('#confusion tbody tr', (rows) =>
      rows.map((row) =>
        [...row.querySelectorAll('td')].map(({ textContent }) => Number(textContent?.replace(',', '')) || 0),
      ),
    );
  const press = async (page: Page, slider: string, key: 'ArrowRight' | 'ArrowLeft' | 'Home' | 'End', times = 1) => {
    await page.focus(slider);
    for (let i = 0; i < times; i++) await page.keyboard.press(key);
    // What follows a slider is drawn before the next frame.
    await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
  };
  const core = (scoreThreshold?: number, iouThreshold?: number) => {
    const { annotations: groundTruth } = input.dataset;
    const thresholds = { ...(scoreThreshold && { scoreThreshold }), ...(iouThreshold && { iouThreshold }) };
    return confusionMatrix({ groundTruth, detections: input.detections, iouType: 'bbox' }, thresholds);
  };

  for (const width of [390, 1280])
    test(`at ${width} px sliders moved by keyboard count the matrix anew, as core does, and its numbers lead to their pictures`, async () => {
      const page = await opened(width, 'light');
      assert.deepEqual(await matrix(page), core().counts);
      await press(page, '#confusion-score', 'ArrowRight', 15);
      assert.deepEqual(await matrix(page), core(0.4).counts);
      await press(page, '#confusion-iou', 'ArrowRight', 5);
      assert.deepEqual(await matrix(page), core(0.4, 0.7).counts);
      await press(page, '#confusion-score', 'Home');
      await press(page, '#confusion-iou', 'End');
      assert.deepEqual(await matrix(page), core(0.05, 0.95).counts);
      await press(page, '#confusion-iou', 'Home');
      assert.deepEqual(await matrix(page), core(0.05, 0.1).counts);
      await press(page, '#confusion-iou', 'ArrowRight', 9);
      const { counts, pairs } = core(0.05, 0.55);
      assert.deepEqual(await matrix(page), counts);
      const heads = await text(page, '#classes thead th');
      const swapped = await text(page, `#classes tbody td:nth-child(${heads.indexOf('swapped') + 1})`);
      assert.deepEqual(
        swapped.map(Number),
        input.dataset.annotations.categories.map(
          (_, k) =>
            pairs.filter(({ truth, found }) => truth === k && found !== k && found !== counts.length - 1).length,
        ),
      );
      const link = await page.$('#confusion td.wrong a');
      const count = Number(await link!.evaluate(({ textContent }) => textContent));
      await link!.focus();
      await page.keyboard.press('Enter');
      await page.waitForFunction("location.hash.endsWith('@0.05,0.55')");
      await page.waitForFunction(`document.querySelectorAll('.card').length === ${Math.min(count, 24)}`);
      assert.match((await text(page, '#pictures h3'))[0]!, /, from score 0\.05 and IoU 0\.55$/);
      const sideways = await page.evaluate('document.documentElement.scrollWidth - innerWidth');
      assert.ok((sideways as number) <= 0);
      assert.deepEqual(complaints, []);
      await page.close();
    });

  test('an address with thresholds moves the sliders', async () => {
    const page = await opened(1280, 'dark', '#pictures=missed@0.6,0.3');
    await press(page, '#confusion-score', 'ArrowRight');
    assert.deepEqual(await matrix(page), core(0.61, 0.3).counts);
    assert.match((await text(page, '#pictures h3'))[0]!, /^Not found, .* from score 0\.60 and IoU 0\.30$/);
    await page.close();
  });

  test('a table that was sorted stays so when a slider moves', async () => {
    const page = await opened(1280, 'light');
    const button = await page.$('#classes thead th:first-child button');
    await button!.focus();
    await page.keyboard.press('Enter');
    await page.keyboard.press('Enter');
    const names = await text(page, '#classes tbody th');
    assert.deepEqual(
      names,
      [...names].sort((a, b) => b.localeCompare(a)),
    );
    await press(page, '#confusion-score', 'End');
    assert.deepEqual(await text(page, '#classes tbody th'), names);
    await page.close();
  });

  test('precision and recall are told from any score on', async () => {
    const page = await opened(1280, 'light');
    const { overall } = scoreCurves({
      groundTruth: input.dataset.annotations,
      detections: input.detections,
      iouType: 'bbox',
    });
    await press(page, '#kept-from', 'Home');
    for (const [steps, score] of [
      [0, 0.01],
      [39, 0.4],
      [40, 0.8],
    ] as const) {
      await press(page, '#kept-from', 'ArrowRight', steps);
      const at = overall.score.findLastIndex((own) => own >= score);
      const shown = await text(page, '#thresholds tbody tr:first-child td');
      assert.deepEqual(
        shown,
        [overall.precision, overall.recall, overall.f1].map((values) => Number(values[at]!.toFixed(4)).toFixed(3)),
      );
    }
    const link = await page.$('#thresholds tbody a');
    await link!.focus();
    await page.keyboard.press('Enter');
    await page.waitForFunction("location.hash === '#pictures=at/-1/0.8'");
    await page.close();
  });

  test('an address opens its list', async () => {
    const page = await opened(390, 'dark', '#pictures=missed');
    assert.match((await text(page, '#pictures > div > h3'))[0]!, /^Not found, largest first/);
    await page.close();
  });

  test('objects with masks are shown by them, others by their boxes', async () => {
    const page = await opened(390, 'light', '#pictures=all');
    const shapes = (await page.evaluate(`[...document.querySelectorAll('.card .truth g')].map((group) => {
      const { x, y, width, height } = group.querySelector('.line').getBBox();
      return [group.querySelector('path') !== null, x, y, width, height];
    })`)) as [boolean, number, number, number, number][];
    assert.ok(shapes.some(([isMask]) => isMask) && shapes.some(([isMask]) => !isMask));
    const boxes = input.dataset.annotations.annotations.map(({ bbox }) => bbox);
    for (const [, x, y, width, height] of shapes)
      assert.ok(
        boxes.some((box) => [x, y, width, height].every((value, i) => Math.abs(value - box[i]!) <= 1)),
        `${x}, ${y}, ${width}, ${height}`,
      );
    await page.close();
  });

  test('every picture it shows lies beside it', () => {
    const files = readFileSync(join(folder, 'report.html'), 'utf8').match(/report-pictures\/\d+\.jpg/g)!;
    assert.equal(new Set(files).size, 30);
    for (const file of files) assert.ok(existsSync(join(folder, file)));
  });
});
