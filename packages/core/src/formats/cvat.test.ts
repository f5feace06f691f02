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
      ['<annotations></annotations>', /image is missing \(expected one for each picture\)/],
      ['<annotation></annotation>', /annotation is the outermost element \(expected annotations\)/],
    ];
    for (const [text, expected] of cases) assert.match(refusalOf(text), expected);
    assert.equal(checkCvat(xml(box('bus') + box('tram')), { fileName: 'a.xml' }).length, 2);
  });
});

describe('CVAT for video', () => {
  const boxOn = (frame: number | string, more = 'outside="0"', left = 10) =>
    `<box frame="${frame}" keyframe="1" occluded="0" ${more} xtl="${left}" ytl="5" xbr="${left + 20}" ybr="25" z_order="0"></box>`;
  const track = (label: string, shapes: string, more = '') =>
    `<track id="0" label="${label}" source="manual" ${more}>${shapes}</track>`;
  const film = (tracks: string, size = '<original_size><width>60</width><height>40</height></original_size>') =>
    `<annotations><version>1.1</version><meta><task><size>9</size><mode>interpolation</mode>${labels(['car', 'person'])}${size}</task></meta>${tracks}</annotations>`;
  const frames = (...numbers: readonly number[]) => ({
    pictures: new Map(numbers.map((frame) => [frame, `frame_00000${frame}.PNG`])),
    sizeOf: () => ({ width: 80, height: 50 }),
    folder: 'images',
  });
  const objectsOf = ({ dataset: { images, annotations } }: ReturnType<typeof parse>) =>
    images.map(({ id, fileName }) => [
      fileName,
      ...annotations.filter(({ imageId }) => imageId === id).map(({ categoryId, bbox }) => [categoryId, bbox[0]]),
    ]);

  test('every frame has the shapes of the tracks that are seen on it', () => {
    const tracks =
      track('person', boxOn(0) + boxOn(1, 'outside="0"', 12) + boxOn(2, 'outside="1"', 12)) +
      track('car', boxOn(1, 'outside="0"', 30) + boxOn(2, 'outside="0"', 31));
    const read = parse(film(tracks), { frames: frames(0, 1, 2, 3) });
    assert.deepEqual(objectsOf(read), [
      ['frame_000000.PNG', [2, 10]],
      ['frame_000001.PNG', [2, 12], [1, 30]],
      ['frame_000002.PNG', [1, 31]],
      ['frame_000003.PNG'],
    ]);
    assert.deepEqual(read.dataset.images[0], { id: 1, fileName: 'frame_000000.PNG', width: 60, height: 40 });
    assert.deepEqual(read.warnings, []);
    // Without pictures at hand: the frames that have an object.
    assert.deepEqual(
      objectsOf(parse(film(tracks))).map(([name]) => name),
      ['frame_000000', 'frame_000001', 'frame_000002'],
    );
    const [image] = parse(film(tracks, ''), { frames: frames(0, 1, 2) }).dataset.images;
    assert.deepEqual([image!.width, image!.height], [80, 50]);
  });

  test('a track may leave and come back, and frames without a picture may be missing in it', () => {
    const leaves = track('car', boxOn(0) + boxOn(1, 'outside="1"') + boxOn(3, 'outside="0"', 15));
    assert.deepEqual(objectsOf(parse(film(leaves), { frames: frames(0, 1, 2, 3) })), [
      ['frame_000000.PNG', [1, 10]],
      ['frame_000001.PNG'],
      ['frame_000002.PNG'],
      ['frame_000003.PNG', [1, 15]],
    ]);
    const steps = track('car', boxOn(0) + boxOn(5, 'outside="0"', 15));
    assert.equal(parse(film(steps), { frames: frames(0, 5) }).dataset.annotations.length, 2);
  });

  test('skeletons are outside where all of their points are; of points a track is told once', () => {
    const points = ['nose', 'tail'].map((name) => `<label><name>${name}</name><parent>cat</parent></label>`);
    const cat = (frame: number, outside: number) =>
      `<skeleton frame="${frame}" keyframe="1" z_order="0"><points label="nose" outside="${outside}" occluded="0" points="3,4"></points><points label="tail" outside="${outside}" occluded="0" points="9,14"></points></skeleton>`;
    const text = film(track('cat', cat(0, 0) + cat(1, 1))).replace(
      /<labels>.*<\/labels>/,
      labels(['cat'], points.join('')),
    );
    const { dataset, warnings } = parse(text, { frames: frames(0, 1) });
    assert.deepEqual(
      dataset.annotations.map(({ imageId, keypoints }) => [imageId, keypoints]),
      [[1, [3, 4, 2, 9, 14, 2]]],
    );
    assert.deepEqual(warnings, []);
    const dot = (frame: number) => `<points frame="${frame}" outside="0" points="1,1"></points>`;
    assert.deepEqual(
      parse(film(track('car', dot(0) + dot(1))), { frames: frames(0, 1) }).warnings.map(({ message }) => message),
      [
        'annotations.xml: track 1, of points, (labelled "car") has neither a box nor an outline in the picture: it is left out',
      ],
    );
  });

  test('what is wrong names track, frame, value and remedy', () => {
    const refusal = (tracks: string, options: Partial<CvatOptions> = { frames: frames(0, 1, 2) }) =>
      inputErrorOf(() => parse(film(tracks), options)).message;
    assert.match(
      refusal(track('car', boxOn('x'))),
      /track 1: a box's frame \(labelled "car"\) is "x" \(expected the number of a frame, from 0\): correct it/,
    );
    assert.match(
      refusal(track('bus', boxOn(0))),
      /track 1: frame 0, a box, has the label "bus" \(expected car, person\)/,
    );
    assert.match(
      refusal(track('car', boxOn(0).replace('"30"', '"3"'))),
      /track 1: frame 0, a box, \(labelled "car"\) is \[10, 5, 3, 25\] \(expected xtl <= xbr/,
    );
    assert.match(
      refusal(track('car', boxOn(0) + boxOn(2))),
      /track 1 \(labelled "car"\) has no box on frame 1, between 0 and 2: export it with CVAT, which writes every frame/,
    );
    assert.match(
      refusal(track('car', boxOn(7))),
      /has an object on frame 7, whose picture frame_000007\.PNG is not among the 3 in images: export with "Save images"/,
    );
    assert.match(
      refusal(track('car', boxOn(0)), { frames: frames() }),
      /is of CVAT for video, and images has no pictures of frames \(expected frame_000000\.PNG and so on\): export with "Save images"/,
    );
    assert.match(
      refusal(track('car', boxOn(0), 'task_id="1"') + track('car', boxOn(0), 'task_id="2"')),
      /track is of 2 tasks, whose frames have the same names: export each task by itself/,
    );
    assert.match(refusal(track('car', boxOn(0)), { set: 'train' }), /track has no sets \(expected "train"\)/);
  });
});
