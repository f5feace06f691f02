// Checkpoints of other programs as they are to a training: the weights, and what lies beside them.
import { type LazyTensor, readStateDict } from '@goshawk/torch';
import type { SavedTraining } from '../foreign/dialect.js';
import { recogniseState, recogniseTraining } from '../foreign/weights.js';

export type { SavedTraining } from '../foreign/dialect.js';

export interface TrainingFile {
  /** Under the file's names. */
  readonly weights: ReadonlyMap<string, LazyTensor>;
  /** Ours for them, in the order of the file. */
  readonly names: readonly string[];
  /** Absent where nothing says where the training stands, or the program that wrote it is not known. */
  readonly saved?: SavedTraining;
  close(): void;
}

/** Its tensors are read while it is open. @throws CheckpointError where it is no file of weights */
export function openTrainingFile(path: string): TrainingFile {
  const file = readStateDict(path);
  const saved = recogniseTraining(file.tensors, file.rest);
  const names = [...recogniseState(file.tensors).state.keys()];
  return { weights: file.tensors, names, ...(saved && { saved }), close: () => file.close() };
}

/** Whether a training can go on from a file of another program. */
export function hasTraining(path: string): boolean {
  const { saved, close } = openTrainingFile(path);
  close();
  return saved !== undefined;
}

/** Keys of what programs save beside the weights of a training. */
const TRAINING_KEYS = ['optimizer', 'optimizers', 'scheduler', 'lr_scheduler', 'iteration', 'step', 'epoch', 'scaler'];

/** What of a file is left where its weights alone are taken, a line each. */
export function leftOfTraining(path: string): readonly string[] {
  const file = readStateDict(path);
  try {
    const left = TRAINING_KEYS.filter((key) => file.rest.has(key));
    if (left.length === 0) return [];
    const saved = recogniseTraining(file.tensors, file.rest);
    const remedy = saved ? `: add --resume to go on after its iteration ${saved.iteration}` : '';
    return [`not used: ${left.join(', ')}${remedy}`];
  } finally {
    file.close();
  }
}
