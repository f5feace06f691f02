// Where a training stands between its steps: a step that fails before the optimizer's turn is as if it had not begun.
import { Buffer, callOp, FrozenBatchNorm2d, hasOperator, keep, noGrad, ops, type Tensor } from '@goshawk/torch';
import type { SamplerState } from '../data/index.js';
import type { Detector } from '../models/index.js';
import type { RandomSource } from './random-sources.js';

/** What a step changes before the optimizer's turn, kept where it is: on a card nothing of it is read back. */
export class Standing {
  readonly #sources: readonly RandomSource[];
  /** Running statistics. */
  readonly #buffers: readonly Buffer[];
  /** Their values then, on their devices. */
  readonly #kept: readonly Tensor[];
  #random: readonly Tensor[] = [];
  #loader: SamplerState;

  constructor(model: Detector, sources: readonly RandomSource[], loader: SamplerState) {
    this.#sources = sources;
    this.#buffers = changingBuffers(model);
    this.#kept = this.#buffers.map((buffer) => keep(noGrad(() => ops.clone(buffer))));
    this.#loader = loader;
    this.#takeRandom();
  }

  /** The batch that came next. */
  get loader(): SamplerState {
    return this.#loader;
  }

  /** Notes that the training stands here now. */
  take(loader: SamplerState): void {
    this.#loader = loader;
    copyAll(this.#buffers, this.#kept);
    this.#takeRandom();
  }

  /** Makes the model and the generators what they were. */
  goBack(): void {
    copyAll(this.#kept, this.#buffers);
    for (const [index, source] of this.#sources.entries()) source.setState(this.#random[index]!);
  }

  /** Frees what is kept. */
  dispose(): void {
    for (const tensor of [...this.#kept, ...this.#random]) tensor.dispose();
  }

  #takeRandom(): void {
    for (const state of this.#random) state.dispose();
    this.#random = this.#sources.map((source) => keep(source.state()));
  }
}

/** Those that passes of a training may change, each once. */
function changingBuffers(model: Detector): Buffer[] {
  const changing = new Set<Buffer>();
  for (const module of model.modules()) {
    if (module instanceof FrozenBatchNorm2d) continue;
    for (const [, member] of module.members()) if (member instanceof Buffer) changing.add(member);
  }
  return [...changing];
}

/** In as few operators as the engine has for it: a launch each on a card would take longer than the copies. */
function copyAll(from: readonly Tensor[], to: readonly Tensor[]): void {
  if (from.length === 0) return;
  noGrad(() => {
    if (!hasOperator('aten::_foreach_copy_')) {
      for (const [index, target] of to.entries()) callOp('aten::copy_', target, from[index]!);
      return;
    }
    for (const dtype of new Set(from.map((tensor) => tensor.dtype))) {
      const own = [...from.keys()].filter((index) => from[index]!.dtype === dtype);
      callOp(
        'aten::_foreach_copy_',
        own.map((index) => to[index]!),
        own.map((index) => from[index]!),
      );
    }
  });
}
