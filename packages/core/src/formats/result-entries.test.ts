import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { rleFromCounts } from '../masks/rle.js';
import { compressRle } from '../masks/rle-string.js';
import { createRandom } from '../random/index.js';
import { parseCocoResults, parseCocoResultsChunks } from './coco-results.js';
import type { Dataset } from './dataset.js';

const dataset: Dataset = {
  images: [
    { id: 1, fileName: '1.jpg', width: 6, height: 4 },
    { id: 20, fileName: '20.jpg', width: 0, height: 0 },
  ],
  annotations: [],
  categories: [
    { id: 1, name: 'cat' },
    { id: 2, name: 'Hündin', keypoints: ['a', 'b'] },
  ],
};
const mask = compressRle(rleFromCounts([0, 3, 1, 16, 4], [4, 6]));
/** Its groups hold a backslash, which JSON escapes. */
const escapedMask = { size: [60, 80], counts: compressRle(rleFromCounts([44, 45, 1000, 45, 3666], [60, 80])).counts };

const entries: readonly object[] = [
  { image_id: 1, category_id: 1, score: 0.5, bbox: [1, 2.25, 0.1, 562.1545714777894] },
  { image_id: 1, category_id: 1, score: 0.09324852447025478, segmentation: mask },
  { score: 1e-7, category_id: 1, segmentation: { counts: mask.counts, size: mask.size, more: [1] }, image_id: 1 },
  { image_id: 20, category_id: 1, score: 1, segmentation: escapedMask, bbox: [-1, 0, 0, 0] },
  { image_id: 1, category_id: 2, score: 0.25, keypoints: [1, 2, 2, 3.5, 4, 1], bbox: [0, 0, 1, 1] },
  {
    id: 4,
    image_id: 1,
    file_name: 'a/ü"\\1.jpg',
    category_id: 2,
    category_name: 'Hündin',
    bbox: [1, 2, 3, 4],
    score: 3,
  },
  {
    image_id: 1,
    category_id: 1,
    category_name: 'cat',
    area: null,
    info: { a: [[], {}, true, false] },
    bbox: [1, 2, 3, 4],
    score: 3,
  },
  { image_id: 1, category_id: 1, category_name: '', bbox: [1, 2, 3, 4], score: 3 },
];
const odd: readonly object[] = [
  { image_id: 1, category_id: 9, score: 0.5, bbox: [1, 2, 3, 4] },
  { image_id: 1, category_id: 9, category_name: 'wolf', score: 0.5, bbox: [1, 2, 3, 4] },
  { image_id: 1, category_id: 1, category_name: 'Hündin', score: 0.5, bbox: [1, 2, 3, 4] },
  { image_id: 1, category_id: 1, score: 0.5, segmentation: { size: [4, 6], counts: [0, 3, 21] } },
  { image_id: 1, category_id: 1, score: 0.5, segmentation: [[0, 0, 4, 0, 4, 4]] },
  { image_id: 1, category_id: 1, score: 0.5, segmentation: null, bbox: [0, 0, 1, 1] },
  { image_id: 1, category_id: 1, score: 0.5, segmentation: { size: [6, 4], counts: mask.counts } },
  { image_id: 1, category_id: 1, score: 0.5, segmentation: { size: [4, 6], counts: `${mask.counts}0` } },
  { image_id: 1, category_id: 2, score: 0.5, keypoints: [1, 2, 2] },
  { image_id: 1, category_id: 1, score: '0.5', bbox: [1, 2, 3, 4] },
  { image_id: 3, category_id: 1, score: 0.5, bbox: [1, 2, 3, 4] },
  { image_id: 1.5, category_id: 1, score: 0.5, bbox: [1, 2, 3] },
  { image_id: 1, category_id: 1, score: 0.5 },
];

function outcome(read: () => { detections: Iterable<object>; warnings: readonly object[] }) {
  try {
    const { detections, warnings } = read();
    return { detections: [...detections].map((detection) => ({ ...detection })), warnings };
  } catch (error) {
    return { message: (error as Error).message };
  }
}

function* chunksOf(bytes: Uint8Array, size: number): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.slice(at, at + size);
}

/** Whole, by way of parsed entries, and in chunks, by way of bytes. */
function assertSame(bytes: Uint8Array, sizes: readonly number[] = [bytes.length, 97]): void {
  const options = { fileName: 'results.json', dataset };
  const expected = outcome(() => parseCocoResults(bytes, options));
  for (const size of sizes) {
    const got = outcome(() => parseCocoResultsChunks(chunksOf(bytes, size), options));
    // Of two reasons why a text is no JSON, the first in the file is named in chunks.
    if (expected.message?.includes('is not text') && got.message?.includes('is not JSON')) continue;
    assert.deepEqual(got, expected, Buffer.from(bytes).toString('latin1'));
  }
}

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

describe('entries of results from bytes', () => {
  test('are those of the parser, whatever their form', () => {
    assert.ok(escapedMask.counts.includes('\\'));
    for (const indent of [0, 1]) {
      for (const entry of [...entries, ...odd]) {
        // The first meets its category, the others may be taken from bytes.
        const text = JSON.stringify([...entries, entry, entry, ...entries], null, indent);
        assertSame(encode(text), [text.length, 1, 64]);
        assertSame(encode(text.replaceAll('ü', '\\u00fc')));
      }
    }
    assertSame(encode(JSON.stringify(odd)));
  });

  test('are those of the parser after any change of a byte or two', () => {
    const random = createRandom(3, 0);
    const marks = encode('",:[]{} \n\\-+.e019NaItrufl\u00fc\u0001');
    for (let round = 0; round < 1000; round++) {
      const count = 1 + random.integer(5);
      const some = Array.from({ length: count }, () =>
        random.uniform() < 0.85 ? entries[random.integer(entries.length)]! : odd[random.integer(odd.length)]!,
      );
      let bytes = encode(JSON.stringify([entries[0], entries[5], ...some], null, random.integer(2)));
      for (let change = 1 + random.integer(2); change > 0; change--) {
        const at = random.integer(bytes.length + 1);
        const isMore = random.uniform() < 0.3;
        const written = random.uniform() < 0.7 ? [marks[random.integer(marks.length)]!] : [];
        bytes = Uint8Array.of(...bytes.subarray(0, at), ...written, ...bytes.subarray(isMore ? at : at + 1));
      }
      assertSame(bytes);
    }
  });

  test('with a key twice, or an escaped one, count as in an object', () => {
    for (const entry of [
      '{"image_id": 1, "category_id": 1, "score": 0.5, "score": 0.75, "bbox": [1, 2, 3, 4]}',
      '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4], "\\u0062box": [5, 6, 7, 8]}',
      '{"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": {"size": [4, 6], "size": [6, 4], "counts": "0"}}',
      '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 4], "x": "\\q"}',
      '{"image_id": 1, "category_id": 1, "score": 0.5, "bbox": [1, 2, 3, 1e999]}',
      '{"image_id": 1, "category_id": 1, "score": NaN, "bbox": [1, 2, 3, 4]}',
      '{"image_id": 01, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]}',
      '{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4]} {}',
      '{"image_id": 1, "category_id": 1, "score": 1, "bbox": [1, 2, 3, 4],}',
    ])
      assertSame(encode(`[${JSON.stringify(entries[0])}, ${entry}, ${JSON.stringify(entries[1])}]`));
  });

  test('and an error names the place that it has in the file', () => {
    const long = Array.from({ length: 400 }, (_, i) => ({ ...entries[i % entries.length], bbox: [i, 1, 2, 3] }));
    for (const at of [3, 100, 399]) {
      const wrong = long.map((entry, i) => (i === at ? { ...entry, image_id: 7 } : entry));
      assertSame(encode(JSON.stringify(wrong)), [100, 5000]);
      assertSame(encode(JSON.stringify(wrong, null, 1).replace('"image_id": 7', '"image_id" 7')), [100, 5000]);
    }
  });

  test('that follow many of another form are taken again', () => {
    const many = Array.from({ length: 5000 }, (_, i) => ({
      image_id: 1,
      category_id: 1,
      score: i / 5000,
      ...(i % 1000 < 30 ? { segmentation: [[0, 0, 4, 0, 4, i % 4]] } : { bbox: [i, 1, 2, 3] }),
    }));
    assertSame(encode(JSON.stringify(many)), [1000, 100_000]);
  });
});
