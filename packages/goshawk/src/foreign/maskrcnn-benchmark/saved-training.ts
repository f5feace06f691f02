// What maskrcnn-benchmark saves to go on with a training (utils/checkpoint.py, engine/trainer.py): {model, optimizer, scheduler,
// iteration}. Its optimizer has a group for each parameter that learns, in the model's order (solver/build.py).
import type { PickleValue } from '@goshawk/torch';
import type { SavedTraining } from '../dialect.js';
import { numbersAt, torchSgdState } from '../shared/torch-sgd.js';

export function savedTraining(rest: ReadonlyMap<string, PickleValue>): SavedTraining | undefined {
  const iteration = rest.get('iteration');
  if (typeof iteration !== 'number' || !Number.isSafeInteger(iteration) || iteration < 0) return undefined;
  const optimizer = torchSgdState(rest.get('optimizer'));
  const steps = numbersAt(rest.get('scheduler'), 'milestones');
  return {
    iteration,
    ...(optimizer && { velocities: optimizer.velocities }),
    ...(optimizer?.learningRate !== undefined && { learningRate: optimizer.learningRate }),
    ...(steps && { steps }),
  };
}
