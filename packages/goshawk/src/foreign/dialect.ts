// What another system's files are to us: configs and states that can be recognised, and read into ours. Names of tensors here
// are torchvision's of today.
import type { LazyTensor, PickleValue } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';

/** A part of a config of ours, before its own schema checks it. */
export type ConfigPart = Readonly<Record<string, unknown>>;

export interface ConfigDialect {
  /** Whether `text` is such a config: told by its content, and by the ending of `file` where that decides. */
  recognises(file: string, text: string): boolean;
  /**
   * @param options.sets the `--set` options as `KEY=VALUE`, in the system's names or in ours
   * @returns `notices` are lines for the person, each complete: what has no effect, what was taken for what
   * @throws InputError, one line
   */
  read(
    text: string,
    options: { readonly file: string; readonly sets: readonly string[] },
  ): { readonly config: RunConfig; readonly notices: readonly string[] };
}

/** How a file's ResNet is normalised; undefined where the file does not tell. */
export type StateNorm = 'affine' | 'group' | 'batch';

export interface RenamedState<T> {
  /** Under our names. */
  readonly state: Map<string, T>;
  /** Names in the file of what is no part of a model here: momentum, an ImageNet classifier, idle biases. */
  readonly orphans: readonly string[];
  readonly norm?: StateNorm | undefined;
}

/** What a program saved beside the weights to go on with a training by SGD. */
export interface SavedTraining {
  /** Optimizer steps done. */
  readonly iteration: number;
  /**
   * Of each parameter that learned, in the order in which the file names them; undefined for one that had no gradient yet.
   * Absent where the file has none that can be read.
   */
  readonly velocities?: readonly (LazyTensor | undefined)[];
  /** The learning rate after the warm-up and before the steps. */
  readonly learningRate?: number;
  /** Iterations at which it changes. */
  readonly steps?: readonly number[];
}

export interface StateDialect {
  /** What has such names, for messages: the system, or the program of its family. */
  readonly name: string;
  recognises(names: ReadonlySet<string>): boolean;
  rename<T>(state: ReadonlyMap<string, T>): RenamedState<T>;
  /**
   * What the program saves beside the weights, by key; undefined where it is not there. Absent: nothing of it is read.
   * Its tensors are read while the file is open.
   */
  training?(rest: ReadonlyMap<string, PickleValue>): SavedTraining | undefined;
  /** Keys under which its files hold better weights than those under the usual ones: averaged ones. */
  readonly prefer?: readonly string[];
}

/** All that a system's folder gives. */
export interface Dialect {
  /** The system's name, for messages. */
  readonly name: string;
  /** Its config files; `none` for a system that has no such files. */
  readonly configs: ConfigDialect | 'none';
  /** The namings that its weights come in, asked in this order. */
  readonly states: readonly [StateDialect, ...StateDialect[]];
}
