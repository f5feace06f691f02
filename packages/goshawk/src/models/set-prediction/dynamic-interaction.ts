// Dynamic instance interaction (Sparse R-CNN, section 3.2): two layers whose weights each proposal makes from its own features
// look at what is cut out for it.
import { LayerNorm, Linear, Module, ops, type Tensor } from '@goshawk/torch';

export interface DynamicInteractionOptions {
  /** Of the features and of the proposals. */
  readonly channels: number;
  /** Between the two layers. */
  readonly dynamicChannels: number;
  /** Cells of what is cut out for a proposal. */
  readonly cells: number;
}

export class DynamicInteraction extends Module {
  readonly dynamicLayer: Linear;
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly outLayer: Linear;
  readonly norm3: LayerNorm;
  readonly #options: DynamicInteractionOptions;

  constructor(options: DynamicInteractionOptions) {
    super();
    this.#options = options;
    const { channels, dynamicChannels, cells } = options;
    this.dynamicLayer = new Linear(channels, 2 * channels * dynamicChannels);
    this.norm1 = new LayerNorm(dynamicChannels);
    this.norm2 = new LayerNorm(channels);
    this.outLayer = new Linear(channels * cells, channels);
    this.norm3 = new LayerNorm(channels);
  }

  /** Proposals [R, C] and the cells [R, cells, C] cut out for them -> [R, C]. */
  forward(proposals: Tensor, cells: Tensor): Tensor {
    const { channels, dynamicChannels } = this.#options;
    const count = proposals.size(0);
    const made = this.dynamicLayer.forward(proposals);
    // One operator, whose gradient is one concatenation; that of a slice alone is as large as both.
    const [into, outOf] = ops.split(made, channels * dynamicChannels, { dim: 1 }) as [Tensor, Tensor];
    const first = ops.view(into, [count, channels, dynamicChannels]);
    const second = ops.view(outOf, [count, dynamicChannels, channels]);
    const seen = cells.to(made.dtype);
    const hidden = ops.relu_(this.norm1.forward(ops.bmm(seen, first)));
    const shown = ops.relu_(this.norm2.forward(ops.bmm(hidden, second)));
    const joined = this.outLayer.forward(ops.view(shown, [count, -1]));
    return ops.relu_(this.norm3.forward(joined));
  }
}
