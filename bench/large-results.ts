// A results file beyond an engine's strings: written as predict and eval write it, then measured by goshawk evaluate. Each step is
// a process with Node's own limits; its time and the highest memory that it held are printed.
//
//     node bench/dist/large-results.js [--detections 2500000] [--folder DIR] [--keep]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  boxXywh,
  createRandom,
  type Detection,
  polygonToRle,
  type Random,
  type Rle,
  rleToBbox,
  rleToString,
} from '@goshawk/core';
import { openResultsFile } from 'goshawk';

const width = 640;
const height = 480;
const perPicture = 100;
const objectsPerPicture = 7;
const categories = Array.from({ length: 80 }, (_, i) => ({ id: i + 1, name: `category ${i + 1}` }));

const { values: options } = parseArgs({
  options: {
    detections: { type: 'string', default: '2500000' },
    folder: { type: 'string' },
    keep: { type: 'boolean', default: false },
    // Internal: write the files into this folder.
    write: { type: 'string' },
  },
});
const pictures = Math.ceil(Number(options.detections) / perPicture);

if (options.write !== undefined) writeFiles(options.write);
else run();

function run(): void {
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'goshawk-large-results-'));
  try {
    console.log(
      `${pictures * perPicture} detections with masks in ${pictures} pictures; ${cpus()[0]?.model}, Node ${process.version}`,
    );
    step('write', [fileURLToPath(import.meta.url), '--detections', options.detections, '--write', folder]);
    const results = join(folder, 'detections.json');
    console.log(`${(statSync(results).size / 1e6).toFixed(0)} MB`);
    const program = fileURLToPath(new URL('../../packages/goshawk/bin/goshawk.js', import.meta.url));
    for (const type of ['segm', 'bbox']) {
      const files = ['--ground-truth', join(folder, 'truth.json'), '--detections', results];
      console.log(step(`evaluate --type ${type}`, [program, 'evaluate', ...files, '--type', type]).split('\n')[0]);
    }
  } finally {
    if (options.keep) console.log(folder);
    else rmSync(folder, { recursive: true });
  }
}

/** Runs a program of Node's in a process of its own; what it printed. */
function step(name: string, args: readonly string[]): string {
  const report = 'process.on("exit", () => console.error("peak", process.resourceUsage().maxRSS))';
  const preload = `data:text/javascript,${encodeURIComponent(report)}`;
  const started = performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--import', preload, ...args], { encoding: 'utf8' });
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`${name} failed: ${stderr}`);
  const peak = Number(/^peak (\d+)$/m.exec(stderr)?.[1]) / 1024;
  console.log(`${name.padEnd(22)} ${seconds.toFixed(1)} s, at most ${peak.toFixed(0)} MiB`);
  return stdout;
}

function writeFiles(folder: string): void {
  const random = createRandom(1, 0);
  const pool = Array.from({ length: 3000 }, () => blob(random));
  const pick = () => pool[random.integer(pool.length)]!;
  const results = openResultsFile(join(folder, 'detections.json'), { categories });
  const truths: string[] = [];
  for (let picture = 1; picture <= pictures; picture++) {
    const objects = Array.from({ length: objectsPerPicture }, () => ({
      rle: pick(),
      category: 1 + random.integer(80),
    }));
    for (const { rle, category } of objects) truths.push(truthEntry(truths.length + 1, picture, category, rle));
    const found = Array.from({ length: perPicture }, (_, i): Detection => {
      // Half of the objects are found, the rest is anywhere.
      const { rle, category } =
        i % 2 === 0 && i < objects.length ? objects[i]! : { rle: pick(), category: 1 + random.integer(80) };
      const [x, y, w, h] = rleToBbox(rle);
      const bbox = boxXywh(x + random.uniform(), y + random.uniform(), w, h);
      return {
        imageId: picture,
        categoryId: category,
        score: random.uniform(),
        bbox,
        segmentation: { kind: 'rle', rle },
      };
    });
    results.add({ id: picture, fileName: `${picture}.jpg` }, found);
  }
  results.finish();
  const images = Array.from({ length: pictures }, (_, i) => ({ id: i + 1, file_name: `${i + 1}.jpg`, width, height }));
  const head = `{"images":${JSON.stringify(images)},"categories":${JSON.stringify(categories)},"annotations":[`;
  writeFileSync(join(folder, 'truth.json'), `${head}${truths.join(',')}]}`);
}

function truthEntry(id: number, picture: number, category: number, rle: Rle): string {
  return JSON.stringify({
    id,
    image_id: picture,
    category_id: category,
    bbox: rleToBbox(rle),
    area: 1000,
    iscrowd: 0,
    segmentation: { size: rle.size, counts: rleToString(rle) },
  });
}

/** A mask of 24 corners, of 24 to 340 pixels in width and height. */
function blob(random: Random): Rle {
  const [rx, ry] = [12 * 14 ** random.uniform(), 12 * 14 ** random.uniform()];
  const [x, y] = [random.uniform() * width, random.uniform() * height];
  const corners = Array.from({ length: 24 }, (_, i) => {
    const reach = 0.8 + 0.2 * random.uniform();
    const angle = (i / 24) * 2 * Math.PI;
    return [x + rx * reach * Math.cos(angle), y + ry * reach * Math.sin(angle)];
  });
  return polygonToRle(corners.flat(), [height, width]);
}
