import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseCocoResults, parseCocoResultsChunks } from './coco-results.js';
import type { Dataset } from './dataset.js';

const dataset: Dataset = {
  images: [{ id: 1, fileName: 'a.png', width: 9, height: 9 }],
  categories: [
    { id: 1, name: 'cat' },
    { id: 2, name: 'dog' },
    { id: 3, name: 'hen' },
  ],
  annotations: [],
};

/** Entries of `id` and, where given, name. */
function read(entries: readonly (readonly [number, (string | number | null)?])[], categories = dataset.categories) {
  const text = JSON.stringify(
    entries.map(([category_id, category_name]) => ({
      image_id: 1,
      category_id,
      category_name,
      bbox: [1, 1, 2, 2],
      score: 0.5,
    })),
  );
  const options = { fileName: 'd.json', dataset: { ...dataset, categories } };
  const { detections, warnings } = parseCocoResults(text, options);
  const packed = parseCocoResultsChunks([new TextEncoder().encode(text)], options);
  assert.deepEqual([...packed.detections], detections);
  assert.deepEqual(packed.warnings, warnings);
  return { ids: detections.map(({ categoryId }) => categoryId), warnings: warnings.map(({ message }) => message) };
}

describe('categories of a results file', () => {
  test('go by their ids without names, and with the names of the ground truth', () => {
    assert.deepEqual(read([[1], [3]]), { ids: [1, 3], warnings: [] });
    assert.deepEqual(
      read([
        [1, 'cat'],
        [3, 'hen'],
        [2, null],
      ]),
      { ids: [1, 3, 2], warnings: [] },
    );
  });

  test('go by name where the same names have exchanged or other ids, which is said', () => {
    const warning = (words: string) => [
      `d.json: its category ids are not those of the ground truth (${words}): matched by name`,
    ];
    assert.deepEqual(
      read([
        [2, 'cat'],
        [1, 'dog'],
        [2, 'cat'],
      ]),
      { ids: [1, 2, 1], warnings: warning("'cat' is id 2 there and id 1 here") },
    );
    assert.deepEqual(
      read([
        [0, 'cat'],
        [2, 'hen'],
      ]),
      { ids: [1, 3], warnings: warning("'cat' is id 0 there and id 1 here") },
    );
  });

  test('of an unknown name under an id that means another are an error that names both', () => {
    assert.throws(
      () =>
        read([
          [1, 'cat'],
          [2, 'zebra'],
          [2, 'zebra'],
        ]),
      {
        code: 'results-invalid',
        message:
          'd.json: [1].category_name (category id 2) is "zebra", which the ground truth does not have (its id 2 is "dog"): pass the ground truth that these results belong to',
      },
    );
  });

  test('that the ground truth lacks altogether are left out with a warning, and an error where all are', () => {
    const { ids, warnings } = read([
      [1, 'cat'],
      [9, 'zebra'],
      [9, 'zebra'],
    ]);
    assert.deepEqual(ids, [1]);
    assert.equal(warnings.length, 1);
    assert.match(
      warnings[0]!,
      /\[1\]\.category_id \(category id 9\) is 9 \("zebra"\), which the ground truth does not have/,
    );
    assert.throws(
      () => read([[9, 'zebra']]),
      /d\.json: has no category of the ground truth \(the first is id 9, "zebra"\)/,
    );
  });

  test('that names cannot tell apart are an error', () => {
    const twins = [
      { id: 1, name: 'cat' },
      { id: 2, name: 'cat' },
    ];
    assert.deepEqual(
      read(
        [
          [1, 'cat'],
          [2, 'cat'],
        ],
        twins,
      ).ids,
      [1, 2],
    );
    assert.throws(
      () =>
        read([
          [2, 'dog'],
          [5, 'dog'],
        ]),
      /categories cannot be matched by name \('dog' \(id 5\) is there and not here\)/,
    );
    assert.throws(() => read([[3, 'cat']], [...twins, { id: 3, name: 'hen' }]), /which only ids tell apart/);
    assert.throws(
      () => read([[2, 'cat'], [1]]),
      /\[1\]\.category_name is missing, and other entries have ids that differ/,
    );
    assert.throws(() => read([[1, 5]]), /\[0\]\.category_name is 5 \(expected the category's name\)/);
  });
});

test('of millions of wrong entries the first are named and the others counted', () => {
  const text = `[${'{"image_id":1,"category_id":1,"score":"x"},'.repeat(2000)}3]`;
  const options = { fileName: 'd.json', dataset };
  const message = (read: () => unknown) => {
    try {
      read();
    } catch (error) {
      return (error as Error).message;
    }
    return 'no error';
  };
  const whole = message(() => parseCocoResults(text, options));
  assert.match(whole, /^d\.json: \[0\]\.score is "x" .* \(and 4000 more problems\)$/);
  assert.equal(
    message(() => parseCocoResultsChunks([new TextEncoder().encode(text)], options)),
    whole,
  );
});
