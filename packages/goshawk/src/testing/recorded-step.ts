// A training step with what came of it, and the operators that ran.
import assert from 'node:assert/strict';
import { assertClose, recordOperators, type Tensor } from '@goshawk/torch';
import type { Detector } from '../models/detector.js';
import { totalLoss } from '../models/detectors/rcnn.js';
import { withFrames } from '../models/padded.js';
import type { Detections } from '../models/structures.js';
import { batchOf } from './rcnn-kinds.js';
import { type Square, squareTargets } from './tiny-targets.js';

export interface Step {
  readonly losses: Readonly<Record<string, Tensor>>;
  readonly gradients: ReadonlyMap<string, Tensor>;
  readonly operators: ReadonlyMap<string, number>;
}

/** Loss and backward pass of a batch with these objects. */
export function stepOf(model: Detector, objects: readonly (readonly Square[])[]): Step {
  model.zeroGrad();
  const batch = withFrames(batchOf(objects));
  const targets = objects.map((boxes) => squareTargets(boxes));
  let losses: Readonly<Record<string, Tensor>> = {};
  const operators = recordOperators(() => {
    losses = model.loss(batch, targets);
    totalLoss(losses).backward();
  });
  const gradients = new Map<string, Tensor>();
  for (const [name, parameter] of model.namedParameters())
    if (parameter.requiresGrad) gradients.set(name, parameter.grad!);
  return { losses, gradients, operators };
}

/** Every loss within 1e-6; every gradient within 1e-5 of its tensor's largest, as the order of sums moves it. */
export function assertSameStep(got: Step, expected: Step): void {
  const named = (name: string, body: () => void): void => {
    try {
      body();
    } catch (error) {
      if (error instanceof Error) error.message = `${name}: ${error.message}`;
      throw error;
    }
  };
  assert.deepEqual(Object.keys(got.losses), Object.keys(expected.losses));
  for (const [name, loss] of Object.entries(expected.losses))
    named(name, () => assertClose([got.losses[name]!.item()], [loss.item()], { absolute: 1e-6, relative: 2e-6 }));
  for (const [name, gradient] of expected.gradients) {
    const largest = gradient.toFloat32Array().reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    named(name, () =>
      assertClose(got.gradients.get(name)!, gradient, { absolute: 1e-7 + 1e-5 * largest, relative: 0 }),
    );
  }
}

/** The same detections in the same order, with everything that they carry. */
export function assertSameDetections(got: readonly Detections[], expected: readonly Detections[]): void {
  assert.equal(got.length, expected.length);
  expected.forEach((own, image) => {
    assert.deepEqual(Object.keys(got[image]!).toSorted(), Object.keys(own).toSorted());
    assert.equal(got[image]!.pixels, own.pixels);
    for (const part of ['scores', 'labels', 'boxes', 'masks', 'keypoints'] as const)
      if (own[part]) assertClose(got[image]![part]!, own[part], { absolute: 1e-5, relative: 1e-5 });
  });
}
