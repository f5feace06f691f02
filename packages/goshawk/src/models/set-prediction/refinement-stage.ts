// One stage of Sparse R-CNN's head: the proposals look at one another, then each at its own part of the picture; what they have
// become says their class and moves their box.
import { LayerNorm, Linear, Module, MultiheadAttention, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../../config/index.js';
import { DynamicInteraction } from './dynamic-interaction.js';

export type RefinementOptions = SparseRcnnConfig['head'] & {
  readonly channels: number;
  readonly classes: number;
};

export interface StageOutput {
  /** [N, P, C]: what the next stage starts from. */
  readonly features: Tensor;
  /** [N, P, classes]. */
  readonly logits: Tensor;
  /** [N, P, 4]. */
  readonly deltas: Tensor;
}

export class RefinementStage extends Module {
  readonly selfAttn: MultiheadAttention;
  readonly instInteract: DynamicInteraction;
  readonly feedForward: readonly [Linear, Linear];
  readonly norm1: LayerNorm;
  readonly norm2: LayerNorm;
  readonly norm3: LayerNorm;
  readonly clsTower: readonly Sequential[];
  readonly regTower: readonly Sequential[];
  readonly classLogits: Linear;
  readonly bboxesDelta: Linear;
  readonly #dropout: number;

  constructor(options: RefinementOptions) {
    super();
    const { channels, classes, attentionHeads, dropout, poolSize, dynamicChannels, feedforwardSize } = options;
    this.selfAttn = new MultiheadAttention(channels, attentionHeads, { dropout, batchFirst: true });
    this.instInteract = new DynamicInteraction({ channels, dynamicChannels, cells: poolSize * poolSize });
    this.feedForward = [new Linear(channels, feedforwardSize), new Linear(feedforwardSize, channels)];
    this.norm1 = new LayerNorm(channels);
    this.norm2 = new LayerNorm(channels);
    this.norm3 = new LayerNorm(channels);
    this.clsTower = tower(options.classLayers, channels);
    this.regTower = tower(options.boxLayers, channels);
    this.classLogits = new Linear(channels, classes);
    this.bboxesDelta = new Linear(channels, 4);
    this.#dropout = dropout;
  }

  /** Proposals [N, P, C] and the cells [N * P, cells, C] that are cut out for them. */
  forward(proposals: Tensor, cells: Tensor): StageOutput {
    const { shape } = proposals;
    const channels = proposals.size(2);
    const among = this.selfAttn.call(proposals, proposals, proposals);
    const aware = ops.view(this.norm1.forward(ops.add(proposals, this.#drop(among))), [-1, channels]);
    const seen = this.instInteract.forward(aware, cells);
    const informed = this.norm2.forward(ops.add(aware, this.#drop(seen)));
    const [into, outOf] = this.feedForward;
    const thought = outOf.forward(this.#drop(ops.relu_(into.forward(informed))));
    const features = this.norm3.forward(ops.add(informed, this.#drop(thought)));
    const inBatch = (values: Tensor): Tensor => ops.view(values, [...shape.slice(0, 2), -1]);
    return {
      features: inBatch(features),
      logits: inBatch(this.classLogits.forward(through(this.clsTower, features))),
      deltas: inBatch(this.bboxesDelta.forward(through(this.regTower, features))),
    };
  }

  #drop(values: Tensor): Tensor {
    return this.training && this.#dropout > 0 ? ops.dropout(values, this.#dropout, true) : values;
  }
}

/** Linear layers without biases, each with its norm. */
function tower(layers: number, channels: number): readonly Sequential[] {
  return Array.from(
    { length: layers },
    () => new Sequential(new Linear(channels, channels, { bias: false }), new LayerNorm(channels)),
  );
}

function through(layers: readonly Sequential[], features: Tensor): Tensor {
  return layers.reduce((values, layer) => ops.relu_(layer.forward(values)), features);
}
