import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXywh } from '../boxes/box.js';
import type { Annotation, Dataset } from '../formats/dataset.js';
import { inputErrorOf } from '../testing/input-error.js';
import { randomScenes } from '../testing/random-scenes.js';
import { filterDataset, mergeDatasets, splitDataset } from './index.js';

const categories = [
  { id: 1, name: 'cat' },
  { id: 2, name: 'dog' },
];

/** A picture for each list of category ids, with an object of each. */
function dataset(pictures: readonly (readonly number[])[]): Dataset {
  const images = pictures.map((_, i) => ({ id: i + 1, fileName: `${i + 1}.jpg`, width: 100, height: 80 }));
  const annotations: Annotation[] = [];
  pictures.forEach((ids, i) => {
    for (const categoryId of ids) {
      const bbox = boxXywh(annotations.length % 50, 5, 20, 10);
      annotations.push({ id: annotations.length + 1, imageId: i + 1, categoryId, bbox, area: 200, isCrowd: false });
    }
  });
  return { images, annotations, categories };
}

const parts = [
  { name: 'train', share: 0.8 },
  { name: 'val', share: 0.2 },
];

describe('splitDataset', () => {
  test('every picture is in one part with all its objects, groups stay whole, parts are not empty', () => {
    const pictures = fc.array(fc.array(fc.constantFrom(1, 2), { maxLength: 4 }), { minLength: 8, maxLength: 60 });
    fc.assert(
      fc.property(pictures, fc.nat(1000), (lists, seed) => {
        const all = dataset(lists);
        const together = [
          [1, 2, 3],
          [3, 4],
        ];
        const split = splitDataset(all, { parts, seed, together });
        const ids = split.flatMap((part) => part.dataset.images.map(({ id }) => id));
        assert.deepEqual(
          [...ids].sort((a, b) => a - b),
          all.images.map(({ id }) => id),
        );
        for (const { dataset: part } of split) {
          const own = new Set(part.images.map(({ id }) => id));
          assert.ok(own.size > 0);
          assert.deepEqual(
            part.annotations,
            all.annotations.filter(({ imageId }) => own.has(imageId)),
          );
          assert.deepEqual(part.categories, categories);
          assert.ok([1, 2, 3, 4].every((id) => own.has(id)) || [1, 2, 3, 4].every((id) => !own.has(id)));
        }
      }),
    );
  });

  test('a rare category is in both parts, in its share', () => {
    const lists = Array.from({ length: 100 }, (_, i) => (i < 10 ? [2] : [1]));
    for (let seed = 0; seed < 20; seed++) {
      const [train, val] = splitDataset(dataset(lists), { parts, seed });
      const dogs = ({ annotations }: Dataset) => annotations.filter(({ categoryId }) => categoryId === 2).length;
      assert.deepEqual([dogs(train!.dataset), dogs(val!.dataset)], [8, 2]);
      assert.equal(val!.dataset.images.length, 20);
    }
  });

  test('a seed gives one split, another seed another', () => {
    const all = dataset(Array.from({ length: 50 }, () => [1]));
    const valOf = (seed: number) => splitDataset(all, { parts, seed })[1]!.dataset.images.map(({ id }) => id);
    assert.deepEqual(valOf(3), valOf(3));
    assert.notDeepEqual(valOf(3), valOf(4));
  });

  test('shares that do not add up, and too few pictures, are refused', () => {
    const half = [{ name: 'a', share: 0.5 }];
    assert.match(inputErrorOf(() => splitDataset(dataset([[1]]), { parts: half })).message, /add up to 1, got 0\.5/);
    const alike = { parts, together: [[1, 2]] };
    assert.match(inputErrorOf(() => splitDataset(dataset([[1], [1]]), alike)).message, /1 pictures or groups/);
  });
});

describe('mergeDatasets', () => {
  test('what was split comes together again, in another order', () => {
    for (let seed = 1; seed < 30; seed++) {
      const { groundTruth } = randomScenes(seed);
      if (groundTruth.images.length < 2) continue;
      const split = splitDataset(groundTruth, { parts, seed });
      const { dataset: merged, sharedImages } = mergeDatasets(split);
      const words = ({ images, annotations, categories: names }: Dataset) =>
        annotations
          .map(({ imageId, categoryId, bbox }) => {
            const file = images.find(({ id }) => id === imageId)!.fileName;
            return [file, names.find(({ id }) => id === categoryId)!.name, ...bbox].join(' ');
          })
          .sort();
      assert.deepEqual(words(merged), words(groundTruth));
      assert.equal(merged.images.length, groundTruth.images.length);
      assert.equal(sharedImages, 0);
    }
  });

  test('categories are one by their names; objects of one picture come together, the same object stands once', () => {
    const cats = dataset([[1]]);
    const dogs: Dataset = { ...dataset([[1, 2]]), categories: [categories[1]!, { id: 1, name: 'fox' }] };
    const {
      dataset: merged,
      sharedImages,
      sameObjects,
    } = mergeDatasets([
      { name: 'a', dataset: cats },
      { name: 'b', dataset: dogs },
      { name: 'c', dataset: cats },
    ]);
    assert.deepEqual(
      merged.categories.map(({ id, name }) => [id, name]),
      [
        [1, 'cat'],
        [2, 'dog'],
        [3, 'fox'],
      ],
    );
    assert.deepEqual(
      merged.annotations.map(({ id, imageId, categoryId }) => [id, imageId, categoryId]),
      [
        [1, 1, 1],
        [2, 1, 3],
        [3, 1, 2],
      ],
    );
    assert.deepEqual([sharedImages, sameObjects], [2, 1]);
  });

  test('one picture in two sizes is refused', () => {
    const small = dataset([[1]]);
    const large = { ...small, images: [{ ...small.images[0]!, width: 200 }] };
    const merge = () => mergeDatasets([small, large].map((one, i) => ({ name: `${i}.json`, dataset: one })));
    assert.match(inputErrorOf(merge).message, /^1\.json: 1\.jpg is 200 x 80, but 100 x 80 in the files before/);
  });
});

describe('filterDataset', () => {
  test('by category, size, crowd and emptiness', () => {
    const all = dataset([[1, 2], [1], []]);
    const counts = (options: Parameters<typeof filterDataset>[1]) => {
      const { images, annotations, categories: left } = filterDataset(all, options);
      return [images.length, annotations.length, left.length];
    };
    assert.deepEqual(counts({}), [3, 3, 2]);
    assert.deepEqual(counts({ categories: ['dog'] }), [3, 1, 1]);
    assert.deepEqual(counts({ without: ['dog'], dropEmpty: true }), [2, 2, 1]);
    assert.deepEqual(counts({ minSide: 11 }), [3, 0, 2]);
    assert.match(
      inputErrorOf(() => counts({ categories: ['fox'] })).message,
      /no category is called "fox" \(there are cat, dog\)/,
    );
  });
});
