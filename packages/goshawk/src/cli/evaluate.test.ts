import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { cups } from '../testing/cups.js';

const { folder, here, assertRefused } = cups();

describe('goshawk evaluate', () => {
  // One of two objects is found, first: precision 1 up to recall 0.5, which is 51 of the 101 recall thresholds.
  const average = 51 / 101;

  test('prints the standard table', async () => {
    const { code, out } = await here([
      'evaluate',
      '--ground-truth',
      'truth.json',
      '--detections',
      'found.json',
      '--type',
      'bbox',
    ]);
    assert.equal(code, 0);
    const lines = out.trimEnd().split('\n');
    assert.equal(lines.length, 12);
    assert.equal(lines[0], ' Average Precision  (AP) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.505');
    assert.equal(lines[8], ' Average Recall     (AR) @[ IoU=0.50:0.95 | area=   all | maxDets=100 ] = 0.500');
  });

  test('--json gives the figures by name, --per-category those of each', async () => {
    const args = ['evaluate', '--ground-truth', 'truth.json', '--detections', 'found.json', '--json', '--per-category'];
    const { type, stats, categories } = JSON.parse((await here(args)).out);
    assert.equal(type, 'bbox');
    assert.ok(Math.abs(stats.AP - average) < 1e-12);
    assert.equal(stats.AR100, 0.5);
    assert.deepEqual(
      categories.map((one: { name: string; AP: number }) => [one.name, one.AP < 0 ? -1 : 0.5]),
      [
        ['cup', 0.5],
        ['fork', -1],
      ],
    );
  });

  test('--errors says what errors cost, what was taken for what, and where to cut', async () => {
    const args = ['evaluate', '--ground-truth', 'truth.json', '--detections', 'found.json', '--errors'];
    const { out } = await here(args);
    assert.match(out, /^localization +1 +49\.50 +49\.50$/m);
    assert.match(out, /^cup +1 +0 +1$/m);
    assert.match(out, /^cup +0\.\d{3} +1\.000 +0\.500 +0\.667$/m);
    const { errors } = JSON.parse((await here([...args, '--json'])).out);
    assert.deepEqual(errors.confusion.categories, ['cup', 'fork']);
    assert.deepEqual(errors.confusion.counts[0], [1, 0, 1]);
    assert.equal(errors.tide.counts.localization, 1);
    assert.equal(errors.thresholds.overall.recall, 0.5);
    assert.match((await here([...args, '--type', 'keypoints'])).err, /--errors: belongs to bbox and segm/);
  });
});

describe('goshawk evaluate with other limits', () => {
  const evaluate = async (found: object[] | string, ...more: string[]) => {
    const text = typeof found === 'string' ? found : JSON.stringify(found);
    writeFileSync(path.join(folder, 'other.json'), text);
    return await here(['evaluate', '--ground-truth', 'truth.json', '--detections', 'other.json', ...more]);
  };
  const cup = { image_id: 1, category_id: 3, bbox: [10, 10, 20, 20], score: 0.9 };

  test('the table names the limits that were used, and a hint what they left out', async () => {
    const limits = [
      '--max-detections',
      '1',
      '--iou-thresholds',
      '0.3,0.5',
      '--area-ranges',
      'tiny=0:20^2',
      'rest=20^2:',
    ];
    const { code, out, err } = await evaluate([cup, { ...cup, score: 0.8 }], ...limits);
    assert.equal(code, 0, err);
    assert.deepEqual(out.trimEnd().split('\n'), [
      ' Average Precision  (AP) @[ IoU=0.30:0.50 | area=   all | maxDets=  1 ] = 0.505',
      ' Average Precision  (AP) @[ IoU=0.50      | area=   all | maxDets=  1 ] = 0.505',
      ' Average Recall     (AR) @[ IoU=0.30:0.50 | area=   all | maxDets=  1 ] = 0.500',
      ' Average Precision  (AP) @[ IoU=0.30:0.50 | area=  tiny | maxDets=  1 ] = 1.000',
      ' Average Recall     (AR) @[ IoU=0.30:0.50 | area=  tiny | maxDets=  1 ] = 1.000',
      ' Average Precision  (AP) @[ IoU=0.30:0.50 | area=  rest | maxDets=  1 ] = 0.505',
      ' Average Recall     (AR) @[ IoU=0.30:0.50 | area=  rest | maxDets=  1 ] = 0.500',
    ]);
    assert.match(
      err,
      /^hint: bbox: the limit of 1 detections .* left out 1 in 1 picture, .*--max-detections 2 counts all\n$/,
    );
  });

  test('belong to the measures of COCO', async () => {
    const args = ['evaluate', '--ground-truth', 'truth.json', '--detections', 'found.json'];
    await assertRefused(
      [...args, '--type', 'voc', '--max-detections', '5'],
      '--max-detections: belongs to bbox, segm and keypoints, not to --type voc: leave it out',
    );
    await assertRefused(
      [...args, '--sigmas', '0.1'],
      '--sigmas: belongs to keypoints, not to --type bbox: leave it out',
    );
  });

  test('names decide where ids are exchanged', async () => {
    const { code, out, err } = await evaluate([{ ...cup, category_id: 7, category_name: 'cup' }]);
    assert.equal(code, 0);
    assert.match(out, / = 0\.505\n/);
    assert.equal(
      err,
      "warning: other.json: its category ids are not those of the ground truth ('cup' is id 7 there and id 3 here): matched by name\n",
    );
  });

  test('a list without its end counts where that is allowed, and is said', async () => {
    const cut = JSON.stringify([cup, cup]).slice(0, -20);
    const refused = await evaluate(cut);
    assert.deepEqual([refused.code, refused.out], [2, '']);
    assert.match(
      refused.err,
      /^goshawk: other\.json: is not JSON: it ends in the middle, at line 1, column \d+: .*--allow-unfinished/,
    );
    const { code, err } = await evaluate(cut, '--allow-unfinished');
    assert.equal(code, 0);
    assert.match(
      err,
      /^warning: other\.json: was not finished: it ends in the middle, .*\nwarning: other\.json: 1 detections were read\n$/,
    );
  });
});
