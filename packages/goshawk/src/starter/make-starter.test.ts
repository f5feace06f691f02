// goshawk init and goshawk train on folders of photos, with the words that a person types.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { cudaFacts, multiplies } from '@goshawk/torch';
import sharp from 'sharp';
import { loadConfig } from '../config/index.js';
import { readAnnotations } from '../data/index.js';
import { type Ended, goshawkHere } from '../testing/goshawk-here.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-starter-'));
after(() => rmSync(folder, { recursive: true }));

const goshawk = (...words: string[]): Promise<Ended> => goshawkHere(folder, words);

const PICTURES = 12;

/** Photos of 640 x 400 pixels, each with a bright square of its own place on stripes of its own. */
before(async () => {
  for (let i = 0; i < PICTURES; i++) {
    const [x, y, side] = [40 + 40 * i, 30 + ((i * 97) % 200), 90 + 5 * i];
    const pixels = Buffer.alloc(640 * 400 * 3);
    for (let row = 0; row < 400; row++)
      for (let column = 0; column < 640; column++) {
        const isInside = column >= x && column < x + side && row >= y && row < y + side;
        pixels.fill(
          isInside ? 240 : ((Math.floor(column / 50) * (i + 3) + Math.floor(row / 50) * (i + 1)) * 29) % 120,
          (row * 640 + column) * 3,
          (row * 640 + column) * 3 + 3,
        );
      }
    const image = join(folder, 'squares', 'images', `${i}.jpg`);
    mkdirSync(dirname(image), { recursive: true });
    await sharp(pixels, { raw: { width: 640, height: 400, channels: 3 } })
      .jpeg()
      .toFile(image);
    const xml = join(folder, 'squares', 'annots', `${i}.xml`);
    mkdirSync(dirname(xml), { recursive: true });
    const box = `<bndbox><xmin>${x + 1}</xmin><ymin>${y + 1}</ymin><xmax>${x + side}</xmax><ymax>${y + side}</ymax></bndbox>`;
    writeFileSync(
      xml,
      `<annotation><size><width>640</width><height>400</height></size><object><name>square</name>${box}</object></annotation>`,
    );
  }
});

describe('goshawk init', () => {
  test('writes a config that names its data, and says each choice with its reason', async () => {
    const { code, out, err } = await goshawk('init', 'squares', '--output', 'made/squares.yaml', '--minutes', '0.5');
    assert.equal(code, 0, err);
    for (const choice of [
      'data',
      'model',
      'network',
      'weights',
      'copies',
      'sets',
      'precision',
      'pictures',
      'learning rate',
      'length',
    ])
      assert.match(out, new RegExp(`^${choice}: .+`, 'm'));
    const untried = /^precision: fp32 - this processor has no instructions for bfloat16$/m;
    assert.equal(untried.test(out), cudaFacts() === undefined && !multiplies('bfloat16'), out);
    const { config } = loadConfig(join(folder, 'made/squares.yaml'));
    assert.equal(config.train.minutes, 0.5);
    assert.equal(config.model.type, 'faster_rcnn');
    const isTiny = /^network: tiny /m.test(out);
    assert.equal(config.model.backbone.weights, isTiny ? 'shapes_resnet18_tiny' : undefined);
    const [train, val] = ['train', 'val'].map(
      (part) => readAnnotations({ annotations: join(folder, `made/squares-data/${part}.json`) }).dataset,
    );
    assert.equal(train!.images.length + val!.images.length, PICTURES);
    assert.ok(val!.images.length >= 2);
    // The copies to train on are smaller by one factor with their boxes; what is measured on is the photos themselves.
    const [copy] = train!.images;
    const original = readAnnotations({
      annotations: join(folder, 'squares'),
      images: join(folder, 'squares/images'),
    }).dataset;
    const same = original.images.find(({ fileName }) => fileName === copy!.fileName)!;
    const boxOf = ({ annotations }: typeof original, id: number) =>
      annotations.find(({ imageId }) => imageId === id)!.bbox;
    const factor = copy!.width / same.width;
    assert.ok(factor < 1);
    boxOf(train!, copy!.id).forEach((value, i) => {
      assert.ok(Math.abs(value - factor * boxOf(original, same.id)[i]!) < 0.5);
    });
    assert.equal(val!.images[0]!.width, 640);
  });

  test('says what of the annotations is left out of the parts that it draws', async () => {
    const shape = (shape_type: string, points: number[][]) => ({ label: 'square', shape_type, points });
    mkdirSync(join(folder, 'drawn'));
    for (let i = 0; i < 2; i++) {
      writeFileSync(join(folder, `drawn/${i}.jpg`), readFileSync(join(folder, `squares/images/${i}.jpg`)));
      const box = shape('rectangle', [
        [40, 30],
        [130, 120],
      ]);
      const shapes = [box, ...Array.from({ length: 3 }, () => shape('point', [[5, 5]]))];
      const file = { shapes, imagePath: `${i}.jpg`, imageData: null, imageWidth: 640, imageHeight: 400 };
      writeFileSync(join(folder, `drawn/${i}.json`), JSON.stringify(file));
    }
    const { code, out, err } = await goshawk('init', 'drawn', '--minutes', '0.1');
    assert.equal(code, 0, err);
    assert.match(out, /^data: labelme, 2 objects of 1 class \(square\)$/m);
    assert.equal(
      out.match(/^warning: drawn.\d\.json: shapes\[\d\] .* is a point, which encloses nothing: it is left out$/gm)
        ?.length,
      5,
    );
    assert.match(out, /^and 1 more warning: goshawk data check drawn lists them$/m);
  });

  test('begins with random weights where these are asked for, and with the named ones of the package', async () => {
    for (const [init, expected] of [
      ['random', undefined],
      ['shapes_resnet18_tiny', 'shapes_resnet18_tiny'],
    ] as const) {
      const words = ['--output', `${init}.yaml`, '--size', 'tiny', '--minutes', '0.1', '--init', init];
      const { code, out, err } = await goshawk('init', 'squares', ...words);
      assert.equal(code, 0, err);
      // The config says it, so that nothing has to be named again.
      assert.match(out, new RegExp(`train with it by goshawk train ${init}\\.yaml$`, 'm'));
      const { backbone } = loadConfig(join(folder, `${init}.yaml`)).config.model;
      assert.equal(backbone.weights, expected);
      assert.equal('width' in backbone && backbone.width, 32);
    }
    // Nor are there weights for a backbone of another shape.
    const asked = ['--set', 'model.backbone.width=16', '--size', 'tiny', '--minutes', '0.1'];
    const other = await goshawk('init', 'squares', '--output', 'narrow.yaml', ...asked);
    assert.match(other.out, /^weights: random - asked for$/m);
    assert.equal(loadConfig(join(folder, 'narrow.yaml')).config.model.backbone.weights, undefined);
  });

  test('writes over nothing, neither a file that is there nor the data itself', async () => {
    writeFileSync(join(folder, 'squares.yaml'), 'names: [square]\n');
    const there = await goshawk('init', 'squares');
    assert.deepEqual(
      [there.code, there.err],
      [2, 'goshawk: squares.yaml: is there already: choose another --output, or move it away\n'],
    );
    assert.equal(readFileSync(join(folder, 'squares.yaml'), 'utf8'), 'names: [square]\n');
    mkdirSync(join(folder, 'set/data'), { recursive: true });
    const annotations = JSON.stringify({ images: [], annotations: [], categories: [] });
    writeFileSync(join(folder, 'set/data/train.json'), annotations);
    const words = ['train', 'set/data/train.json', '--images', 'squares/images', '--output', 'set'];
    const { code, err } = await goshawk(...words);
    assert.equal(code, 2);
    assert.match(err, /^goshawk: set.data: holds the data itself, .*: choose another --output\n$/);
    assert.equal(readFileSync(join(folder, 'set/data/train.json'), 'utf8'), annotations);
    assert.deepEqual(readdirSync(join(folder, 'set')), ['data']);
  });

  test('refuses what is no time, and data that is not there', async () => {
    assert.match(
      (await goshawk('init', 'squares', '--minutes', 'ten')).err,
      /--minutes ten: expected a number of minutes/,
    );
    const missing = await goshawk('init', 'nowhere');
    assert.deepEqual([missing.code, missing.err], [2, 'goshawk: nowhere: no such file or folder: check the path\n']);
  });
});

describe('goshawk train on a folder', () => {
  test('trains with the config that it writes, evaluates, and is resumed by the same words', async () => {
    const short = ['--set', 'train.minutes=null', '--set', 'train.iterations=3', '--set', 'data.augment=[]'];
    const words = ['train', 'squares', '--output', 'run', '--minutes', '0.5', ...short];
    const { code, out, err } = await goshawk(...words);
    assert.equal(code, 0, err);
    assert.match(out, /^config: run.train\.yaml - /m);
    assert.match(out, /trained 3 iterations: run.final\.safetensors/);
    for (const file of ['train.yaml', 'config.yaml', 'best.safetensors', 'metrics.jsonl', 'data/val.json'])
      assert.ok(existsSync(join(folder, 'run', file)), file);
    assert.match(readFileSync(join(folder, 'run/metrics.jsonl'), 'utf8'), /AP50/);
    const written = readFileSync(join(folder, 'run/train.yaml'), 'utf8');
    const again = await goshawk(...words);
    assert.deepEqual([again.code, /run: has checkpoints .* --resume/.test(again.err)], [2, true]);
    assert.equal((await goshawk(...words, '--resume')).code, 0);
    assert.equal(readFileSync(join(folder, 'run/train.yaml'), 'utf8'), written);
  });

  test('says that a config has its own model', async () => {
    const { code, err } = await goshawk('train', 'configs/voc/faster_rcnn_r18_tiny.yaml', '--minutes', '5');
    assert.deepEqual([code, /--minutes: is for a folder of photos/.test(err)], [2, true]);
  });
});
