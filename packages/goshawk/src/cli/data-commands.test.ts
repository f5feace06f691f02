import assert from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import sharp from 'sharp';
import { annotations, cups } from '../testing/cups.js';

const { folder, here, assertRefused } = cups();

describe('goshawk data', () => {
  test('stats counts objects by category and size', async () => {
    const { code, out } = await here(['data', 'stats', 'truth.json', '--json']);
    assert.equal(code, 0);
    const stats = JSON.parse(out);
    assert.deepEqual([stats.images, stats.emptyImages, stats.annotations], [2, 1, 2]);
    // 20 x 20 is below 32 x 32, 2000 below 96 x 96.
    assert.deepEqual(stats.sizes, { small: 1, medium: 1, large: 0 });
    assert.deepEqual(stats.categories[0], { id: 3, name: 'cup', objects: 2, images: 1, small: 1, medium: 1, large: 0 });
    assert.match((await here(['data', 'stats', 'truth.json'])).out, /^cup +3 +2 +1 +1 +1 +0$/m);
  });

  test('check accepts a good file', async () => {
    assert.deepEqual(await here(['data', 'check', 'truth.json']), {
      code: 0,
      out: [
        'warning [image-empty] truth.json: has 1 of 2 pictures without a usable object, left out of training: set data.skipEmpty to false to learn background from them',
        'rule [image-empty] in training: left out; background with `data.skipEmpty: false`; in an evaluation: counts',
        'truth.json: 0 errors, 1 warning (2 images, 2 annotations, 2 categories)\n',
      ].join('\n'),
      err: '',
    });
    const evaluated = await here(['data', 'check', 'truth.json', '--purpose', 'evaluation']);
    assert.equal(evaluated.out, 'truth.json: nothing wrong (2 images, 2 annotations, 2 categories)\n');
  });

  test('check lists every problem with its code and exits with 1', async () => {
    const broken = structuredClone(annotations);
    broken.annotations[0]!.bbox = [10, 10];
    broken.annotations[1]!.category_id = 8;
    writeFileSync(path.join(folder, 'broken.json'), JSON.stringify(broken));
    const { code, out } = await here(['data', 'check', 'broken.json']);
    assert.equal(code, 1);
    assert.match(out, /^error \[bad-box\] broken\.json: annotations\[0\]\.bbox \(annotation id 1\) /m);
    assert.match(out, /^error \[unknown-category\] broken\.json: annotations\[1\]/m);
    assert.match(out, /^broken\.json: 2 errors, 0 warnings$/m);
  });

  test('check --images finds pictures of another size, missing and damaged ones', async () => {
    const { code, out } = await here(['data', 'check', 'truth.json', '--images', '.', '--json']);
    assert.equal(code, 1);
    const { errors, picturesChecked, issues } = JSON.parse(out);
    assert.deepEqual([errors, picturesChecked], [1, 2]);
    const [size] = issues.filter(({ code }: { code: string }) => code === 'image-size');
    assert.match(
      size.message,
      /^truth\.json: images\[1\] \(image id 2\) b\.png is 40 x 50 pixels, declared 50 x 50: .*correct the annotation file/,
    );
    await assertRefused(
      ['data', 'check', 'truth.json', '--images', 'elsewhere'],
      'elsewhere: not found: check the path',
    );
  });
});

describe('goshawk data synth', () => {
  test('makes the same pictures and annotations from the same seed, and no folder over another', async () => {
    const args = ['--images', '5', '--seed', '4', '--size', '64x48', '--split', 'train,val'];
    const made = await here(['data', 'synth', '--output', 'scenes', ...args]);
    assert.equal(made.code, 0, made.err);
    assert.equal(made.out, 'scenes: train.json (4 pictures), val.json (1 pictures), pictures in images/\n');
    assert.equal((await here(['data', 'synth', '--output', 'again', ...args])).code, 0);
    for (const file of ['train.json', 'val.json', 'images/000001.png', 'images/000005.png']) {
      const [one, two] = ['scenes', 'again'].map((name) => readFileSync(path.join(folder, name, file)));
      assert.deepEqual(one, two, file);
    }
    assert.equal((await here(['data', 'check', 'scenes/train.json', '--images', 'scenes/images', '--masks'])).code, 0);
    await assertRefused(
      ['data', 'synth', '--output', 'scenes', ...args],
      'scenes: is there already: name a new folder or remove it',
    );
  });

  test('says what it expects of its options', async () => {
    const synth = ['data', 'synth', '--output', 'never'];
    await assertRefused(
      [...synth, '--size', '64'],
      '--size 64: expected WIDTHxHEIGHT in pixels: write for example 320x240',
    );
    await assertRefused(
      [...synth, '--images', '0'],
      '--images 0: expected a whole number from 1 to 1000000: correct it',
    );
    await assertRefused([...synth, '--split', 'a=1,b'], '--split a=1,b: give all splits a number or none');
    await assertRefused(
      [...synth, '--images', '1'],
      '--split train,val: too few pictures for 2 splits: raise --images',
    );
    assert.ok(!existsSync(path.join(folder, 'never')));
  });
});

describe('goshawk data draw', () => {
  test('draws the objects, nothing else, and a contact sheet', async () => {
    writeFileSync(path.join(folder, 'one.json'), JSON.stringify({ ...annotations, images: [annotations.images[0]] }));
    const drawn = await here(['data', 'draw', 'one.json', '--images', '.', '--output', 'drawn']);
    assert.equal(drawn.code, 0, drawn.err);
    assert.equal(drawn.out, `drawn: 1 of 1 pictures drawn; ${path.join('drawn', 'contact-sheet.png')} shows 1\n`);
    const { data, info } = await sharp(path.join(folder, 'drawn', 'a-1.png'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    const pixel = (x: number, y: number) => [...data.subarray((y * info.width + x) * 3).subarray(0, 3)];
    assert.deepEqual([info.width, info.height], [60, 40]);
    assert.deepEqual(pixel(58, 30), [0x40, 0x80, 0xc0], 'right of every box');
    const edge = Array.from({ length: 4 }, (_, i) => pixel(28 + i, 25).join());
    assert.ok(
      edge.some((color) => color !== pixel(58, 30).join()),
      'the right edge of the small box at x = 30',
    );
    assert.ok(existsSync(path.join(folder, 'drawn', 'contact-sheet.png')));
  });

  test('does not follow file names out of the folder', async () => {
    const escaping = structuredClone(annotations);
    escaping.images[0]!.file_name = '../a.png';
    writeFileSync(path.join(folder, 'escaping.json'), JSON.stringify(escaping));
    const { code, err } = await here(['data', 'draw', 'escaping.json', '--images', '.', '--output', 'never']);
    assert.equal(code, 2);
    assert.match(err, /^goshawk: escaping\.json: .*\.\.\/a\.png/);
    assert.ok(!existsSync(path.join(folder, 'never')));
  });
});

describe('goshawk data augment', () => {
  const config = [
    '{model: {type: faster_rcnn}, preprocess: {resize: {minSize: 40, maxSize: 60}}, data: {flip: 0, workers: 0,',
  ];
  const write = (file: string, rest: string) => writeFileSync(path.join(folder, file), `${config}${rest}}}`);

  test('draws what the network sees: the same pictures each time, and for no steps the picture itself', async () => {
    const train = 'train: {annotations: one.json, images: .}';
    writeFileSync(path.join(folder, 'one.json'), JSON.stringify({ ...annotations, images: [annotations.images[0]] }));
    write('plain.yaml', train);
    const drawn = await here(['data', 'augment', 'plain.yaml', '--output', 'plain', '--count', '2']);
    assert.equal(drawn.code, 0, drawn.err);
    assert.match(drawn.out, /^plain: 2 training pictures with \d+ objects; plain.contact-sheet\.png shows 2\n$/);
    const { data, info } = await sharp(path.join(folder, 'plain', '0001.png'))
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.deepEqual([info.width, info.height], [60, 40]);
    assert.deepEqual([...data.subarray((30 * 60 + 58) * 3).subarray(0, 3)], [0x40, 0x80, 0xc0]);
    write('steps.yaml', `${train}, augment: [{type: resize, size: 60}, {type: mosaic, size: 60}, {type: noise}]`);
    const read = (folderName: string) => readFileSync(path.join(folder, folderName, '0002.png'));
    for (const output of ['first', 'second'])
      assert.equal((await here(['data', 'augment', 'steps.yaml', '--output', output, '--count', '2'])).code, 0);
    assert.deepEqual(read('first'), read('second'));
    assert.notDeepEqual(read('first'), read('plain'));
  });

  test('says what is missing', async () => {
    write('empty.yaml', '');
    await assertRefused(
      ['data', 'augment', 'empty.yaml'],
      'data.train: is not set: pass --set data.train.annotations=FILE --set data.train.images=FOLDER',
    );
    await assertRefused(
      ['data', 'augment', 'empty.yaml', '--count', '0'],
      '--count 0: expected a whole number from 1 to 100000: correct it',
    );
  });
});
