import { test } from 'node:test';
import { createRandom } from '@goshawk/core';
import { assertClose, autocast, gradientCheck, scope, type Tensor, tensor } from '@goshawk/torch';
import { diceLosses } from './dice-loss.js';

const MASKS = [
  [0.9, 0.2, 0.6, 0.1],
  [0.3, 0.8, 0.5, 0.7],
  [0.1, 0.1, 0.2, 0.1],
];
const GOALS = [
  [1, 0, 1, 0],
  [0, 0, 0, 0],
];
const OBJECTS = [0, 0, 1];

/** By definition, one mask after another. */
function plainLosses(
  masks: readonly (readonly number[])[],
  goals: readonly (readonly number[])[],
  objects: readonly number[],
): number[] {
  return masks.map((mask, i) => {
    const goal = goals[objects[i]!]!;
    const sum = (each: (at: number) => number): number => mask.reduce((total, _, at) => total + each(at), 0);
    const shared = sum((at) => mask[at]! * goal[at]!);
    return 1 - (2 * shared) / (sum((at) => mask[at]! ** 2) + 0.001 + sum((at) => goal[at]! ** 2) + 0.001);
  });
}

test('the dice loss of each mask is that of its definition, and its gradient', () =>
  scope(() => {
    const masks = tensor(MASKS.flat(), { shape: [3, 4], dtype: 'float64' });
    const goals = tensor(GOALS.flat(), { shape: [2, 4], dtype: 'float64' });
    const objects = tensor(OBJECTS, { dtype: 'int64' });
    assertClose(diceLosses(masks, goals, objects), plainLosses(MASKS, GOALS, OBJECTS), { absolute: 1e-12 });
    masks.requiresGrad = true;
    gradientCheck(() => diceLosses(masks, goals, objects), { masks });
  }));

test('the dice loss is summed in float32 among half types: a mask that is nearly its goal has nearly none', () =>
  scope(() => {
    const random = createRandom(3);
    const goal = Array.from({ length: 5000 }, (_, at) => (at < 3001 ? 1 : 0));
    const near = goal.map((inside) => Math.fround(inside === 1 ? 1 - 0.004 * random.uniform() : 0.004));
    const inHalves = (dtype: 'bfloat16' | undefined): Tensor =>
      autocast(dtype, () =>
        diceLosses(
          tensor(near, { shape: [1, 5000] }),
          tensor(goal, { shape: [1, 5000] }),
          tensor([0], { dtype: 'int64' }),
        ),
      );
    const [wanted = 0] = plainLosses([near], [goal], [0]);
    for (const dtype of ['bfloat16', undefined] as const)
      assertClose(inHalves(dtype), [wanted], { absolute: 2e-7, relative: 0 });
  }));

test('a goal without a pixel costs one mask all there is, and pulls it nowhere', () =>
  scope(() => {
    const masks = tensor([0.5, 0.2, 0, 1], { shape: [1, 4], dtype: 'float64' });
    masks.requiresGrad = true;
    const loss = diceLosses(masks, tensor([0, 0, 0, 0], { shape: [1, 4] }), tensor([0], { dtype: 'int64' }));
    assertClose(loss, [1], { absolute: 0, relative: 0 });
    loss.backward();
    assertClose(masks.grad!, [0, 0, 0, 0], { absolute: 0, relative: 0 });
  }));
