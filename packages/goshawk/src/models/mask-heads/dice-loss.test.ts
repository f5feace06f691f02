import { test } from 'node:test';
import { assertClose, gradientCheck, scope, tensor } from '@goshawk/torch';
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

test('the dice loss of each mask is that of its definition, and its gradient', () =>
  scope(() => {
    const masks = tensor(MASKS.flat(), { shape: [3, 4], dtype: 'float64' });
    const goals = tensor(GOALS.flat(), { shape: [2, 4], dtype: 'float64' });
    const objects = tensor(OBJECTS, { dtype: 'int64' });
    const wanted = MASKS.map((mask, i) => {
      const goal = GOALS[OBJECTS[i]!]!;
      const sum = (each: (at: number) => number): number => mask.reduce((total, _, at) => total + each(at), 0);
      const shared = sum((at) => mask[at]! * goal[at]!);
      return 1 - (2 * shared) / (sum((at) => mask[at]! ** 2) + 0.001 + sum((at) => goal[at]! ** 2) + 0.001);
    });
    assertClose(diceLosses(masks, goals, objects), wanted, { absolute: 1e-12 });
    masks.requiresGrad = true;
    gradientCheck(() => diceLosses(masks, goals, objects), { masks });
  }));
