// How large the report of many pictures is, and how fast a browser opens it and follows its sliders. The pictures and what is found
// in them are made up: some 7 detections a picture that are right or nearly, the others anywhere.
//   node scripts/measure-report.mjs [--pictures 5000] [--per-picture 40] [--classes 80] [--rounds 5] [--output FOLDER]
// Exit code 1 at 30 MB with the pictures or more, or where the middle of the rounds takes a second or more to open. Needs a
// finished `tsc -b` and a Chromium.
import { mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { boxXywh, createRandom, synthesizeScene } from '@goshawk/core';
import sharp from 'sharp';
import { measureErrors } from '../packages/goshawk/dist/report/error-figures.js';
import { Thumbnails } from '../packages/goshawk/dist/report/thumbnails.js';
import { writeReport } from '../packages/goshawk/dist/report/write-report.js';
import { openChromium } from '../packages/goshawk/dist/testing/chromium.js';
import { madeReport } from '../packages/goshawk/dist/testing/made-report.js';

const { values } = parseArgs({
  options: {
    pictures: { type: 'string', default: '5000' },
    'per-picture': { type: 'string', default: '40' },
    classes: { type: 'string', default: '80' },
    rounds: { type: 'string', default: '5' },
    output: { type: 'string' },
  },
});
const [pictures, perPicture, classes, rounds] = ['pictures', 'per-picture', 'classes', 'rounds'].map((name) =>
  Number(values[name]),
);
const folder = values.output ?? mkdtempSync(path.join(tmpdir(), 'goshawk-report-'));
try {
  await writeReport(folder, await input(), new Thumbnails(folder));
  const photos = readdirSync(path.join(folder, 'report-pictures')).map((name) =>
    path.join(folder, 'report-pictures', name),
  );
  const megabytes = (files) => files.reduce((sum, file) => sum + statSync(file).size, 0) / 1e6;
  const page = path.join(folder, 'report.html');
  const whole = megabytes([page, ...photos]);
  console.log(`${megabytes([page]).toFixed(1)} MB, ${whole.toFixed(1)} MB with ${photos.length} pictures`);
  const { opened, followed } = await inBrowser(pathToFileURL(page).href);
  console.log(`opens in ${words(opened)}; follows a slider in ${words(followed)}`);
  if (whole >= 30 || middle(opened) >= 1000) {
    console.error('measure-report: must be below 30 MB and open in less than a second');
    process.exitCode = 1;
  }
} finally {
  if (values.output === undefined) rmSync(folder, { recursive: true });
}

async function input() {
  const made = madeReport({ pictures, categories: Array.from({ length: classes }, (_, i) => `class ${i + 1}`) });
  const random = createRandom(1);
  const detections = [...made.detections];
  for (const { id } of made.dataset.annotations.images)
    for (let count = perPicture - 7; count > 0; count--) {
      const bbox = boxXywh(random.integer(260), random.integer(180), 10 + random.integer(50), 10 + random.integer(50));
      const score = 0.05 + 0.6 * (random.integer(1000) / 1000) ** 4;
      detections.push({ imageId: id, categoryId: 1 + random.integer(classes), score, bbox });
    }
  const scenes = await Promise.all(
    Array.from({ length: 16 }, (_, index) => {
      const { image } = synthesizeScene({ seed: 1, index, width: 320, height: 240, difficulty: 'hard' });
      return sharp(image.data, { raw: { width: 320, height: 240, channels: 3 } })
        .jpeg()
        .toBuffer();
    }),
  );
  const load = async (name) => scenes[Number.parseInt(name, 10) % scenes.length];
  const errors = measureErrors(made.dataset.annotations, detections, 'bbox');
  return { ...made, dataset: { ...made.dataset, load }, detections, errors };
}

/** Milliseconds from the address to a page that has drawn itself, and from a slider's step to the numbers. */
async function inBrowser(address) {
  const browser = await openChromium();
  const [opened, followed] = [[], []];
  try {
    for (let round = 0; round < rounds; round++) {
      const page = await browser.newPage();
      await page.setViewport({ width: 1280, height: 900 });
      const started = performance.now();
      await page.goto(address, { waitUntil: 'load' });
      await page.evaluate('new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))');
      opened.push(performance.now() - started);
      followed.push(
        await page.evaluate(`new Promise((done) => {
          const slider = document.getElementById('confusion-score');
          const started = performance.now();
          slider.value = '0.4';
          slider.dispatchEvent(new Event('input'));
          requestAnimationFrame(() => done(performance.now() - started));
        })`),
      );
      await page.close();
    }
  } finally {
    await browser.close();
  }
  return { opened, followed };
}

function middle(times) {
  return [...times].sort((a, b) => a - b)[Math.floor(times.length / 2)];
}

function words(times) {
  const sorted = [...times].sort((a, b) => a - b);
  return `${middle(times).toFixed(0)} ms (${sorted[0].toFixed(0)} to ${sorted.at(-1).toFixed(0)})`;
}
