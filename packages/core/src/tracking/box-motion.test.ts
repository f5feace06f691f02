import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BoxXywh, boxXywh } from '../boxes/box.js';
import { BoxMotion } from './box-motion.js';

type Matrix = readonly (readonly number[])[];

const product = (a: Matrix, b: Matrix): number[][] =>
  a.map((row) => b[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * b[k]![j]!, 0)));
const turned = (a: Matrix): number[][] => a[0]!.map((_, j) => a.map((row) => row[j]!));
const plus = (a: Matrix, b: Matrix, factor = 1): number[][] =>
  a.map((row, i) => row.map((value, j) => value + factor * b[i]![j]!));
const diagonal = (values: readonly number[]): number[][] =>
  values.map((value, i) => values.map((_, j) => (i === j ? value : 0)));

function inverse(a: Matrix): number[][] {
  const size = a.length;
  const rows = a.map((row, i) => [...row, ...diagonal(row.map(() => 1))[i]!]);
  for (let i = 0; i < size; i++) {
    const pivot = rows[i]![i]!;
    rows[i] = rows[i]!.map((value) => value / pivot);
    for (let j = 0; j < size; j++)
      if (j !== i) {
        const factor = rows[j]![i]!;
        rows[j] = rows[j]!.map((value, k) => value - factor * rows[i]![k]!);
      }
  }
  return rows.map((row) => row.slice(size));
}

/** The filter as textbooks and DeepSORT's paper write it: a state of eight numbers and matrices. */
class MatrixFilter {
  state: number[][];
  covariance: Matrix;

  constructor([x, y, aspect, height]: readonly [number, number, number, number]) {
    this.state = [x, y, aspect, height, 0, 0, 0, 0].map((value) => [value]);
    const [p, v] = [height / 10, height / 16];
    this.covariance = diagonal([p, p, 1e-2, p, v, v, 1e-5, v].map((deviation) => deviation ** 2));
  }

  predict(): void {
    const motion = diagonal(new Array(8).fill(1));
    for (let i = 0; i < 4; i++) motion[i]![i + 4] = 1;
    const height = this.state[3]![0]!;
    const [p, v] = [height / 20, height / 160];
    const noise = diagonal([p, p, 1e-2, p, v, v, 1e-5, v].map((deviation) => deviation ** 2));
    this.state = product(motion, this.state);
    this.covariance = plus(product(product(motion, this.covariance), turned(motion)), noise);
  }

  update(measured: readonly [number, number, number, number]): void {
    const shown = diagonal(new Array(8).fill(1)).slice(0, 4);
    const p = this.state[3]![0]! / 20;
    const noise = diagonal([p, p, 1e-1, p].map((deviation) => deviation ** 2));
    const spread = plus(product(product(shown, this.covariance), turned(shown)), noise);
    const gain = product(product(this.covariance, turned(shown)), inverse(spread));
    const innovation = plus(
      measured.map((value) => [value]),
      product(shown, this.state),
      -1,
    );
    this.state = plus(this.state, product(gain, innovation));
    this.covariance = plus(this.covariance, product(product(gain, spread), turned(gain)), -1);
  }
}

const centred = ([x, y, width, height]: BoxXywh) => [x + width / 2, y + height / 2, width / height, height] as const;

test('four filters of two numbers are the one filter of eight with its matrices', () => {
  const boxes = [
    boxXywh(10, 20, 30, 60),
    boxXywh(14, 21, 31, 58),
    boxXywh(19, 20, 29, 61),
    boxXywh(22, 24, 33, 63),
    boxXywh(28, 23, 30, 66),
  ];
  const motion = new BoxMotion(boxes[0]!);
  const expected = new MatrixFilter(centred(boxes[0]!));
  for (const box of boxes.slice(1)) {
    motion.predict(true);
    expected.predict();
    motion.update(box);
    expected.update(centred(box));
    const found = centred(motion.box);
    expected.state.slice(0, 4).forEach(([value], i) => {
      assert.ok(Math.abs(value! - found[i]!) < 1e-9, `${i}: ${found[i]} for ${value}`);
    });
  }
});

test('a box that moved steadily is expected to go on, and one out of sight keeps its height', () => {
  const motion = new BoxMotion(boxXywh(0, 0, 20, 40));
  for (let frame = 1; frame <= 20; frame++) {
    motion.predict(true);
    motion.update(boxXywh(5 * frame, 0, 20 + frame, 40 + 2 * frame));
  }
  const { box } = motion;
  for (let frame = 1; frame <= 10; frame++) motion.predict(false);
  const [x, , width, height] = motion.box;
  assert.ok(Math.abs(x + width / 2 - (box[0] + box[2] / 2 + 55)) < 3, String(x));
  assert.ok(Math.abs(height - box[3]) < 1e-9);
});
