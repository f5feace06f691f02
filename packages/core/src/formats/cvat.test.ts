// CVAT's XML, by the pages on its format (docs.cvat.ai: XML annotation format, version 1.1).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decodeMask } from '../masks/rle-encode.js';
import { inputErrorOf } from '../testing/input-error.js';
import { type CvatOptions, checkCvat, parseCvat } from './cvat.js';

const labels = (names: readonly string[], more = '') =>
  `<labels>${names.map((name) => `<label><name>${name}</name><color>#c06060</color><type>any</type><attributes></attributes></label>`).join('')}${more}</labels>`;
const xml = (
  shapes: string,
  { meta = labels(['car', 'person']), image = 'name="a.jpg" width="60" height="40"' } = {},
) =>
  `<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>1.1</version>
  <meta><task><id>4</id><name>segmentation</name><size>1</size><mode>annotation</mode>${meta}</task><dumped>2019</dumped></meta>
  <image id="0" ${image}>${shapes}</image>
</annotations>`;
const parse = (text: string, options: Partial<CvatOptions> = {}) =>
  parseCvat(text, { fileName: 'annotations.xml', ...options });
const refusalOf = (text: string) => inputErrorOf(() => parse(text)).message;
const box = (label: string, more = '', inside = '') =>
  `<box label="${label}" occluded="0" source="manual" xtl="10.00" ytl="5.00" xbr="30.50" ybr="25.00" z_order="0" ${more}>${inside}</box>`;

describe('CVAT for images', () => {
  test('occluded shapes, and the attributes truncated and pose, are noted', () => {
    const attributes = '<attribute name="truncated">true</attribute><attribute name="pose">Frontal</attribute>';
    const { dataset } = parse(
      xml(box('person').replace('occluded="0"', 'occluded="1"') + box('car', '', attributes) + box('car')),
    );
    assert.deepEqual(
      dataset.annotations.map(({ marks }) => marks),
      [{ isOccluded: true }, { pose: 'Frontal', isTruncated: true }, undefined],
    );
  });

  test('boxes, in the order of the labels of meta', () => {
    const { dataset, warnings } = parse(
      xml(box('person') + box('car', '', '<attribute name="difficult">true</attribute>')),
    );
    assert.deepEqual(warnings, []);
    assert.deepEqual(dataset, {
      images: [{ id: 1, fileName: 'a.jpg', width: 60, height: 40 }],
      annotations: [
        { id: 1, imageId: 1, categoryId: 2, bbox: [10, 5, 20.5, 20], area: 410, isCrowd: false },
        { id: 2, imageId: 1, categoryId: 1, bbox: [10, 5, 20.5, 20], area: 410, isCrowd: false, isDifficult: true },
      ],
      categories: [
        { id: 1, name: 'car' },
        { id: 2, name: 'person' },
      ],
    });
  });

  test('an object that stands twice is said, and kept', () => {
    const { dataset, warnings } = parse(xml(box('car') + box('person') + box('car')));
    assert.equal(dataset.annotations.length, 3);
    assert.deepEqual(
      warnings.map(({ code, message }) => [code, message]),
      [
        [
          'duplicate-annotation',
          'annotations.xml: "a.jpg": shape 3, a box, (labelled "car") has the image, category and box of "a.jpg": shape 1, a box: both are kept; remove one if they are one object',
        ],
      ],
    );
  });

  test('a turned box has an outline, and the box around it', () => {
    // A square of 20 around 30, 20, turned by an eighth: its corners lie on the axes.
    const turned = '<box label="car" xtl="20" ytl="10" xbr="40" ybr="30" rotation="45.0" z_order="0"></box>';
    const [object] = parse(xml(turned)).dataset.annotations;
    const half = 10 * Math.SQRT2;
    assert.deepEqual(
      [...object!.bbox].map((value) => value.toFixed(6)),
      [30 - half, 20 - half, 2 * half, 2 * half].map((value) => value.toFixed(6)),
    );
    assert.ok(Math.abs(object!.area - 400) < 25);
    // A quarter turn to the right takes the upper left corner to the upper right.
    const quarter = '<box label="car" xtl="20" ytl="15" xbr="40" ybr="25" rotation="90" z_order="0"></box>';
    const { segmentation } = parse(xml(quarter)).dataset.annotations[0]!;
    assert.ok(segmentation?.kind === 'polygons');
    assert.deepEqual(segmentation.polygons[0]!.map(Math.round), [35, 10, 35, 30, 25, 30, 25, 10]);
  });

  test('polygons, those of one label and group as one object', () => {
    const polygon = (points: string, more = '') =>
      `<polygon label="car" points="${points}" z_order="0" ${more}></polygon>`;
    const [a, b] = ['10.00,10.00;20.00,10.00;20.00,20.00;10.00,20.00', '30,10;40,10;40,20;30,20'];
    assert.equal(parse(xml(polygon(a) + polygon(b))).dataset.annotations.length, 2);
    const [both, ...more] = parse(xml(polygon(a, 'group_id="7"') + polygon(b, 'group_id="7"'))).dataset.annotations;
    assert.deepEqual([[...both!.bbox], both!.area, more], [[10, 10, 30, 10], 200, []]);
    assert.equal(parse(xml(box('car', 'group_id="7"') + box('car', 'group_id="7"'))).dataset.annotations.length, 2);
  });

  test('masks are run lengths within a box, row by row', () => {
    const mask =
      '<mask label="car" source="manual" occluded="0" rle="1, 2, 1, 1" left="4" top="6" width="3" height="2" z_order="0"></mask>';
    const short = mask.replace('1, 2, 1, 1', '1, 2, 1, 2');
    const [object] = parse(xml(short)).dataset.annotations;
    const { segmentation } = object!;
    assert.ok(segmentation?.kind === 'rle');
    const pixels = decodeMask(segmentation.rle);
    const set = [...pixels.keys()].filter((i) => pixels[i] !== 0).map((i) => [i % 60, Math.floor(i / 60)]);
    assert.deepEqual(set, [
      [5, 6],
      [6, 6],
      [5, 7],
      [6, 7],
    ]);
    assert.deepEqual([[...object!.bbox], object!.area], [[5, 6, 2, 2], 4]);
    assert.match(
      refusalOf(xml(mask)),
      /"a\.jpg": shape 1, a mask, \(labelled "car"\) has run lengths of 5 pixels \(expected 3 x 2 = 6\)/,
    );
  });

  test('any mask comes back as it was', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 1 }), { minLength: 12, maxLength: 12 }), (bits) => {
        fc.pre(bits.includes(1));
        const runs: number[] = [0];
        let value = 0;
        for (const bit of bits) {
          if (bit !== value) {
            runs.push(0);
            value = bit;
          }
          runs[runs.length - 1]!++;
        }
        const text = xml(`<mask label="car" rle="${runs.join(', ')}" left="50" top="37" width="4" height="3"></mask>`);
        const { segmentation } = parse(text).dataset.annotations[0]!;
        assert.ok(segmentation?.kind === 'rle');
        const pixels = decodeMask(segmentation.rle);
        assert.deepEqual(
          bits.map((_, i) => pixels[(37 + Math.floor(i / 4)) * 60 + 50 + (i % 4)]),
          bits,
        );
      }),
    );
  });

  test('ellipses by middle and radii', () => {
    const [object] = parse(xml('<ellipse label="car" cx="30" cy="20" rx="20" ry="10" z_order="0"></ellipse>')).dataset
      .annotations;
    assert.deepEqual([...object!.bbox].map(Math.round), [10, 10, 40, 20]);
    assert.ok(Math.abs(object!.area - Math.PI * 200) < 20);
  });

  test('skeletons have the points of their label: outside is not labelled, occluded is hidden', () => {
    const points = ['nose', 'left_eye', 'tail'].map(
      (name) => `<label><name>${name}</name><type>points</type><parent>cat</parent></label>`,
    );
    const meta = labels([], `<label><name>cat</name><type>skeleton</type></label>${points.join('')}`);
    const point = (name: string, more: string, at: string) =>
      `<points label="${name}" source="manual" ${more} points="${at}"></points>`;
    const skeleton = `<skeleton label="cat" source="manual" z_order="0">${
      point('tail', 'outside="0" occluded="1"', '40.00,30.00') +
      point('nose', 'outside="0" occluded="0"', '10.00,8.00') +
      point('left_eye', 'outside="1" occluded="0"', '0,0')
    }</skeleton>`;
    const { dataset } = parse(xml(skeleton, { meta }));
    assert.deepEqual(dataset.categories, [{ id: 1, name: 'cat', keypoints: ['nose', 'left_eye', 'tail'] }]);
    const [object] = dataset.annotations;
    assert.deepEqual(object!.keypoints, [10, 8, 2, 0, 0, 0, 40, 30, 1]);
    assert.deepEqual([[...object!.bbox], object!.numKeypoints], [[10, 8, 30, 22], 2]);
    assert.match(
      refusalOf(xml(skeleton.replace('"tail"', '"paw"'), { meta })),
      /has the point "paw" \(expected nose, left_eye, tail\)/,
    );
  });

  test('polylines, points and cuboids are left out with a word, tags without', () => {
    const { dataset, warnings } = parse(
      xml(
        '<polyline label="car" points="1,1;2,2"></polyline><points label="car" points="1,1"></points><tag label="car"></tag>',
      ),
    );
    assert.deepEqual(dataset.annotations, []);
    assert.deepEqual(
      warnings.map(({ code }) => code),
      ['no-object', 'no-object'],
    );
    assert.equal(
      warnings[0]!.message,
      'annotations.xml: "a.jpg": shape 1, a polyline, (labelled "car") has neither a box nor an outline in the picture: it is left out',
    );
  });

  test('subsets of a project are sets, and their folders are for the caller', () => {
    const text = xml(box('car')).replace(
      '</annotations>',
      '<image id="1" name="b.jpg" subset="Validation" width="8" height="9"></image></annotations>',
    );
    const pictureName = (name: string, subset?: string) => `${subset ?? 'none'}/${name}`;
    assert.deepEqual(
      parse(text, { pictureName }).dataset.images.map(({ fileName }) => fileName),
      ['none/a.jpg', 'Validation/b.jpg'],
    );
    const { images, categories } = parse(text, { set: 'val' }).dataset;
    assert.deepEqual([images.map(({ id, fileName }) => [id, fileName]), categories.length], [[[1, 'b.jpg']], 2]);
  });

  test('labels of a project and of a job; without any, those of the shapes', () => {
    for (const holder of ['project', 'job']) {
      const text = xml(box('car')).replaceAll('task>', `${holder}>`);
      assert.deepEqual(
        parse(text).dataset.categories.map(({ name }) => name),
        ['car', 'person'],
      );
    }
    assert.deepEqual(
      parse(xml(box('van') + box('car'), { meta: '' })).dataset.categories.map(({ name }) => name),
      ['car', 'van'],
    );
  });

  test('what is wrong names picture, shape, value and remedy', () => {
    const cases: readonly (readonly [text: string, expected: RegExp])[] = [
      [
        xml(box('bus')),
        /^annotations\.xml: "a\.jpg": shape 1, a box, has the label "bus" \(expected car, person\): add it to the labels/,
      ],
      [
        xml(box('car').replace('"10.00"', '"x"')),
        /shape 1, a box, \(labelled "car"\) has xtl "x" \(expected a number of pixels\)/,
      ],
      [
        xml(box('car').replace('"30.50"', '"3"')),
        /is \[10, 5, 3, 25\] \(expected xtl <= xbr and ytl <= ybr\): exchange the corners/,
      ],
      [
        xml('<polygon label="car" points="1,2;3"></polygon>'),
        /has points "1,2;3" \(expected x,y;x,y;\.\.\.\): draw it again/,
      ],
      [
        xml('', { image: 'name="../a.jpg" width="60" height="40"' }),
        /image 1\.name is "\.\.\/a\.jpg", which leads outside/,
      ],
      [
        xml('', { image: 'name="a.jpg" height="40"' }),
        /image 1\.width \(of "a\.jpg"\) is missing \(expected whole pixels/,
      ],
      [
        '<annotations><version>1.1</version><track id="0" label="car"></track></annotations>',
        /track is of CVAT for video: export the task anew as "CVAT for images 1\.1"/,
      ],
      ['<annotations></annotations>', /image is missing \(expected one for each picture\)/],
      ['<annotation></annotation>', /annotation is the outermost element \(expected annotations\)/],
    ];
    for (const [text, expected] of cases) assert.match(refusalOf(text), expected);
    assert.equal(checkCvat(xml(box('bus') + box('tram')), { fileName: 'a.xml' }).length, 2);
  });
});
