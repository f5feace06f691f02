import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { boxXywh } from '../boxes/box.js';
import type { Annotation, Dataset } from '../formats/dataset.js';
import { evaluateProposals, formatProposalTable, type ImageProposals, proposalRecallStats } from './proposal-recall.js';

type Xywh = readonly [number, number, number, number];

function dataset(objects: readonly (readonly Xywh[])[], overrides: Partial<Annotation> = {}): Dataset {
  const images = objects.map((_, i) => ({ id: i + 1, fileName: `${i + 1}.jpg`, width: 200, height: 200 }));
  const annotations = objects.flatMap((boxes, i) =>
    boxes.map((box, j): Annotation => {
      const bbox = boxXywh(...box);
      return {
        id: i * 100 + j + 1,
        imageId: i + 1,
        categoryId: 1,
        bbox,
        area: box[2] * box[3],
        isCrowd: false,
        ...overrides,
      };
    }),
  );
  return { images, annotations, categories: [{ id: 1, name: 'thing' }] };
}

const proposals = (boxes: readonly (readonly Xywh[])[]): ImageProposals[] =>
  boxes.map((own, i) => ({ imageId: i + 1, boxes: Float32Array.from(own.flat()) }));

/**
 * The definition of Detectron's evaluate_box_proposals step by step: corners that include their last pixel, a matrix of
 * overlaps in which used rows and columns become -1, sorted overlaps of all pictures.
 */
function plainRecall(
  groundTruth: Dataset,
  found: readonly ImageProposals[],
  limit: number,
  [least, most]: readonly [number, number],
): { ar: number; recalls: number[]; objects: number } {
  const overlaps: number[] = [];
  let objects = 0;
  for (const image of groundTruth.images) {
    const truths = groundTruth.annotations
      .filter(({ imageId, isCrowd, area }) => imageId === image.id && !isCrowd && area > 0)
      .map(({ bbox: [x, y, w, h], area }) => {
        const x1 = Math.max(0, x);
        const y1 = Math.max(0, y);
        const x2 = Math.min(x + w - 1, image.width - 1);
        const y2 = Math.min(y + h - 1, image.height - 1);
        return { corners: [x1, y1, x2, y2] as const, area };
      })
      .filter(({ corners: [x1, y1, x2, y2] }) => x2 > x1 && y2 > y1)
      .filter(({ area }) => area >= least && area <= most);
    objects += truths.length;
    const flat = found.find(({ imageId }) => imageId === image.id)?.boxes ?? new Float32Array(0);
    const boxes = Array.from({ length: Math.min(limit, flat.length / 4) }, (_, i) => {
      const [x = 0, y = 0, w = 0, h = 0] = flat.subarray(i * 4, i * 4 + 4);
      return [x, y, x + w - 1, y + h - 1] as const;
    });
    const matrix = boxes.map((box) => truths.map(({ corners }) => inclusiveIou(box, corners)));
    for (let turn = 0; turn < Math.min(boxes.length, truths.length); turn++) {
      let best = { row: 0, column: 0, overlap: -1 };
      truths.forEach((_, column) => {
        boxes.forEach((__, row) => {
          const overlap = matrix[row]![column]!;
          if (overlap > best.overlap) best = { row, column, overlap };
        });
      });
      overlaps.push(best.overlap);
      matrix[best.row] = truths.map(() => -1);
      for (const row of matrix) row[best.column] = -1;
    }
  }
  const recalls = Array.from(
    { length: 10 },
    (_, i) => overlaps.filter((overlap) => overlap >= 0.5 + i * 0.05).length / objects,
  );
  return { ar: recalls.reduce((a, b) => a + b, 0) / 10, recalls, objects };
}

function inclusiveIou(a: Xywh, b: Xywh): number {
  const side = (low: number, high: number) => Math.max(0, high - low + 1);
  const shared = side(Math.max(a[0], b[0]), Math.min(a[2], b[2])) * side(Math.max(a[1], b[1]), Math.min(a[3], b[3]));
  const area = (box: Xywh) => side(box[0], box[2]) * side(box[1], box[3]);
  return shared / (area(a) + area(b) - shared);
}

describe('evaluateProposals', () => {
  test('counts the objects that are covered at each threshold', () => {
    // Covered by IoU 1 and by 72 / 100: at 0.5 ... 0.7 both, above one of two.
    const groundTruth = dataset([
      [
        [0, 0, 10, 10],
        [50, 50, 10, 10],
      ],
    ]);
    const found = proposals([
      [
        [50, 50, 9, 8],
        [0, 0, 10, 10],
      ],
    ]);
    const [all] = evaluateProposals({ groundTruth, proposals: found });
    assert.deepEqual(all?.recalls, [1, 1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.5]);
    assert.equal(all?.averageRecall, 0.75);
  });
  test('a proposal covers one object alone, the one that it covers best', () => {
    const groundTruth = dataset([
      [
        [0, 0, 10, 9],
        [0, 0, 10, 10],
      ],
    ]);
    const [all] = evaluateProposals({ groundTruth, proposals: proposals([[[0, 0, 10, 10]]]) });
    assert.equal(all?.averageRecall, 0.5);
  });
  test('looks at so many of the best alone', () => {
    const groundTruth = dataset([[[0, 0, 10, 10]]]);
    const found = proposals([
      [
        [50, 50, 10, 10],
        [0, 0, 10, 10],
      ],
    ]);
    const stats = proposalRecallStats(evaluateProposals({ groundTruth, proposals: found, limits: [1, 2] }));
    assert.deepEqual([stats['AR@1'], stats['AR@2']], [0, 1]);
  });
  test('tells small, medium and large objects apart', () => {
    const groundTruth = dataset([
      [
        [0, 0, 10, 10],
        [0, 0, 50, 50],
        [0, 0, 100, 100],
      ],
    ]);
    const found = proposals([
      [
        [0, 0, 10, 10],
        [0, 0, 100, 100],
      ],
    ]);
    const results = evaluateProposals({ groundTruth, proposals: found, limits: [100] });
    const stats = proposalRecallStats(results);
    assert.deepEqual(Object.keys(stats), ['AR@100', 'ARs@100', 'ARm@100', 'ARl@100']);
    assert.deepEqual([stats['ARs@100'], stats['ARm@100'], stats['ARl@100']], [1, 0, 1]);
    assert.deepEqual(
      formatProposalTable(results).split('\n')[1],
      ' Average Recall     (AR) @[ IoU=0.50:0.95 | area= small | proposals=100 ] = 1.000',
    );
  });
  test('objects of pictures without proposals count as missed', () => {
    const groundTruth = dataset([[[0, 0, 10, 10]], [[0, 0, 10, 10]]]);
    const [all] = evaluateProposals({ groundTruth, proposals: proposals([[[0, 0, 10, 10]]]) });
    assert.equal(all?.averageRecall, 0.5);
  });
  test('crowds are not looked for', () => {
    const [all] = evaluateProposals({ groundTruth: dataset([[[0, 0, 10, 10]]], { isCrowd: true }), proposals: [] });
    assert.deepEqual([all?.objects, all?.averageRecall], [0, -1]);
  });
  test('refuses proposals of unknown pictures and two lists for one', () => {
    const groundTruth = dataset([[[0, 0, 10, 10]]]);
    const [one] = proposals([[[0, 0, 10, 10]]]);
    const run = (found: ImageProposals[]) => () => evaluateProposals({ groundTruth, proposals: found });
    assert.throws(run([{ ...one!, imageId: 7 }]), /image id 7 is not in the annotations/);
    assert.throws(run([one!, one!]), /image id 1 comes twice/);
  });
  test('is the plain definition on any boxes', () => {
    const coordinate = fc.integer({ min: 0, max: 150 });
    const side = fc.integer({ min: 1, max: 120 });
    const box = fc.tuple(coordinate, coordinate, side, side);
    const picture = fc.record({ objects: fc.array(box, { maxLength: 8 }), found: fc.array(box, { maxLength: 30 }) });
    const ranges = { all: [0, 1e10], small: [0, 1024], medium: [1024, 9216], large: [9216, 1e10] } as const;
    fc.assert(
      fc.property(fc.array(picture, { minLength: 1, maxLength: 4 }), (pictures) => {
        const groundTruth = dataset(pictures.map(({ objects }) => objects));
        const found = proposals(pictures.map((one) => one.found));
        for (const result of evaluateProposals({ groundTruth, proposals: found, limits: [3, 100] })) {
          const wanted = plainRecall(groundTruth, found, result.limit, ranges[result.area as keyof typeof ranges]);
          assert.equal(result.objects, wanted.objects);
          if (wanted.objects === 0) continue;
          wanted.recalls.forEach((recall, i) => {
            assert.ok(Math.abs(result.recalls[i]! - recall) < 1e-12, `${result.area} ${i}`);
          });
          assert.ok(Math.abs(result.averageRecall - wanted.ar) < 1e-9);
        }
      }),
      { numRuns: 200 },
    );
  });
});
