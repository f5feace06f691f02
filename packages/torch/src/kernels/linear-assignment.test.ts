import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { scope, tensor } from '../tensor/index.js';
import { linearAssignment } from './linear-assignment.js';

// dist/kernels/ -> src/kernels/: the fixtures are not compiled. Made by make_assignments.py beside it.
const expected = JSON.parse(
  readFileSync(new URL('../../src/kernels/fixtures/linear-assignments.json', import.meta.url), 'utf8'),
) as number[][];

/** MurmurHash3's finaliser. */
function mixed(value: number): number {
  let hash = value | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}

function cost(number: number, row: number, column: number): number {
  const draw = mixed(number * 1000003 + row * 1009 + column) >>> 8;
  switch (number % 6) {
    case 0:
      return draw / 2 ** 24;
    case 1:
      return draw % 3;
    case 2:
      return (row + 1) * (column + 1);
    case 3:
      return 1 + (draw % 4) / 2 ** 22;
    case 4:
      return -Math.abs(row - column) - draw / 2 ** 28;
    default:
      return (draw / 2 ** 24 - 0.5) * 4 ** (draw % 9);
  }
}

const sidesOf = (number: number): [rows: number, columns: number] => [
  1 + (mixed(number * 7 + 1) % 24),
  1 + (mixed(number * 7 + 2) % 24),
];

function matrixOf(number: number): Float32Array {
  const [rows, columns] = sidesOf(number);
  return Float32Array.from({ length: rows * columns }, (_, i) => cost(number, Math.floor(i / columns), i % columns));
}

const assign = (values: readonly number[][], count = values[0]!.length): number[] =>
  scope(() => {
    const costs = tensor(values.flat(), { shape: [1, values.length, values[0]!.length] });
    return linearAssignment(costs, [count]).toNumbers();
  });

describe('linearAssignment', () => {
  test("gives scipy's pairs for 1,000 random and adversarial matrices", () => {
    for (const [number, rowsOf] of expected.entries()) {
      const [rows, columns] = sidesOf(number);
      const own = scope(() => {
        const costs = tensor(matrixOf(number), { shape: [1, rows, columns] });
        return linearAssignment(costs, [columns]).toNumbers();
      });
      assert.deepEqual(own, rowsOf, `matrix ${number}, ${rows} x ${columns}`);
    }
  });

  test('leaves the worst column without a row where rows are too few', () => {
    assert.deepEqual(assign([[5, 1, 3]]), [-1, 0, -1]);
  });

  test('takes the matrices of a batch apart, and of each the columns that count', () => {
    scope(() => {
      const costs = tensor([1, 2, 9, 2, 1, 9, 1, 2, 0, 2, 1, 0], { shape: [2, 2, 3] });
      assert.deepEqual(linearAssignment(costs, [2, 0]).toNumbers(), [0, 1, -1, -1, -1, -1]);
    });
  });

  test('computes in float64: sums that are one in float32 are told apart', () => {
    scope(() => {
      const tiny = 2 ** -40;
      const costs = tensor(Float64Array.of(1, 1 + tiny, 1, 1 + 3 * tiny), { shape: [1, 2, 2] });
      assert.deepEqual(linearAssignment(costs, [2]).toNumbers(), [1, 0]);
    });
  });

  test('refuses costs that are no numbers where they count, and counts that do not fit', () => {
    assert.throws(() => assign([[1, Number.NaN]]), /the cost of row 0 and column 1 is nan/);
    assert.deepEqual(assign([[1, Number.NaN]], 1), [0, -1]);
    assert.throws(() => assign([[1, 2]], 3), /3 of 2 columns are to be assigned/);
  });

  test('takes empty matrices', () => {
    scope(() => {
      const costs = tensor(new Float32Array(0), { shape: [2, 0, 3] });
      assert.deepEqual(linearAssignment(costs, [3, 1]).toNumbers(), [-1, -1, -1, -1, -1, -1]);
    });
  });
});
