// Layers one after another.
import type { Tensor } from '../tensor/tensor.js';
import { Layer, type Member } from './module.js';
import { StateTensor } from './parameter.js';

/** Applies the layers in order; state names '0', '1', ... as torch.nn.Sequential. */
export class Sequential extends Layer {
  readonly layers: readonly Layer[];

  constructor(...layers: readonly Layer[]) {
    super();
    this.layers = layers;
  }

  override *members(): Iterable<readonly [string, Member]> {
    for (const [i, layer] of this.layers.entries()) yield [`${i}`, layer];
  }

  override forward(input: Tensor): Tensor {
    let value = input;
    for (const layer of this.layers) {
      const next = layer.call(value);
      // The handle alone goes; autograd and views keep the memory as long as they need it.
      if (value !== input && next !== value && !(value instanceof StateTensor)) value.dispose();
      value = next;
    }
    return value;
  }
}
