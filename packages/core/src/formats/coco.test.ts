// COCO files with one fault each (fixtures/), and texts that are no COCO file at all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { InputError } from '../errors/index.js';
import { inputErrorOf } from '../testing/input-error.js';
import { checkCoco, checkCocoChunks, parseCoco, parseCocoChunks } from './coco.js';
import { checkCocoResults, parseCocoResults } from './coco-results.js';
import { formatCoco } from './format-coco.js';

interface Entry {
  readonly file: string;
  readonly kind: 'coco-gt' | 'coco-results';
  readonly expect: 'error' | 'accept';
  readonly what: string;
  readonly field?: string;
  readonly names?: readonly string[];
  readonly images?: number;
  readonly annotations?: number;
  readonly categories?: number;
}

const folder = new URL('../../src/formats/fixtures/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, folder));
const manifest = JSON.parse(read('manifest.json').toString()) as readonly Entry[];
const groundTruth = parseCoco(read('coco/valid.json'), { fileName: 'valid.json' }).dataset;

// Faults that real sets have in a few of many annotations: documented skips with a warning.
const skipped: Readonly<Record<string, number>> = {
  'coco/negative-width-box.json': 2,
  'coco/zero-size-box.json': 2,
  'coco/box-wholly-outside.json': 2,
  'coco/polygon-four-numbers.json': 3,
};

function assertSays(message: string, entry: Entry): void {
  assert.ok(message.startsWith(`${entry.file}: `), message);
  assert.ok(!message.includes('\n') && message.length < 400, message);
  for (const word of [entry.field ?? '', ...(entry.names ?? [])])
    assert.ok(message.includes(word), `"${word}" in: ${message}`);
  assert.match(message.slice(entry.file.length + 1), /: [a-z]/, `no remedy in: ${message}`);
}

describe('ground truth with one fault', () => {
  for (const entry of manifest.filter(({ kind }) => kind === 'coco-gt')) {
    const options = { fileName: entry.file };
    const kept = skipped[entry.file];
    if (entry.expect === 'accept') {
      test(`${entry.what}: loads`, () => {
        const { dataset, warnings } = parseCoco(read(entry.file), options);
        if (entry.images !== undefined) assert.equal(dataset.images.length, entry.images);
        if (entry.annotations !== undefined) assert.equal(dataset.annotations.length, entry.annotations);
        if (entry.categories !== undefined) assert.equal(dataset.categories.length, entry.categories);
        assert.deepEqual(checkCoco(read(entry.file), options), warnings);
      });
    } else if (kept !== undefined) {
      test(`${entry.what}: is left out with a warning`, () => {
        const { dataset, warnings } = parseCoco(read(entry.file), options);
        assert.equal(warnings.length, 1);
        assertSays(warnings[0]!.message, entry);
        assert.equal(dataset.annotations.length, kept);
      });
    } else {
      test(`${entry.what}: is an error with place and remedy`, () => {
        const error = inputErrorOf(() => parseCoco(read(entry.file), options));
        assertSays(error.message, entry);
        const errors = checkCoco(read(entry.file), options).filter(({ severity }) => severity === 'error');
        assert.ok(error.message.startsWith(errors[0]!.message));
        assert.equal(new Set(errors.map(({ code }) => code)).size, 1, 'no second kind of error follows from the first');
      });
    }
  }
});

describe('in chunks', () => {
  const chunks = (bytes: Uint8Array, size: number) =>
    Array.from({ length: Math.ceil(bytes.length / size) }, (_, i) => bytes.subarray(i * size, (i + 1) * size));

  test('a file has the data, problems and messages that it has whole', () => {
    for (const { file } of manifest.filter(({ kind }) => kind === 'coco-gt')) {
      const bytes = read(file);
      for (const purpose of ['training', 'evaluation'] as const) {
        const options = { fileName: file, purpose, forMasks: true };
        const issues = checkCoco(bytes, options);
        assert.deepEqual(
          checkCocoChunks(() => chunks(bytes, 100), options),
          issues,
          file,
        );
        if (issues.some(({ severity }) => severity === 'error')) {
          const { message, code } = inputErrorOf(() => parseCoco(bytes, options));
          const inChunks = inputErrorOf(() => parseCocoChunks(() => chunks(bytes, 100), options));
          assert.deepEqual([inChunks.message, inChunks.code], [message, code]);
        } else
          assert.deepEqual(
            parseCocoChunks(() => chunks(bytes, 100), options),
            parseCoco(bytes, options),
            file,
          );
      }
    }
  });

  test('the last of two lists of one name counts, and what is no data set is described', () => {
    const valid = read('coco/valid.json').toString();
    const texts = [
      valid.replace(/^\{/, '{"annotations": [1, 2], "images": [3], "x": [4],'),
      '[1, 2, 3]',
      '[{}]',
      '3',
      '{"images": 3, "annotations": {}}',
    ];
    for (const text of texts) {
      const bytes = Buffer.from(text);
      assert.deepEqual(
        checkCocoChunks(() => chunks(bytes, 9), { fileName: 'a.json' }),
        checkCoco(text, { fileName: 'a.json' }),
      );
    }
  });
});

describe('results with one fault', () => {
  for (const entry of manifest.filter(({ kind }) => kind === 'coco-results')) {
    const options = { fileName: entry.file, dataset: groundTruth };
    if (entry.expect === 'accept') {
      test(`${entry.what}: loads`, () => {
        const expected = {
          'results/valid.json': [1, 0],
          'results/empty-list.json': [0, 0],
          'results/unknown-category.json': [1, 1],
        };
        const { detections, warnings } = parseCocoResults(read(entry.file), options);
        assert.deepEqual([detections.length, warnings.length], expected[entry.file as keyof typeof expected]);
        if (warnings[0] !== undefined) assertSays(warnings[0].message, { ...entry, names: ['category id 77'] });
      });
    } else {
      test(`${entry.what}: is an error with place and remedy`, () => {
        assertSays(inputErrorOf(() => parseCocoResults(read(entry.file), options)).message, entry);
        assert.equal(
          checkCocoResults(read(entry.file), options).filter(({ severity }) => severity === 'error').length,
          1,
        );
      });
    }
  }
});

describe('what is accepted', () => {
  const parse = (file: string, options = {}) => parseCoco(read(`coco/${file}`), { fileName: file, ...options });

  test('a box over the border is clipped, with a warning', () => {
    const { dataset, warnings } = parse('box-partly-outside.json');
    assert.deepEqual([...dataset.annotations[0]!.bbox], [0, 40, 23.5, 8]);
    assert.match(
      warnings[0]!.message,
      /annotations\[0\]\.bbox \(annotation id 1\) is \[-6\.5, 40, 30, 30\], partly outside/,
    );
  });
  test('for an evaluation boxes stay as they are', () => {
    assert.deepEqual(
      [...parse('box-partly-outside.json', { purpose: 'evaluation' }).dataset.annotations[0]!.bbox],
      [-6.5, 40, 30, 30],
    );
    assert.equal(parse('zero-size-box.json', { purpose: 'evaluation' }).dataset.annotations.length, 3);
    assert.equal(parse('image-without-width.json', { purpose: 'evaluation' }).warnings[0]!.path, 'images[0].width');
  });
  test('a missing iscrowd is 0', () => {
    assert.equal(parse('annotation-without-iscrowd.json').dataset.annotations[1]!.isCrowd, false);
  });
  test('a missing area is that of the polygon', () => {
    assert.equal(parse('annotation-without-area.json').dataset.annotations[1]!.area, 320);
  });
  test('ids come back unchanged, in file order', () => {
    assert.deepEqual(
      parse('large-ids.json').dataset.images.map(({ id }) => id),
      [20180000001, 20180000002],
    );
    assert.deepEqual(
      parse('category-gaps.json').dataset.categories.map(({ id }) => id),
      [90, 1, 44],
    );
  });
  test('an annotation without polygons is skipped where masks are learned, and an error where they are evaluated', () => {
    const { dataset, warnings } = parse('polygon-empty.json', { forMasks: true });
    assert.equal(dataset.annotations.length, 2);
    assert.match(warnings[0]!.message, /segmentation \(annotation id 1\) has no mask/);
    const error = inputErrorOf(() => parse('polygon-empty.json', { forMasks: true, purpose: 'evaluation' }));
    assert.match(error.message, /annotation id 1/);
  });
  test('a polygon of four numbers is no mask', () => {
    assert.equal(parse('polygon-four-numbers.json').dataset.annotations[0]!.segmentation, undefined);
    assert.equal(parse('polygon-four-numbers.json', { forMasks: true }).dataset.annotations.length, 2);
  });
});

describe('text that is no COCO file', () => {
  const message = (text: string | Uint8Array) => inputErrorOf(() => parseCoco(text, { fileName: 'a.json' })).message;

  test('names what the file is instead', () => {
    assert.match(message(''), /^a\.json: is empty/);
    assert.match(message('  <!doctype html>'), /^a\.json: is a web page or XML, not JSON/);
    assert.match(message('[{}]'), /looks like a results file/);
    assert.match(message('[[]]'), /^a\.json: is \[\[\]\] \(expected an object/);
    assert.match(message('3'), /^a\.json: is 3 /);
    assert.match(message(Uint8Array.of(0xff, 0x12, 0x80)), /^a\.json: is not text \(expected UTF-8\)/);
  });
  test('gives line and column of a syntax error', () => {
    const text = '{"images": [\n  {"id": 1,, }\n]}';
    const expected = /line 2, column 12: got ',', expected a key in double quotes: remove the comma$/;
    assert.match(message(text), expected);
  });
  test('says that a text cut short is cut short, wherever the cut is', () => {
    const text = read('coco/valid.json').toString();
    for (let end = 1; end < text.length - 1; end += 7) assert.match(message(text.slice(0, end)), /ends in the middle/);
  });
  test('UTF-16 with a byte order mark is read', () => {
    const text = read('coco/valid.json').toString();
    const bytes = Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(text, 'utf16le')]);
    assert.equal(parseCoco(bytes, { fileName: 'a.json' }).dataset.annotations.length, 3);
  });
  test('NaN inside a name is a name', () => {
    const text = read('coco/valid.json')
      .toString()
      .replace('"thing"', '"NaN, \\"Infinity"')
      .replace('"info":{}', '"info":{"year":NaN}');
    const { dataset, warnings } = parseCoco(text, { fileName: 'a.json' });
    assert.equal(dataset.categories[0]!.name, 'NaN, "Infinity');
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['json-not-finite'],
    );
  });
  test('values nested 20000 deep anywhere are an error, not a crash', () => {
    const deep = `${'['.repeat(20000)}${']'.repeat(20000)}`;
    const text = read('coco/valid.json').toString();
    for (const [from, to] of [
      ['[10.0,8.0,20.0,16.0]', deep],
      ['"ok1.jpg"', deep],
      ['[[10.0,8.0,30.0,8.0,30.0,24.0,10.0,24.0]]', deep],
      ['"image_id":1', `"image_id":${deep}`],
      ['[[10.0,8.0,30.0,8.0,30.0,24.0,10.0,24.0]]', `{"size":[48,64],"counts":${deep}}`],
    ] as const) {
      assert.match(message(text.replace(from, to)), /^a\.json: /);
    }
  });
});

describe('errors', () => {
  const base = () => JSON.parse(read('coco/valid.json').toString()) as Record<string, Record<string, unknown>[]>;
  const message = (data: object) => inputErrorOf(() => parseCoco(JSON.stringify(data), { fileName: 'a.json' })).message;

  test('count the others behind the first', () => {
    const data = base();
    for (const annotation of data.annotations!) annotation.bbox = 'x';
    assert.match(message(data), /annotations\[0\]\.bbox .*\(and 2 more/);
  });
  test('refuse every path that leads outside', () => {
    for (const name of [
      '../a.jpg',
      'a/../../b.jpg',
      '/a.jpg',
      'C:\\a.jpg',
      'c:/a.jpg',
      '\\\\host\\a.jpg',
      '..\\a.jpg',
      'http://host/a.jpg',
      'a\0.jpg',
      ' ',
    ]) {
      const data = base();
      data.images![1]!.file_name = name;
      assert.match(message(data), /images\[1\]\.file_name \(image id 2\)/, name);
    }
  });
  test('let folders, dots and spaces in names pass', () => {
    for (const name of ['train/a b.jpg', './a.jpg', 'a..b.jpg', '..a/b.jpg', 'ü/日.png']) {
      const data = base();
      data.images![1]!.file_name = name;
      assert.equal(parseCoco(JSON.stringify(data), { fileName: 'a.json' }).dataset.images[1]!.fileName, name);
    }
  });
  test('folders may be separated as on Windows', () => {
    const data = base();
    data.images![1]!.file_name = 'train\\a.jpg';
    assert.equal(parseCoco(JSON.stringify(data), { fileName: 'a.json' }).dataset.images[1]!.fileName, 'train/a.jpg');
  });
  test('flip pairs of the file: names, numbers from 0, or for each point its partner', () => {
    const keypoints = ['tl', 'tr', 'br', 'bl'];
    const read = (more: object) => {
      const category = { id: 1, name: 'card', keypoints, ...more };
      const images = [{ id: 1, file_name: 'a.png', width: 9, height: 9 }];
      const text = JSON.stringify({ images, annotations: [], categories: [category] });
      return { text, issues: checkCoco(text, { fileName: 'a.json' }) };
    };
    const pairs = [
      [0, 1],
      [2, 3],
    ];
    for (const more of [
      { flip_pairs: pairs },
      {
        flip_pairs: [
          ['tl', 'tr'],
          ['br', 'bl'],
        ],
      },
      { flip_idx: [1, 0, 3, 2] },
    ]) {
      const { dataset } = parseCoco(read(more).text, { fileName: 'a.json' });
      assert.deepEqual(dataset.categories[0]!.flipPairs, pairs);
      const again = parseCoco(formatCoco(dataset), { fileName: 'a.json' });
      assert.deepEqual(again.dataset.categories[0]!.flipPairs, pairs);
    }
    for (const more of [
      { flip_pairs: [[1, 4]] },
      { flip_pairs: 'tl' },
      { flip_idx: [1, 2, 0, 3] },
      { flip_idx: [0] },
    ]) {
      const [issue] = read(more).issues;
      assert.deepEqual([issue?.code, issue?.severity], ['bad-keypoints', 'error'], JSON.stringify(more));
      assert.match(issue!.message, /categories\[0\]\.flip_(pairs|idx) \(category id 1\) /);
    }
  });

  test('wrong crowd flags, areas, sizes, visibilities and skeletons are named', () => {
    const cases: [(data: ReturnType<typeof base>) => void, RegExp][] = [
      [
        (data) => Object.assign(data.annotations![0]!, { iscrowd: 2 }),
        /iscrowd \(annotation id 1\) is 2 \(expected 0 or 1\)/,
      ],
      [(data) => Object.assign(data.annotations![0]!, { area: -1 }), /area \(annotation id 1\) is -1/],
      [
        (data) => Object.assign(data.images![0]!, { width: 0 }),
        /images\[0\]\.width \(image id 1\) is 0 \(expected whole pixels/,
      ],
      [
        (data) => Object.assign(data.annotations![0]!, { keypoints: [1, 2, 3] }),
        /keypoints\[2\] \(annotation id 1\) is 3/,
      ],
      [
        (data) => Object.assign(data.categories![0]!, { keypoints: ['a'], skeleton: [[1, 2]] }),
        /skeleton\[0\] \(category id 1\) is \[1, 2\]/,
      ],
      [(data) => Object.assign(data, { images: [] }), /images is empty/],
      [(data) => Object.assign(data, { annotations: null }), /annotations is null \(expected a list\)/],
    ];
    for (const [change, expected] of cases) {
      const data = base();
      change(data);
      assert.match(message(data), expected);
    }
  });
  test('a polygon that lies outside of its picture is left out of a training and kept for an evaluation', () => {
    const data = base();
    const far = [500, 500, 520, 500, 520, 520];
    const near = [1, 1, 9, 1, 9, 9];
    Object.assign(data.annotations![0]!, { segmentation: [far, near] });
    const read = (purpose: 'training' | 'evaluation') => {
      const { dataset, warnings } = parseCoco(JSON.stringify(data), { fileName: 'a.json', purpose });
      const { segmentation } = dataset.annotations[0]!;
      assert.ok(segmentation?.kind === 'polygons');
      return { polygons: segmentation.polygons, warnings };
    };
    const { polygons, warnings } = read('training');
    assert.deepEqual(polygons, [near]);
    assert.deepEqual(
      warnings.map(({ code, message: words }) => [code, words]),
      [
        [
          'polygon-outside',
          'a.json: annotations[0].segmentation[0] (annotation id 1) lies from 500, 500 to 520, 520, wholly outside of the picture of 64 x 48: the polygon is left out; correct or remove it',
        ],
      ],
    );
    assert.deepEqual(read('evaluation').polygons, [far, near]);
    Object.assign(data.annotations![0]!, { segmentation: [far] });
    const masks = parseCoco(JSON.stringify(data), { fileName: 'a.json', forMasks: true });
    assert.ok(!masks.dataset.annotations.some(({ id }) => id === 1));
    assert.ok(masks.warnings.some(({ code }) => code === 'mask-missing'));
  });

  test("a name with a line end, or what moves a terminal's cursor, stays on its line", () => {
    const data = base();
    Object.assign(data.images![0]!, { file_name: '../a\n\u001b[2J.jpg' });
    assert.match(message(data), /is "\.\.\/a\\n\\u001b\[2J\.jpg", which leads outside/);
    assert.equal(new InputError('usage', 'a\nb\u009b').message, 'a\\nb\\u009b');
  });

  test('an annotation that is there twice is pointed out', () => {
    const data = base();
    data.annotations!.push({ ...data.annotations![0]!, id: 9 });
    const issues = checkCoco(JSON.stringify(data), { fileName: 'a.json' });
    assert.deepEqual(
      issues.map(({ code, path }) => [code, path]),
      [['duplicate-annotation', 'annotations[3]']],
    );
  });
});
