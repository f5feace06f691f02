// To YOLO and back by the command: what is not as it was is what the command said (scripts/check-round-trip.mjs).
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Dataset, encodeMask, formatCoco, NO_YOLO_LOSSES } from '@goshawk/core';
import sharp from 'sharp';
import { runDataConvert } from './data-convert.js';

interface RoundTrip {
  readonly pictures: number;
  readonly picturesBack: number;
  readonly objects: number;
  readonly lost: Readonly<Record<string, number>>;
  readonly said: Readonly<Record<string, number>>;
}

const script = new URL('../../../../scripts/check-round-trip.mjs', import.meta.url).href;
const { roundTrip, unsaid } = (await import(script)) as {
  roundTrip(annotations: string, images?: string): RoundTrip;
  unsaid(result: RoundTrip): string[];
};

let folder = '';
const at = (name: string): string => path.join(folder, name);

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-round-trip-test-'));
  for (const name of ['a', 'b']) {
    const png = await sharp({ create: { width: 47, height: 31, channels: 3, background: '#808080' } })
      .png()
      .toBuffer();
    for (const place of ['voc/JPEGImages', 'coco']) {
      mkdirSync(at(place), { recursive: true });
      writeFileSync(at(`${place}/${name}.png`), png);
    }
  }
});
after(() => rmSync(folder, { recursive: true }));

const square = (x: number, y: number, side: number): number[] => [x, y, x + side, y, x + side, y + side, x, y + side];
const object = (id: number, more: object): Dataset['annotations'][number] =>
  ({ id, imageId: id % 2 ? 7 : 3, categoryId: 4, bbox: [3, 5, 11, 11], area: 121, isCrowd: false, ...more }) as never;

function write(annotations: Dataset['annotations'], categories: Dataset['categories']): string {
  const images = [
    { id: 7, fileName: 'a.png', width: 47, height: 31 },
    { id: 3, fileName: 'b.png', width: 47, height: 31 },
  ];
  writeFileSync(at('coco.json'), formatCoco({ images, annotations, categories }));
  return at('coco.json');
}

describe('to YOLO and back', () => {
  test('a folder of PASCAL VOC loses its marks alone', () => {
    const box = (xmin: number, difficult: number, more = ''): string =>
      `<object><name>cup</name>${more}<difficult>${difficult}</difficult><bndbox><xmin>${xmin}</xmin><ymin>3</ymin><xmax>29</xmax><ymax>31</ymax></bndbox></object>`;
    mkdirSync(at('voc/Annotations'), { recursive: true });
    for (const [name, objects] of [
      ['a', box(1, 0, '<pose>Left</pose><truncated>1</truncated>') + box(5.25, 1)],
      ['b', ''],
    ] as const)
      writeFileSync(
        at(`voc/Annotations/${name}.xml`),
        `<annotation><size><width>47</width><height>31</height></size>${objects}</annotation>`,
      );
    const result = roundTrip(at('voc'));
    assert.deepEqual(unsaid(result), []);
    assert.deepEqual(result.said, { ...NO_YOLO_LOSSES, difficult: 1, marks: 1 });
    assert.deepEqual([result.picturesBack, result.objects], [2, 2]);
  });

  test('outlines of one part stay; crowds, parts, run lengths, own boxes and areas are said', () => {
    const mask = new Uint8Array(47 * 31);
    for (let y = 4; y < 9; y++) mask.fill(1, y * 47 + 20, y * 47 + 30);
    const categories = [
      { id: 4, name: 'fig', supercategory: 'fruit' },
      { id: 9, name: 'nut' },
    ];
    const polygons = (...parts: readonly number[][]): object => ({
      segmentation: { kind: 'polygons', polygons: parts },
    });
    const all = [
      object(1, polygons(square(3, 5, 11))),
      object(2, { ...polygons(square(3, 5, 11)), categoryId: 9 }),
      object(3, { ...polygons(square(3, 5, 11)), area: 100 }),
      object(4, { ...polygons(square(3, 5, 11)), bbox: [2.5, 5, 12, 11] }),
      object(5, { ...polygons(square(3, 5, 4), square(20, 5, 6)), bbox: [3, 5, 23, 6], area: 52 }),
      object(6, { segmentation: { kind: 'rle', rle: encodeMask(mask, [31, 47]) }, bbox: [20, 4, 10, 5], area: 50 }),
      object(7, { ...polygons(square(3, 5, 11)), isCrowd: true }),
    ];
    const result = roundTrip(write(all, categories), at('coco'));
    assert.deepEqual(unsaid(result), []);
    assert.deepEqual(result.said, {
      ...NO_YOLO_LOSSES,
      crowds: 1,
      joined: 1,
      traced: 1,
      boxes: 1,
      areas: 1,
      supercategories: 1,
    });
    assert.equal(result.objects, 6);
  });

  test('keypoints stay, visibilities and names too', () => {
    const categories = [{ id: 4, name: 'person', keypoints: ['head', 'left foot', 'right foot'] }];
    const all = [object(1, { keypoints: [4, 6, 2, 0, 0, 0, 9.5, 12.25, 1], numKeypoints: 2 })];
    const result = roundTrip(write(all, categories), at('coco'));
    assert.deepEqual(unsaid(result), []);
    assert.deepEqual(result.said, NO_YOLO_LOSSES);
  });

  test('of poses the outlines are lost, and how keypoints are joined', () => {
    const categories = [{ id: 4, name: 'person', keypoints: ['head', 'foot'], skeleton: [[1, 2]] as const }];
    const all = [
      object(1, {
        keypoints: [4, 6, 2, 9.5, 12.25, 1],
        numKeypoints: 2,
        segmentation: { kind: 'polygons', polygons: [square(3, 5, 11)] },
      }),
    ];
    const result = roundTrip(write(all, categories), at('coco'));
    assert.deepEqual(unsaid(result), []);
    assert.deepEqual(result.said, { ...NO_YOLO_LOSSES, masks: 1, skeletons: 1 });
  });

  test('pictures in folders of any name, one of them called images, keep their labels', () => {
    const png = readFileSync(at('coco/a.png'));
    const names = ['images/a.png', 'photos/images/b.PNG', 'c d/ü 猫.png'];
    for (const name of names) {
      mkdirSync(path.dirname(at(`deep/${name}`)), { recursive: true });
      writeFileSync(at(`deep/${name}`), png);
    }
    const images = names.map((fileName, i) => ({ id: i + 1, fileName, width: 47, height: 31 }));
    const annotations = images.map(({ id }) => ({ ...object(1, {}), id, imageId: id, bbox: [id, 2, 9, 8], area: 72 }));
    writeFileSync(
      at('deep.json'),
      formatCoco({ images, annotations: annotations as never, categories: [{ id: 4, name: 'cup' }] }),
    );
    const result = roundTrip(at('deep.json'), at('deep'));
    assert.deepEqual(unsaid(result), []);
    assert.deepEqual([result.picturesBack, result.objects, result.said], [3, 3, NO_YOLO_LOSSES]);
  });

  test('to PASCAL VOC: what it has no place for is said too', (context) => {
    const said: string[] = [];
    context.mock.method(console, 'error', (line: string) => said.push(line));
    context.mock.method(console, 'log', () => undefined);
    const outline = { segmentation: { kind: 'polygons', polygons: [square(3, 5, 11)] }, area: 120 };
    const all = [object(1, outline), object(2, { isCrowd: true }), object(3, { bbox: [1, 1, 11, 11] })];
    runDataConvert(
      write(all, [
        { id: 4, name: 'fig', supercategory: 'fruit' },
        { id: 9, name: 'nut' },
      ]),
      {
        images: at('coco'),
        output: at('as-voc'),
      },
    );
    assert.deepEqual(
      said.map((line) => /^warning: (\d+ \w+ \w+)/.exec(line)?.[1]),
      ['1 crowd regions', '1 objects lose', '1 objects lose', '1 categories lose', '1 categories have'],
    );
  });
});
