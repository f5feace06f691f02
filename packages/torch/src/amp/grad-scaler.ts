// Loss scaling for float16, whose smallest gradients would vanish. As torch.amp.GradScaler (Micikevicius et al. 2018).
import { holdsNonFinite } from '../optim/clip.js';
import type { Optimizer } from '../optim/optimizer.js';
import { noGrad } from '../tensor/autograd.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

export interface GradScalerOptions {
  /** Default 65536. */
  readonly initialScale?: number;
  /** The scale's factor after `growthInterval` steps without an overflow. Default 2. */
  readonly growthFactor?: number;
  /** The scale's factor after an overflow. Default 0.5. */
  readonly backoffFactor?: number;
  /** Default 2000. */
  readonly growthInterval?: number;
}

export interface GradScalerState {
  readonly scale: number;
  /** Steps without an overflow since the scale last changed. */
  readonly growthTracker: number;
}

type AnyOptimizer = Pick<Optimizer<{ lr: number }>, 'parameters' | 'step'>;

/** Per step: `scaler.scale(loss).backward()`, unscale() if gradients are clipped, `scaler.step(optimizer)`, `scaler.update()`. */
export class GradScaler {
  #scale: number;
  #growthTracker = 0;
  readonly #growthFactor: number;
  readonly #backoffFactor: number;
  readonly #growthInterval: number;
  /** Optimizers unscaled since update(): whether their gradients overflowed. */
  readonly #overflowed = new Map<AnyOptimizer, boolean>();

  constructor(options: GradScalerOptions = {}) {
    const { initialScale = 65536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
    if (!(growthFactor > 1) || !(backoffFactor > 0 && backoffFactor < 1))
      throw new RangeError(
        `GradScaler: growthFactor must be above 1 and backoffFactor within 0..1, got ${growthFactor} and ${backoffFactor}`,
      );
    this.#scale = initialScale;
    this.#growthFactor = growthFactor;
    this.#backoffFactor = backoffFactor;
    this.#growthInterval = growthInterval;
  }

  /** The number that losses are multiplied by now. */
  get currentScale(): number {
    return this.#scale;
  }

  /** The loss times the scale. */
  scale(loss: Tensor): Tensor {
    return callTensorOp('aten::mul.Scalar', loss, this.#scale);
  }

  /** Divides the gradients by the scale, once per update(); needed before they are clipped or looked at. */
  unscale(optimizer: AnyOptimizer): void {
    if (this.#overflowed.has(optimizer))
      throw new Error('GradScaler: unscale() was already called since the last update()');
    noGrad(() => {
      const gradients = optimizer.parameters().flatMap((parameter) => parameter.grad ?? []);
      if (gradients.length > 0) callOp('aten::_foreach_mul_.Scalar', gradients, 1 / this.#scale);
      this.#overflowed.set(optimizer, holdsNonFinite(gradients));
    });
  }

  /** Unscales if that was not done yet; then steps, unless a gradient overflowed. Returns whether it stepped. */
  step(optimizer: AnyOptimizer): boolean {
    if (!this.#overflowed.has(optimizer)) this.unscale(optimizer);
    const overflowed = this.#overflowed.get(optimizer) === true;
    if (!overflowed) optimizer.step();
    return !overflowed;
  }

  /** Lowers the scale if a gradient overflowed since the last call, raises it after `growthInterval` calls without one. */
  update(): void {
    const overflowed = [...this.#overflowed.values()].includes(true);
    this.#overflowed.clear();
    if (overflowed) {
      this.#scale *= this.#backoffFactor;
      this.#growthTracker = 0;
    } else if (++this.#growthTracker >= this.#growthInterval) {
      // Where growing would leave float32 the scale stays (aten/native/cuda/AmpKernels.cu).
      const grown = Math.fround(this.#scale * this.#growthFactor);
      if (Number.isFinite(grown)) this.#scale = grown;
      this.#growthTracker = 0;
    }
  }

  stateDict(): GradScalerState {
    return { scale: this.#scale, growthTracker: this.#growthTracker };
  }

  loadStateDict(state: GradScalerState): void {
    this.#scale = state.scale;
    this.#growthTracker = state.growthTracker;
  }
}
