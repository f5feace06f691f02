import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { evaluateCoco, InputError, type IouType } from '@goshawk/core';
import sharp from 'sharp';
import { checkForEvaluation, checkPictureHeaders, requireEvaluable } from './check-for-evaluation.js';
import { type DetectionDataset, openCocoDataset } from './dataset.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-evaluable-'));
after(() => rmSync(folder, { recursive: true }));
mkdirSync(join(folder, 'images'));
const white = { create: { width: 64, height: 48, channels: 3, background: 'white' } } as const;
for (const name of ['a.png', 'b.png'])
  await sharp(white)
    .png()
    .toFile(join(folder, 'images', name));

const square = [[10, 8, 30, 8, 30, 24, 10, 24]];
const entry = (id: number, name: string, more = {}) => ({ id, file_name: name, width: 64, height: 48, ...more });
const object = (id: number, more = {}) => ({
  id,
  image_id: 1,
  category_id: 1,
  bbox: [10, 8, 20, 16],
  area: 320,
  segmentation: square,
  ...more,
});

function open(annotations: object[], { images = [entry(1, 'a.png')], category = {} } = {}): DetectionDataset {
  const file = join(folder, 'val.json');
  writeFileSync(file, JSON.stringify({ images, annotations, categories: [{ id: 1, name: 'thing', ...category }] }));
  return openCocoDataset({ annotations: file, images: join(folder, 'images') }, { purpose: 'evaluation' });
}

const messages = (dataset: DetectionDataset, measuredBy: IouType[], more = {}) =>
  checkForEvaluation(dataset, { measuredBy, ...more }).map(({ code, message }) => [code, message.split('json: ')[1]]);

/** What the evaluation itself does with the data, of the model's detection in the first picture. */
function evaluates(dataset: DetectionDataset, iouType: IouType, keypoints = 4): boolean {
  const found = { ...object(1), imageId: 1, categoryId: 1, score: 1, bbox: dataset.annotations.annotations[0]!.bbox };
  const points = { keypoints: Array.from({ length: keypoints * 3 }, () => 1) };
  const detections = [{ ...found, segmentation: undefined, ...points }];
  try {
    evaluateCoco({ groundTruth: dataset.annotations, detections, iouType });
    return true;
  } catch (error) {
    assert.ok(error instanceof InputError);
    return false;
  }
}

test('an object without a mask is found where masks are measured, in each form that it has', () => {
  for (const segmentation of [[], undefined, [[1, 1, 5, 5]]]) {
    const dataset = open([object(1), object(2, { segmentation })]);
    const [[code, message] = []] = messages(dataset, ['bbox', 'segm']);
    assert.equal(code, 'mask-missing');
    assert.match(message ?? '', /^annotations \(annotation id 2\) has no mask, .*faster_rcnn/);
    assert.deepEqual(messages(dataset, ['bbox']), []);
    assert.deepEqual([evaluates(dataset, 'segm'), evaluates(dataset, 'bbox')], [false, true]);
  }
});

test('a mask of another size than its picture is found', () => {
  const dataset = open([object(1)]);
  const rle = { kind: 'rle', rle: { size: [64, 48], counts: Uint32Array.of(100, 20, 2952) } } as const;
  const [annotation] = dataset.annotations.annotations;
  const annotations = { ...dataset.annotations, annotations: [{ ...annotation!, segmentation: rle }] };
  const [issue] = checkForEvaluation({ fileName: 'val.json', annotations }, { measuredBy: ['segm'] });
  assert.match(issue!.message, /has a mask of \[64, 48\] but the picture is \[48, 64\]/);
});

test('a polygon that cannot be drawn is found', () => {
  const zigzag = Array.from({ length: 140_000 }, (_, i) => (i % 2 === 0 ? (i % 4 === 0 ? 0 : 64) : (i / 3) % 48));
  assert.equal(messages(open([object(1, { segmentation: [zigzag] })]), ['segm'])[0]?.[0], 'bad-mask');
});

test('keypoints must be as many as the names, the sigmas and the model have', () => {
  const four = { keypoints: [20, 24, 2, 56, 24, 2, 56, 40, 2, 20, 40, 2], num_keypoints: 4 };
  const named = open([object(1, four)], { category: { keypoints: ['tl', 'tr', 'br', 'bl'] } });
  assert.deepEqual(messages(named, ['keypoints'], { keypoints: 4 }), []);
  assert.ok(evaluates(named, 'keypoints'));
  assert.match(messages(named, ['keypoints'], { keypoints: 17 })[0]![1]!, /asks for 4 .*but the model finds 17/);
  assert.ok(!evaluates(named, 'keypoints', 17));
  const nameless = open([object(1, four)]);
  assert.deepEqual(messages(nameless, ['keypoints']), []);
  assert.ok(evaluates(nameless, 'keypoints'));
  const mixed = open([object(1, four), object(2, { keypoints: [20, 24, 2], num_keypoints: 1 })]);
  assert.match(
    messages(mixed, ['keypoints'])[0]![1]!,
    /has 1 keypoints \(expected 4: the first annotation, as no category/,
  );
  assert.ok(!evaluates(mixed, 'keypoints'));
  assert.deepEqual(messages(nameless, ['keypoints'], { oksSigmas: [0.1, 0.1, 0.1, 0.1] }), []);
});

test('headers tell pictures of another size, and what is no picture', async () => {
  writeFileSync(join(folder, 'images/text.png'), 'nothing to see');
  const images = [entry(1, 'a.png'), entry(2, 'b.png', { width: 65 }), entry(3, 'text.png')];
  const dataset = open([object(1)], { images });
  const issues = await checkPictureHeaders(dataset);
  assert.deepEqual(
    issues.map(({ code }) => code),
    ['image-size', 'image-damaged'],
  );
  assert.match(issues[0]!.message, /images \(image id 2\) .*b\.png is 64 x 48 pixels, declared 65 x 48: .*correct/);
  await assert.rejects(
    requireEvaluable(dataset, { measuredBy: ['bbox'] }),
    /and 1 more: goshawk data check lists them/,
  );
  await requireEvaluable(open([object(1)]), { measuredBy: ['bbox', 'segm'] });
});

test('sides that EXIF orientation exchanges are a picture of the right size, or say what to set', async () => {
  await sharp(white).withMetadata({ orientation: 6 }).jpeg().toFile(join(folder, 'images/turned.jpg'));
  const upright = { width: 48, height: 64 };
  const dataset = open([object(1)], { images: [entry(1, 'turned.jpg', upright)] });
  assert.deepEqual(await checkPictureHeaders(dataset), []);
  const [issue] = await checkPictureHeaders({ ...dataset, exifOrientation: 'ignore' });
  assert.match(issue!.message, /EXIF orientation 6 exchanges them: set data\.exifOrientation to apply/);
});
