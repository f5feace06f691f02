// Loss scaling for float16, whose smallest gradients would vanish. As torch.amp.GradScaler (Micikevicius et al. 2018).
import { Buffer } from '../nn/parameter.js';
import type { Optimizer } from '../optim/optimizer.js';
import { noGrad } from '../tensor/autograd.js';
import { convert } from '../tensor/convert.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Device, Tensor } from '../tensor/tensor.js';

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

/** The scale and the count of good steps as scalars, float32 and int32, on the device of the losses. */
interface Scale {
  readonly value: Buffer;
  readonly growthTracker: Buffer;
}

/** Per step: `scaler.scale(loss).backward()`, unscale() if gradients are clipped, `scaler.step(optimizer)`, `scaler.update()`. */
export class GradScaler {
  /** What the next scale on a device begins with. */
  #start: GradScalerState;
  #scale: Scale | undefined;
  readonly #growthFactor: number;
  readonly #backoffFactor: number;
  readonly #growthInterval: number;
  /** Of each optimizer, on the scale's device: 1 where a gradient overflowed, else 0. */
  readonly #found = new Map<AnyOptimizer, Buffer>();
  /** Those unscaled since update(). */
  readonly #unscaled = new Set<AnyOptimizer>();

  constructor(options: GradScalerOptions = {}) {
    const { initialScale = 65536, growthFactor = 2, backoffFactor = 0.5, growthInterval = 2000 } = options;
    if (!(growthFactor > 1) || !(backoffFactor > 0 && backoffFactor < 1))
      throw new RangeError(
        `GradScaler: growthFactor must be above 1 and backoffFactor within 0..1, got ${growthFactor} and ${backoffFactor}`,
      );
    this.#start = { scale: initialScale, growthTracker: 0 };
    this.#growthFactor = growthFactor;
    this.#backoffFactor = backoffFactor;
    this.#growthInterval = growthInterval;
  }

  /** The number that losses are multiplied by now; reading it waits for their device. */
  get currentScale(): number {
    return this.#scale?.value.item() ?? this.#start.scale;
  }

  /** The loss times the scale. */
  scale(loss: Tensor): Tensor {
    return callTensorOp('aten::mul.Tensor', loss, this.#scaleOn(loss.device).value);
  }

  /** Divides the gradients by the scale, once per update(); needed before they are clipped or looked at. */
  unscale(optimizer: AnyOptimizer): void {
    if (this.#unscaled.has(optimizer))
      throw new Error('GradScaler: unscale() was already called since the last update()');
    noGrad(() => {
      const gradients = optimizer.parameters().flatMap((parameter) => parameter.grad ?? []);
      const { value } = this.#scaleOn(gradients[0]?.device ?? this.#scale?.value.device ?? 'cpu');
      let found = this.#found.get(optimizer);
      if (found === undefined) {
        found = new Buffer(callTensorOp('aten::zeros_like', value));
        this.#found.set(optimizer, found);
      }
      callOp('aten::zero_', found);
      // As torch.amp does: rounded once.
      const inverse = convert(callTensorOp('aten::reciprocal', convert(value, { dtype: 'float64' })), {
        dtype: 'float32',
      });
      if (gradients.length > 0) callOp('goshawk::unscale_', gradients, found, inverse);
    });
    this.#unscaled.add(optimizer);
  }

  /**
   * Unscales if that was not done yet; then steps, unless a gradient overflowed. Returns whether it stepped, for which it
   * waits for the device.
   */
  step(optimizer: AnyOptimizer): boolean {
    return this.stepOnDevice(optimizer).item() === 0;
  }

  /**
   * As step(), without waiting for the device where the optimizer need not: it looks there by itself whether to step. Returns
   * a scalar that is not 0 where it did not, good until the next unscale().
   */
  stepOnDevice(optimizer: AnyOptimizer): Tensor {
    if (!this.#unscaled.has(optimizer)) this.unscale(optimizer);
    const skipIf = this.#found.get(optimizer)!;
    optimizer.step({ skipIf });
    return skipIf;
  }

  /** Lowers the scale if a gradient overflowed since the last call, raises it after `growthInterval` calls without one. */
  update(): void {
    const unscaled = [...this.#unscaled];
    this.#unscaled.clear();
    const { value, growthTracker } = this.#scaleOn(this.#scale?.value.device ?? 'cpu');
    noGrad(() => {
      const [first = callTensorOp('aten::zeros_like', value), ...others] = unscaled.map(
        (each) => this.#found.get(each)!,
      );
      const found = others.reduce<Tensor>((sum, each) => callTensorOp('aten::add.Tensor', sum, each), first);
      const rule = [this.#growthFactor, this.#backoffFactor, this.#growthInterval];
      callOp('goshawk::update_scale_', value, growthTracker, found, ...rule);
    });
  }

  stateDict(): GradScalerState {
    if (this.#scale === undefined) return this.#start;
    return { scale: this.#scale.value.item(), growthTracker: this.#scale.growthTracker.item() };
  }

  loadStateDict({ scale, growthTracker }: GradScalerState): void {
    this.#moveTo(undefined);
    this.#start = { scale, growthTracker };
  }

  #scaleOn(device: Device): Scale {
    if (this.#scale?.value.device !== device) this.#moveTo(device);
    return this.#scale!;
  }

  /** Ends the scale where it is and goes on from it on another device, when that is known. */
  #moveTo(device: Device | undefined): void {
    this.#start = this.stateDict();
    this.#scale?.value.dispose();
    this.#scale?.growthTracker.dispose();
    for (const found of this.#found.values()) found.dispose();
    this.#found.clear();
    this.#scale = undefined;
    if (device === undefined) return;
    const scalar = (value: number, dtype: 'float32' | 'int32'): Buffer =>
      noGrad(() => new Buffer(callTensorOp('aten::full', [], value, dtype, undefined, device)));
    const { scale, growthTracker } = this.#start;
    this.#scale = { value: scalar(scale, 'float32'), growthTracker: scalar(growthTracker, 'int32') };
  }
}
