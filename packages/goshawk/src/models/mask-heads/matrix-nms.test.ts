import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { assertClose, autocast, type Tensor, tensor } from '@goshawk/torch';
import { matrixNmsFactors } from './matrix-nms.js';

interface Scene {
  readonly masks: readonly (readonly number[])[];
  readonly labels: readonly number[];
}

/** Rectangles of a 12 x 12 picture, some of them the same. */
function scene(seed: number, count: number): Scene {
  const random = createRandom(seed);
  const masks: number[][] = [];
  for (let i = 0; i < count; i++) {
    if (i > 2 && random.uniform() < 0.2) {
      masks.push(masks[random.integer(i)]!);
      continue;
    }
    const [x, y, width, height] = [8, 8, 6, 6].map((most) => random.integer(most)) as [number, number, number, number];
    masks.push(
      Array.from({ length: 144 }, (_, at) => {
        const [column, row] = [at % 12, Math.floor(at / 12)];
        return column >= x && column <= x + width && row >= y && row <= y + height ? 1 : 0;
      }),
    );
  }
  return { masks, labels: masks.map(() => 1 + random.integer(3)) };
}

const iou = (a: readonly number[], b: readonly number[]): number => {
  const shared = a.reduce((sum, value, i) => sum + value * b[i]!, 0);
  return shared / (a.reduce((x, y) => x + y) + b.reduce((x, y) => x + y) - shared);
};

/** By the paper's definition, one mask after another; only better masks of its class lower a score. */
function plainFactors({ masks, labels }: Scene, lowered: (overlap: number) => number): number[] {
  const overlaps = masks.map((mask, j) =>
    masks.slice(0, j).map((other, i) => (labels[i] === labels[j] ? iou(other, mask) : 0)),
  );
  const most = overlaps.map((own) => Math.max(0, ...own));
  return overlaps.map((own) =>
    own.reduce((least, overlap, i) => {
      // One with a better mask: whatever it takes, that one takes.
      if (most[i] === 1) return least;
      return Math.min(least, lowered(overlap) / lowered(most[i]!));
    }, 1),
  );
}

const factorsOf = ({ masks, labels }: Scene, kind: 'gaussian' | 'linear'): Tensor =>
  matrixNmsFactors(
    tensor(masks.flat(), { shape: [masks.length, masks[0]!.length] }),
    tensor([...labels], { dtype: 'int64' }),
    { kind, sigma: 2 },
  );

describe('matrixNmsFactors', () => {
  for (const [kind, lowered] of [
    ['gaussian', (overlap: number) => Math.exp(-2 * overlap ** 2)],
    ['linear', (overlap: number) => 1 - overlap],
  ] as const) {
    test(`is the plain loop of its definition, ${kind}`, () => {
      for (let seed = 0; seed < 30; seed++) {
        const own = scene(seed, 1 + seed);
        assertClose(factorsOf(own, kind), plainFactors(own, lowered), { absolute: 3e-7, relative: 0 });
      }
    });
  }

  test('counts pixels among half types too: equal masks are equal, and thousands of pixels are thousands', () => {
    // A mask, the same once more, nearly the same, and one that overlaps it a little.
    const wide = (from: number, to: number) => Array.from({ length: 9000 }, (_, at) => (at >= from && at < to ? 1 : 0));
    const own: Scene = {
      masks: [wide(0, 4501), wide(0, 4501), wide(3, 4801), wide(4000, 8999)],
      labels: [1, 1, 1, 1],
    };
    for (const [kind, lowered] of [
      ['gaussian', (overlap: number) => Math.exp(-2 * overlap ** 2)],
      ['linear', (overlap: number) => 1 - overlap],
    ] as const)
      assertClose(
        autocast('bfloat16', () => factorsOf(own, kind)),
        plainFactors(own, lowered),
        { absolute: 3e-7, relative: 0 },
      );
  });

  test('one mask, masks of other classes and masks apart lose nothing, however their scores lie', () => {
    const [left, right] = [
      [1, 1, 0, 0],
      [0, 0, 1, 1],
    ] as const;
    for (const kind of ['gaussian', 'linear'] as const)
      for (const own of [
        { masks: [left], labels: [3] },
        { masks: [left, left, left], labels: [1, 2, 3] },
        { masks: [left, right], labels: [1, 1] },
      ])
        assertClose(
          factorsOf(own, kind),
          own.labels.map(() => 1),
          { absolute: 0, relative: 0 },
        );
  });

  test('by hand: the third of a chain loses to the second as much as that has left', () => {
    // Each shares one of three pixels with the next.
    const own = {
      masks: [
        [1, 1, 0, 0],
        [0, 1, 1, 0],
        [0, 0, 1, 1],
      ],
      labels: [1, 1, 1],
    };
    const lost = Math.exp(-2 / 9);
    // The third's rival has itself lost as much, so that nothing of it is left for the third.
    assertClose(factorsOf(own, 'gaussian'), [1, lost, 1], { absolute: 3e-7 });
    assertClose(factorsOf(own, 'linear'), [1, 2 / 3, 1], { absolute: 3e-7 });
  });
});
