import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
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
