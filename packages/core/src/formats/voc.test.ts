// PASCAL VOC files with one fault each (fixtures/voc), the pixel rule, and texts that attack the reader.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { InputError } from '../errors/index.js';
import { inputErrorOf } from '../testing/input-error.js';
import { parseCoco } from './coco.js';
import { formatCoco } from './format-coco.js';
import { formatVocAnnotation } from './format-voc.js';
import { checkVoc, parseVoc, type VocOptions, vocNames } from './voc.js';
import { vocBoxToXywh, xywhToVocBox } from './voc-box.js';
import { vocClassList, vocClassNames } from './voc-classes.js';

interface Entry {
  readonly file: string;
  readonly expect: 'error' | 'accept';
  readonly what: string;
  readonly field?: string;
  readonly objects?: number;
}

const folder = new URL('../../src/formats/fixtures/voc/', import.meta.url);
const read = (file: string) => readFileSync(new URL(file, folder));
const manifest = JSON.parse(read('manifest.json').toString()) as readonly Entry[];
const classes = ['thing', 'other'];

function parse(content: string | Uint8Array, options: VocOptions = {}, fileName = 'a.xml') {
  return parseVoc([{ fileName, content }], options);
}

const messageOf = (run: () => unknown): string => inputErrorOf(run).message;

const object = (inside: string) => `<object>${inside}</object>`;
const annotation = (inside: string) =>
  `<annotation><size><width>64</width><height>48</height></size>${inside}</annotation>`;
const box = (xmin: number, ymin: number, xmax: number, ymax: number) =>
  `<bndbox><xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox>`;

describe('what an annotation file leaves to its reader', () => {
  const cup = (corners: Parameters<typeof box>) => object(`<name>cup</name>${box(...corners)}`);

  test('its size is that of the picture, where it is missing or 0 and the picture is at hand', () => {
    const read = (size: string) =>
      parseVoc([
        {
          fileName: 'a.xml',
          content: `<annotation>${size}${cup([1, 1, 64, 48])}</annotation>`,
          size: () => ({ width: 64, height: 48 }),
        },
      ]);
    for (const size of ['', '<size/>', '<size><width>0</width><height>0</height></size>']) {
      const { dataset, warnings } = read(size);
      assert.deepEqual(dataset.images, [{ id: 1, fileName: 'a.jpg', width: 64, height: 48 }]);
      assert.deepEqual([[...dataset.annotations[0]!.bbox], warnings], [[0, 0, 64, 48], []]);
    }
    assert.match(
      messageOf(() => read('<size><width>64</width><height>many</height></size>')),
      /size\.height is "many"/,
    );
    const damaged = { fileName: 'a.xml', content: '<annotation/>' };
    const refuse = () => {
      throw new InputError('image-invalid', 'a.jpg: is no picture: replace it');
    };
    assert.deepEqual(
      checkVoc([{ ...damaged, size: refuse }]).map(({ message }) => message),
      ['a.xml: size is missing (expected width and height), and a.jpg: is no picture: replace it'],
    );
    assert.deepEqual(
      vocNames([{ fileName: 'a.xml', content: `<annotation>${cup([1, 1, 2, 2])}</annotation>` }]),
      new Set(['cup']),
    );
  });

  test('an object that stands twice is said, and kept', () => {
    const { dataset, warnings } = parse(annotation(cup([5, 5, 5, 5]) + cup([1, 2, 9, 9]) + cup([1, 2, 9, 9])));
    assert.equal(dataset.annotations.length, 2);
    assert.deepEqual(
      warnings.map(({ code, path }) => [code, path]),
      [
        ['box-degenerate', 'object 1.bndbox'],
        ['duplicate-annotation', 'object 3'],
      ],
    );
    assert.match(warnings[1]!.message, /\(of class "cup"\) has the image, category and box of object 2: both are kept/);
  });

  test('an unknown class is named by its place in the file, whatever was left out before it', () => {
    assert.match(
      messageOf(() => parse(annotation(cup([5, 5, 5, 5]) + cup([1, 2, 9, 9])), { classes: ['fork'] })),
      /object 2\.name is "cup" \(expected fork\)/,
    );
  });
});

describe('annotation files with one fault', () => {
  assert.equal(manifest.length, 18);
  for (const { file, expect, what, field, objects } of manifest) {
    if (expect === 'accept') {
      test(`${what}: loads`, () => {
        const { dataset, warnings } = parse(read(file), { classes }, file);
        assert.deepEqual(warnings, []);
        assert.equal(dataset.images.length, 1);
        if (objects !== undefined) assert.equal(dataset.annotations.length, objects);
      });
    } else if (file === 'box-one-point.xml') {
      test(`${what}: the object is skipped with a warning in training, and kept with one in an evaluation`, () => {
        const { dataset, warnings } = parse(read(file), { classes }, file);
        assert.equal(dataset.annotations.length, 1);
        assert.equal(
          warnings[0]?.message,
          `${file}: object 2.bndbox (of class "thing") is the single point 12, 12 (expected a box): the object is skipped; correct or remove it`,
        );
        const evaluated = parse(read(file), { classes, purpose: 'evaluation' }, file);
        assert.deepEqual([...evaluated.dataset.annotations[1]!.bbox], [11, 11, 1, 1]);
        assert.equal(evaluated.warnings.length, 1);
      });
    } else {
      test(`${what}: an error that names the file`, () => {
        const message = messageOf(() => parse(read(file), { classes }, file));
        assert.ok(message.startsWith(`${file}: `), message);
        assert.ok(!message.includes('\n') && message.length < 300, message);
        assert.ok(message.includes(field ?? ''), message);
        assert.match(message.slice(file.length + 1), /: [a-z]/, `no remedy in: ${message}`);
        const [issue] = checkVoc([{ fileName: file, content: read(file) }], { classes });
        assert.equal(issue?.message, message.replace(/ \(and \d+ more problems?\)$/, ''));
      });
    }
  }

  test('the remedy fits the fault', () => {
    const message = (file: string) => messageOf(() => parse(read(file), { classes }, file));
    assert.match(message('external-entity.xml'), /uses the entity &leak;.*never expanded/);
    assert.match(message('entity-expansion.xml'), /uses the entity &e;/);
    assert.match(message('no-bndbox.xml'), /object 2\.bndbox \(of class "thing"\) is missing/);
    assert.match(message('unknown-class.xml'), /object 1\.name is "zebra" \(expected thing, other\)/);
    assert.match(message('box-words.xml'), /object 1\.bndbox\.xmin .*"ten"/);
    const of = (inside: string) => messageOf(() => parse(annotation(object(`<name>a</name>${inside}`))));
    const corners = box(1, 1, 5, 5);
    assert.match(of(corners.replace('>5<', '>5,5<')), /xmax .* is "5,5" .*: write a point for the comma, 5\.5/);
    assert.match(of(corners.replace('>5<', '>0x5<')), /xmax .* is "0x5" \(expected a number of pixels\)/);
    assert.match(
      of(corners + corners),
      /object 1\.bndbox .* is there 2 times \(expected one\): make an object of each/,
    );
    assert.match(of('<robndbox><cx>3</cx></robndbox>'), /bndbox .* is missing .*roLabelImg's turned robndbox/);
  });
});

describe('what is read', () => {
  test('corners count pixels from 1 and include the last', () => {
    assert.deepEqual([...vocBoxToXywh({ xmin: 1, ymin: 1, xmax: 640, ymax: 480 })], [0, 0, 640, 480]);
    assert.deepEqual(xywhToVocBox(vocBoxToXywh({ xmin: 10.5, ymin: 8, xmax: 30.25, ymax: 24 })), {
      xmin: 10.5,
      ymin: 8,
      xmax: 30.25,
      ymax: 24,
    });
    const { dataset } = parse(read('box-fractions.xml'));
    assert.deepEqual([...dataset.annotations[0]!.bbox].map((value) => value % 1 !== 0).includes(true), true);
  });

  test('a part within an object is no object, and does not lend it its box', () => {
    const { dataset } = parse(read('part-inside.xml'));
    assert.deepEqual([...dataset.annotations[0]!.bbox], [9, 7, 21, 17]);
    const partFirst = object(`<part><name>head</name>${box(1, 1, 2, 2)}</part><name>thing</name>${box(3, 3, 9, 9)}`);
    assert.deepEqual([...parse(annotation(partFirst)).dataset.annotations[0]!.bbox], [2, 2, 7, 7]);
  });

  test('difficult is kept, and absent where the file does not say so', () => {
    const { dataset } = parse(
      annotation(
        object(`<name>a</name><difficult>1</difficult>${box(1, 1, 5, 5)}`) +
          object(`<name>a</name><difficult>0</difficult>${box(1, 1, 5, 5)}`) +
          object(`<name>a</name>${box(1, 1, 5, 5)}`),
      ),
    );
    assert.deepEqual(
      dataset.annotations.map((one) => one.isDifficult),
      [true, undefined, undefined],
    );
  });

  test('difficult in words; Unspecified is not noted', () => {
    const words = ['true', 'Unspecified', 'False', 'yes', ''];
    const objects = words.map((word) => object(`<name>a</name><difficult>${word}</difficult>${box(1, 1, 5, 5)}`));
    assert.deepEqual(
      parse(annotation(objects.join(''))).dataset.annotations.map(({ isDifficult }) => isDifficult === true),
      [true, false, false, true, false],
    );
    assert.match(
      messageOf(() => parse(annotation(objects[0]!.replace('true', '2')))),
      /object 1\.difficult \(of class "a"\) is "2" \(expected 0 or 1\)/,
    );
  });

  test('the encoding that a file declares, and blanks before its declaration', () => {
    const named = (name: string) => annotation(object(`<name>${name}</name>${box(1, 1, 5, 5)}`));
    const bytes = (encoding: string, name: string) =>
      Buffer.from(`<?xml version="1.0" encoding="${encoding}"?>\n${named(name)}`, 'latin1');
    const nameIn = (content: Uint8Array | string) => parse(content).dataset.categories[0]!.name;
    assert.equal(nameIn(bytes('ISO-8859-1', 'Füchse')), 'Füchse');
    // The two bytes of a cat in GBK are a letter with an accent in UTF-8.
    assert.equal(nameIn(bytes('gbk', '\xc3\xa8')), '猫');
    assert.equal(nameIn(`\n  <?xml version="1.0"?>${named('owl')}`), 'owl');
    assert.equal(nameIn(Buffer.from(`<?xml version="1.0" encoding="utf-16"?>${named('owl')}`)), 'owl');
    assert.match(
      messageOf(() => nameIn(bytes('utf-8', 'Füchse'))),
      /is not text \(expected UTF-8\)/,
    );
    assert.match(
      messageOf(() => nameIn(bytes('klingon', 'owl'))),
      /is in the encoding "klingon", which is not known/,
    );
  });

  test('pose, truncated and occluded are kept from file to file, also by way of COCO', () => {
    const { dataset } = parse(
      annotation(
        object(`<name>a</name><pose>Left &amp; up</pose><truncated>1</truncated>${box(1, 1, 5, 5)}`) +
          object(
            `<name>a</name><pose>Unspecified</pose><occluded>1</occluded><difficult>1</difficult>${box(1, 1, 5, 5)}`,
          ) +
          object(`<name>a</name><pose>Unspecified</pose><truncated>0</truncated>${box(1, 1, 5, 5)}`),
      ),
    );
    const marks = [{ pose: 'Left & up', isTruncated: true }, { isOccluded: true }, undefined];
    assert.deepEqual(
      dataset.annotations.map((one) => one.marks),
      marks,
    );
    const coco = parseCoco(formatCoco(dataset), { fileName: 'a.json', purpose: 'evaluation' }).dataset;
    const again = parse(formatVocAnnotation(coco.images[0]!, coco.annotations, coco.categories)).dataset;
    for (const { annotations } of [coco, again])
      assert.deepEqual(
        annotations.map((one) => [one.marks, one.isDifficult]),
        marks.map((one, i) => [one, i === 1 || undefined]),
      );
  });

  test("the picture is that of the XML's name, whatever filename says", () => {
    const { dataset } = parse(read('filename-other.xml'), {}, 'set/Annotations/0001.xml');
    assert.equal(dataset.images[0]?.fileName, '0001.jpg');
  });

  test('a box over the border is clipped for training and kept for an evaluation', () => {
    const text = annotation(object(`<name>a</name>${box(0, 40, 70, 60)}`));
    assert.deepEqual([...parse(text).dataset.annotations[0]!.bbox], [0, 39, 64, 9]);
    assert.deepEqual([...parse(text, { purpose: 'evaluation' }).dataset.annotations[0]!.bbox], [-1, 39, 71, 21]);
  });

  test('names of PASCAL VOC alone get its 20 classes, others their own in alphabetical order', () => {
    assert.deepEqual(vocClassList(['person', 'dog']), vocClassNames);
    assert.deepEqual(vocClassList(['dog', 'Dog', 'ant', 'dog']), ['Dog', 'ant', 'dog']);
    const file = (name: string) => ({
      fileName: `${name}.xml`,
      content: annotation(object(`<name>${name}</name>${box(1, 1, 5, 5)}`)),
    });
    assert.deepEqual([...vocNames([file('b'), file('a')])], ['b', 'a']);
    const { dataset } = parseVoc([file('b'), file('a')]);
    assert.deepEqual(
      dataset.annotations.map((one) => one.categoryId),
      [2, 1],
    );
  });

  test('what is written is read back, fractions, marks and odd names included', () => {
    const text = annotation(
      object(`<name>a &amp; &lt;b&gt;</name><difficult>1</difficult>${box(2, 3, 30, 40)}`) +
        object(`<name>c</name>${box(1.5, 1.25, 64, 48)}`),
    );
    const { dataset } = parse(text);
    const [image] = dataset.images;
    const written = formatVocAnnotation(image!, dataset.annotations, dataset.categories);
    assert.deepEqual(parse(written).dataset, dataset);
  });

  test('all faults of all files are counted', () => {
    const bad = annotation(object(`<name>a</name>${box(9, 1, 5, 5)}`) + object('<name></name>'));
    const files = [
      { fileName: '1.xml', content: bad },
      { fileName: '2.xml', content: '<annotation/>' },
    ];
    assert.match(
      messageOf(() => parseVoc(files)),
      /^1\.xml: object 1\.bndbox.*\(and 3 more problems\)$/,
    );
  });
});

describe('texts that are no annotation file', () => {
  const cases: readonly (readonly [string, string | Uint8Array, RegExp])[] = [
    ['a web page', '<html><body>', /^a\.xml: is not XML that can be read: unclosed/],
    ['another kind of XML', '<svg/>', /^a\.xml: svg is the outermost element \(expected annotation\)/],
    ['JSON', '{"images": []}', /missing root element/],
    ['bytes that are no text', Uint8Array.of(0x3c, 0xff, 0xfe, 0x80), /is not text/],
    ['a second document behind the first', `${annotation('')}<annotation/>`, /is not XML that can be read/],
    ['an attribute without end', '<annotation a="', /is not XML that can be read/],
    ['thousands of elements within one another', '<annotation>'.repeat(20_000), /unclosed/],
    ['too much', `<annotation>${' '.repeat(9 * 2 ** 20)}</annotation>`, /has 9 MiB/],
  ];
  for (const [what, text, expected] of cases) {
    test(`${what}: a short error`, () => {
      const message = messageOf(() => parse(text));
      assert.match(message, expected);
      assert.ok(message.length < 250, message);
    });
  }

  test('deep nesting that is closed is read, and nothing in it found', () => {
    const deep = `${'<a>'.repeat(20_000)}${'</a>'.repeat(20_000)}`;
    assert.equal(parse(annotation(deep)).dataset.annotations.length, 0);
    assert.match(
      messageOf(() => parse(annotation(object(`<name>${deep}</name>`)))),
      /object 1\.name is ""/,
    );
  });
});

test('a file with any bytes changed, cut or doubled is read or refused, never anything else', () => {
  const valid = read('valid.xml');
  const change = fc.record({
    at: fc.nat(valid.length - 1),
    length: fc.nat(40),
    bytes: fc.uint8Array({ maxLength: 12 }),
    isDoubled: fc.boolean(),
  });
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      let bytes: Uint8Array = valid;
      for (const { at, length, bytes: put, isDoubled } of changes) {
        const middle = isDoubled ? [...put, ...bytes.subarray(at, at + length)] : put;
        bytes = Uint8Array.from([...bytes.subarray(0, at), ...middle, ...bytes.subarray(isDoubled ? at : at + length)]);
      }
      try {
        const { dataset } = parse(bytes, { classes });
        for (const { bbox } of dataset.annotations) assert.ok(bbox.every(Number.isFinite));
      } catch (error) {
        assert.ok(error instanceof InputError, String(error));
        assert.ok(!error.message.includes('\n') && error.message.length < 400, error.message);
      }
    }),
    { numRuns: 500 },
  );
});
