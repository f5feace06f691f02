// `goshawk data check` and a training say the same about the same files: what is refused, what is left out, and why.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, mock, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type DataIssue, type DataRule, dataRules, InputError } from '@goshawk/core';
import sharp from 'sharp';
import { configToYaml, parseConfig, type RunConfig } from '../config/index.js';
import { checkForEvaluation, type DetectionDataset, decodeSample } from '../data/index.js';
import { detectorKind } from '../models/index.js';
import { openSplit } from '../train/training-data.js';
import { runDataCheck } from './data-check.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-agreement-'));
after(() => rmSync(folder, { recursive: true }));

interface Said {
  readonly errors: number;
  readonly issues: readonly DataIssue[];
  readonly evaluation: readonly DataIssue[];
  readonly samples?: number;
  readonly objects?: number;
  readonly leftOut?: Record<string, number>;
}

/** What the command says, by its `--json`; an error that ends it, where the files cannot be opened at all. */
async function check(config: RunConfig, annotations: string, images: string, purpose: string): Promise<Said | string> {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, configToYaml(config));
  const log = mock.method(console, 'log', () => undefined);
  const progress = mock.method(process.stderr, 'write', () => true);
  const exitCode = process.exitCode;
  try {
    await runDataCheck([annotations], { for: file, images: [images], purpose, json: true });
    return JSON.parse(String((log.mock.calls as { arguments: unknown[] }[])[0]!.arguments[0])) as Said;
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    return error.message;
  } finally {
    log.mock.restore();
    progress.mock.restore();
    process.exitCode = exitCode;
  }
}

/** What training does, up to the first step: opening, and the pictures that its steps would decode. */
async function open(config: RunConfig, purpose: 'training' | 'evaluation') {
  let dataset: DetectionDataset;
  try {
    dataset = openSplit(config, 'train', { purpose });
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    return { refused: error.message, damaged: [] };
  }
  const damaged: number[] = [];
  for (const sample of dataset.samples)
    await decodeSample(sample, dataset.exifOrientation).catch((error) => {
      assert.ok(error instanceof InputError, String(error));
      damaged.push(sample.image.id);
    });
  return { dataset, damaged };
}

const ofPictures = new Set(['image-damaged', 'image-size']);

async function agree(annotations: string, images: string, sets: readonly string[] = []): Promise<Said | string> {
  let last: Said | string = '';
  for (const type of ['faster_rcnn', 'mask_rcnn', 'keypoint_rcnn'])
    for (const purpose of ['evaluation', 'training'] as const) {
      const data = [`data.train.annotations=${annotations}`, `data.train.images=${images}`];
      const config = parseConfig(`model: {type: ${type}}`, { file: 'config', sets: [...data, ...sets] });
      const said = await check(config, annotations, images, purpose);
      const { dataset, refused, damaged } = await open(config, purpose);
      const where = `${annotations} ${type} ${purpose}`;
      last = said;
      if (typeof said === 'string') {
        assert.ok(refused !== undefined, where);
        continue;
      }
      const errors = said.issues.filter(({ severity }) => severity === 'error');
      const measuredBy = detectorKind(config.model).measuredBy;
      const inEvaluation = dataset ? checkForEvaluation(dataset, { measuredBy }) : [];
      const ofEvaluation = purpose === 'evaluation' ? inEvaluation.map(({ message }) => message) : [];
      const opening = errors.filter(({ code, message }) => !ofPictures.has(code) && !ofEvaluation.includes(message));
      assert.equal(opening.length > 0, refused !== undefined, `${where}: ${refused ?? JSON.stringify(opening)}`);
      if (refused !== undefined)
        assert.ok(refused.startsWith(opening[0]!.message), `${refused} / ${opening[0]!.message}`);
      if (!dataset) continue;
      assert.deepEqual([said.samples, said.objects], [dataset.samples.length, dataset.counts.annotations], where);
      assert.deepEqual(said.leftOut, dataset.counts.leftOut, where);
      const known = new Set(said.issues.map(({ message }) => message));
      for (const warning of dataset.warnings) assert.ok(known.has(warning), `${where}: ${warning}`);
      const pictures = said.issues.filter(({ code }) => ofPictures.has(code)).map(({ message }) => message);
      for (const id of damaged)
        assert.ok(
          pictures.some((one) => one.includes(`(image id ${id})`)),
          `${where}: ${id}`,
        );
      if (purpose === 'training') assert.deepEqual(said.evaluation, JSON.parse(JSON.stringify(inEvaluation)), where);
      for (const { code, severity } of said.issues) {
        const rule: DataRule = dataRules[code];
        const expected = rule[purpose].severity;
        // Where only numbers are compared, names and sizes may be missing.
        if (code !== 'missing-field') assert.equal(severity, expected, `${where}: ${code}`);
      }
    }
  return last;
}

const white = { create: { width: 64, height: 48, channels: 3, background: 'white' } } as const;
const square = [[10, 8, 30, 8, 30, 24, 10, 24]];
const object = (id: number, more = {}) => ({
  id,
  image_id: 1,
  category_id: 1,
  bbox: [10, 8, 20, 16],
  area: 320,
  segmentation: square,
  ...more,
});
const cards = ['tl', 'tr', 'br', 'bl'];
const points = { keypoints: [10, 8, 2, 30, 8, 2, 30, 24, 2, 10, 24, 2], num_keypoints: 4 };
const images = join(folder, 'images');
mkdirSync(images);
for (const name of ['a.png', 'b.png']) await sharp(white).png().toFile(join(images, name));
writeFileSync(join(images, 'cut.png'), (await sharp(white).png().toBuffer()).subarray(0, 60));
await sharp(white).png().toFile(join(folder, 'outside.png'));
symlinkSync(join(folder, 'outside.png'), join(images, 'link.png'));

interface Case {
  readonly annotations?: object[];
  readonly file?: string;
  readonly width?: number;
  readonly category?: object;
  readonly sets?: readonly string[];
  /** A code that a training of one of the models meets. */
  readonly code: keyof typeof dataRules;
}

const cases: Record<string, Case> = {
  'every object a crowd': { annotations: [object(1, { iscrowd: 1 })], code: 'no-usable-picture' },
  'half of them crowds': { annotations: [object(1), object(2, { iscrowd: 1 })], code: 'crowd' },
  'no annotations': { annotations: [], code: 'no-usable-picture' },
  'an empty mask': { annotations: [object(1), object(2, { segmentation: [] })], code: 'mask-missing' },
  'no mask at all': { annotations: [object(1, { segmentation: undefined })], code: 'no-usable-picture' },
  'a mask of no pixels': {
    annotations: [object(1), object(2, { segmentation: { size: [48, 64], counts: [3072] } })],
    code: 'mask-missing',
  },
  'a box that vanishes': { annotations: [object(1), object(2, { bbox: [40, 8, 1e-9, 9] })], code: 'box-vanishes' },
  'a tiny box': { annotations: [object(1, { bbox: [0.2, 0.3, 0.1, 0.2] })], code: 'box-tiny' },
  'a far-away box': { annotations: [object(1), object(2, { bbox: [900, 8, 9, 9] })], code: 'box-outside' },
  'a box without width': { annotations: [object(1), object(2, { bbox: [9, 8, 0, 9] })], code: 'box-degenerate' },
  'the same box twice': { annotations: [object(1), object(2)], code: 'duplicate-annotation' },
  'a box of a pixel for Detectron': {
    annotations: [object(1), object(2, { bbox: [9, 8, 1, 9] })],
    sets: ['model.conventions=detectron'],
    code: 'box-small',
  },
  'a picture of another size': { width: 65, code: 'image-size' },
  'a damaged picture': { file: 'cut.png', code: 'image-damaged' },
  'a missing picture': { file: 'none.png', code: 'image-missing' },
  'a link out of the folder': { file: 'link.png', code: 'link-outside' },
  'a link that is allowed': { file: 'link.png', sets: ['data.followLinks=true'], code: 'keypoints-missing' },
  'keypoints without sides': { annotations: [object(1, points)], category: { keypoints: cards }, code: 'flip-unknown' },
  'keypoints with pairs': {
    annotations: [object(1, points)],
    category: { keypoints: cards },
    sets: ['data.keypointFlipPairs=[[tl, tr], [2, 3]]'],
    code: 'image-empty',
  },
  'a one-sided keypoint': {
    annotations: [object(1, points)],
    category: { keypoints: ['left_tip', 'b', 'c', 'd'] },
    code: 'flip-one-sided',
  },
  'a one-sided keypoint, never mirrored': {
    annotations: [object(1, points)],
    category: { keypoints: ['left_tip', 'b', 'c', 'd'] },
    sets: ['data.flip=0'],
    code: 'image-empty',
  },
};

describe('data check and training agree on', () => {
  for (const [
    name,
    { annotations = [object(1)], file = 'a.png', width = 64, category = {}, sets, code },
  ] of Object.entries(cases))
    test(name, async () => {
      const path = join(folder, 'case.json');
      const entries = [
        { id: 1, file_name: file, width, height: 48 },
        { id: 2, file_name: 'b.png', width: 64, height: 48 },
      ];
      const categories = [{ id: 1, name: 'thing', ...category }];
      writeFileSync(path, JSON.stringify({ images: entries, annotations, categories }));
      const type = code.startsWith('mask') || name.startsWith('no mask') ? 'mask_rcnn' : 'keypoint_rcnn';
      await agree(path, images, sets);
      const data = [`data.train.annotations=${path}`, `data.train.images=${images}`, ...(sets ?? [])];
      const said = await check(
        parseConfig(`model: {type: ${type}}`, { file: 'x', sets: data }),
        path,
        images,
        'training',
      );
      assert.ok(typeof said !== 'string' && said.issues.some((issue) => issue.code === code), JSON.stringify(said));
    });

  test('all crowds: the refusal names them, and objects without masks are sent to a model of boxes', async () => {
    const refusal = async (annotations: object[], type: string): Promise<string> => {
      const path = join(folder, 'refused.json');
      const entries = [{ id: 1, file_name: 'a.png', width: 64, height: 48 }];
      writeFileSync(path, JSON.stringify({ images: entries, annotations, categories: [{ id: 1, name: 'thing' }] }));
      const sets = [`data.train.annotations=${path}`, `data.train.images=${images}`];
      const { refused = '' } = await open(parseConfig(`model: {type: ${type}}`, { file: 'x', sets }), 'training');
      return refused;
    };
    assert.match(
      await refusal([object(1, { iscrowd: 1 }), object(2, { bbox: [0, 0, 0, 5] })], 'faster_rcnn'),
      /no picture with a usable object \(1 images, 2 annotations, left out: 1 crowd \(iscrowd 1\), 1 with a box without area\)/,
    );
    assert.match(await refusal([object(1, { segmentation: [] })], 'mask_rcnn'), /1 without a mask\).*faster_rcnn/);
  });

  const shared = fileURLToPath(new URL('../../../../../shared/data/', import.meta.url));
  test('every file of field-cases and bad-inputs', { skip: !existsSync(shared) }, async () => {
    const found = (top: string): string[] =>
      readdirSync(join(shared, top), { recursive: true, encoding: 'utf8' })
        .filter((name) => name.endsWith('.json') && !/(^|\/)(dt|manifest)\.json$|^results/.test(name))
        .map((name) => join(shared, top, name));
    const files = [...found('field-cases'), ...found('bad-inputs')];
    assert.ok(files.length > 50);
    for (const file of files) {
      const beside = join(dirname(file), 'images');
      await agree(file, existsSync(beside) ? beside : join(shared, 'bad-inputs/images'));
    }
  });
});
