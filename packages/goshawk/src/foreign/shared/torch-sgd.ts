// The state of PyTorch's SGD as its state_dict() has it: torch/optim/optimizer.py.
import { asTensor, type LazyTensor, type PickleValue } from '@goshawk/torch/checkpoint';

export interface TorchSgdState {
  /** Of each parameter, group after group; undefined where it has none yet. */
  readonly velocities: readonly (LazyTensor | undefined)[];
  /** Of the first group, before a scheduler changes it. */
  readonly learningRate: number | undefined;
}

/** undefined where it is another optimizer's, or damaged. */
export function torchSgdState(value: PickleValue | undefined): TorchSgdState | undefined {
  const groups = at(value, 'param_groups');
  const state = at(value, 'state');
  if (!Array.isArray(groups) || groups.length === 0 || !isDict(state)) return undefined;
  const velocities: (LazyTensor | undefined)[] = [];
  for (const group of groups) {
    const ids = at(group, 'params');
    // Adam's groups have betas instead.
    if (!Array.isArray(ids) || typeof at(group, 'momentum') !== 'number') return undefined;
    for (const id of ids) velocities.push(asTensor(at(state.get(id), 'momentum_buffer')));
  }
  return { velocities, learningRate: numberAt(groups[0], 'initial_lr') ?? numberAt(groups[0], 'lr') };
}

export function numberAt(value: PickleValue | undefined, key: string): number | undefined {
  const found = at(value, key);
  return typeof found === 'number' ? found : undefined;
}

export function numbersAt(value: PickleValue | undefined, key: string): readonly number[] | undefined {
  const found = at(value, key);
  return Array.isArray(found) && found.every((each) => typeof each === 'number') ? found : undefined;
}

function at(value: PickleValue | undefined, key: string): PickleValue | undefined {
  return isDict(value) ? value.get(key) : undefined;
}

function isDict(value: PickleValue | undefined): value is Map<PickleValue, PickleValue> {
  return value instanceof Map;
}
