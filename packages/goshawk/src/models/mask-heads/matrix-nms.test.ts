import { describe, test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { assertClose, tensor } from '@goshawk/torch';
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

describe('matrixNmsFactors', () => {
  for (const [kind, lowered] of [
    ['gaussian', (overlap: number) => Math.exp(-2 * overlap ** 2)],
    ['linear', (overlap: number) => 1 - overlap],
  ] as const) {
    test(`is the plain loop of its definition, ${kind}`, () => {
      for (let seed = 0; seed < 30; seed++) {
        const own = scene(seed, 1 + seed);
        const found = matrixNmsFactors(
          tensor(own.masks.flat(), { shape: [own.masks.length, 144] }),
          tensor([...own.labels], { dtype: 'int64' }),
          { kind, sigma: 2 },
        );
        assertClose(found, plainFactors(own, lowered), { absolute: 1e-6, relative: 0 });
      }
    });
  }
});
