// The exponential moving average of a training's weights: steps that pull in different directions cancel in it (Polyak and
// Juditsky 1992). Its growing decay is that of Ultralytics' YOLOv5 and of sparse_rcnnv1.
import { callOp, hasOperator, noGrad, type StateTensor } from '@goshawk/torch';
import type { EmaConfig } from '../config/index.js';
import type { Detector } from '../models/index.js';

export class WeightAverage {
  /** A model of its own, which never learns. */
  readonly model: Detector;
  readonly #config: EmaConfig;
  /** Floating tensors of the average and of the model in training, in one order. */
  readonly #own: readonly StateTensor[];
  readonly #trained: readonly StateTensor[];
  /** Those that are counted and not averaged, each with its source. */
  readonly #counts: readonly (readonly [own: StateTensor, trained: StateTensor])[];

  /**
   * The average follows `trained` from here on; norms with fixed statistics are averaged too, as sparse_rcnnv1 does.
   * @param copy a model like it, which takes on its weights and belongs to this average
   */
  constructor(trained: Detector, copy: Detector, config: EmaConfig) {
    this.#config = config;
    this.model = copy.freeze().eval();
    const source = trained.stateDict();
    copy.loadStateDict(source);
    const pairs = [...new Map([...copy.stateDict()].map(([name, own]) => [own, source.get(name)!] as const))];
    const floating = pairs.filter(([own]) => own.dtype.startsWith('float'));
    this.#own = floating.map(([own]) => own);
    this.#trained = floating.map(([, from]) => from);
    this.#counts = pairs.filter(([own]) => !own.dtype.startsWith('float'));
  }

  /** @param steps done, the newest included */
  update(steps: number): void {
    const decay = averageDecay(steps, this.#config);
    noGrad(() => {
      moveTowards(this.#own, this.#trained, 1 - decay);
      for (const [own, from] of this.#counts) own.assign(from);
    });
  }
}

/**
 * By a share of the difference. The sum of two products is another: the shares 0.9999 and 0.0001 as float32 holds them do not make 1,
 * and of an average of weights that stay as they are a six thousandth would be lost.
 */
function moveTowards(own: readonly StateTensor[], goals: readonly StateTensor[], share: number): void {
  // From libtorch 2.0 on.
  if (hasOperator('aten::_foreach_lerp_.Scalar')) callOp('aten::_foreach_lerp_.Scalar', own, goals, share);
  else for (const [i, each] of own.entries()) callOp('aten::lerp_.Scalar', each, goals[i]!, share);
}

/** The share of the average that the step with this number leaves. */
export function averageDecay(steps: number, { decay, rampUp }: EmaConfig): number {
  return rampUp === 0 ? decay : decay * (1 - Math.exp(-steps / rampUp));
}
