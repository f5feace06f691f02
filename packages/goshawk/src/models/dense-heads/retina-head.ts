// RetinaNet's head (Lin et al. 2017, section 4): two towers of 3x3 convolutions, shared by all levels of the pyramid, that
// end in class logits and box offsets of every anchor. State names as in torchvision.
import {
  BatchNorm2d,
  Conv2d,
  convNormRelu,
  GroupNorm,
  init,
  type Layer,
  type Member,
  Module,
  ops,
  Sequential,
  SyncBatchNorm2d,
  scope,
  type Tensor,
} from '@goshawk/torch';
import type { Features } from '../structures.js';

export interface RetinaHeadOptions {
  readonly inChannels: number;
  /** Of the towers' convolutions. */
  readonly channels: number;
  /** Convolutions of each tower. */
  readonly convolutions: number;
  readonly levels: number;
  readonly anchorsPerCell: number;
  /** Class logits of an anchor. */
  readonly classes: number;
  /**
   * Behind each convolution, which then has no bias. batch_per_level: the convolutions are shared by the levels, each level
   * has batch norms of its own, sync_ over all processes (RetinaSepBNHead of mmdetection, NAS-FPN's head).
   */
  readonly norm: 'none' | 'group' | 'batch_per_level' | 'sync_batch_per_level';
  readonly normEps: number;
  readonly normMomentum: number;
  /** Probability that an anchor has at the start for each class. */
  readonly prior: number;
}

// torchvision's retinanet_resnet50_fpn_v2.
const NORM_GROUPS = 32;

export interface RetinaPrediction {
  /** [N, A * classes, H, W] a level. */
  readonly logits: Tensor[];
  /** [N, A * 4, H, W] a level. */
  readonly offsets: Tensor[];
}

/** The convolutions in front of one of the two outputs, and the output. */
class Tower extends Module {
  readonly conv: Sequential[];
  /** By level, then by convolution. */
  readonly norm: BatchNorm2d[][];
  readonly #output: Conv2d;
  readonly #outputName: string;

  constructor(options: RetinaHeadOptions, outputName: string, outputs: number) {
    super();
    const { inChannels, channels, convolutions, levels, norm, normEps: eps, normMomentum: momentum } = options;
    this.conv = Array.from({ length: convolutions }, (_, i) => {
      const conv = initialised(
        new Conv2d(i === 0 ? inChannels : channels, channels, 3, { padding: 1, bias: norm === 'none' }),
      );
      const layers: Layer[] = norm === 'group' ? [conv, new GroupNorm(NORM_GROUPS, channels, { eps })] : [conv];
      return new Sequential(...layers);
    });
    const perLevel = norm === 'batch_per_level' || norm === 'sync_batch_per_level' ? levels : 0;
    const Norm = norm === 'sync_batch_per_level' ? SyncBatchNorm2d : BatchNorm2d;
    this.norm = Array.from({ length: perLevel }, () => this.conv.map(() => new Norm(channels, { eps, momentum })));
    this.#output = initialised(new Conv2d(channels, outputs, 3, { padding: 1 }));
    this.#outputName = outputName;
  }

  get output(): Conv2d {
    return this.#output;
  }

  override *members(): Iterable<readonly [string, Member]> {
    yield* super.members();
    yield [this.#outputName, this.#output];
  }

  forward(features: Features): Tensor[] {
    return scope(() => {
      let hidden = features;
      for (const [i, block] of this.conv.entries()) {
        const conv = block.layers[0] as Conv2d;
        const outputs =
          this.norm.length > 0
            ? hidden.map((map, level) => convNormRelu(map, conv, this.norm[level]![i]!, { relu: true }))
            : block.layers.length === 1
              ? conv.forEach(hidden, { relu: true })
              : hidden.map((map) => ops.relu_(block.forward(map)));
        if (hidden !== features) for (const map of hidden) map.dispose();
        hidden = outputs;
      }
      return this.#output.forEach(hidden);
    });
  }
}

export class RetinaHead extends Module {
  readonly classificationHead: Tower;
  readonly regressionHead: Tower;

  constructor(options: RetinaHeadOptions) {
    super();
    const { anchorsPerCell, classes, prior } = options;
    this.classificationHead = new Tower(options, 'cls_logits', anchorsPerCell * classes);
    this.regressionHead = new Tower(options, 'bbox_reg', anchorsPerCell * 4);
    // Section 3.3: else the many empty anchors would dominate the first steps.
    init.constant(this.classificationHead.output.bias!, -Math.log((1 - prior) / prior));
  }

  /** Levels of features, finest first -> logits and offsets of each. */
  forward(features: Features): RetinaPrediction {
    return {
      logits: this.classificationHead.forward(features),
      offsets: this.regressionHead.forward(features),
    };
  }
}

function initialised(conv: Conv2d): Conv2d {
  // Section 4.1: normal with a deviation of 0.01, biases 0.
  init.normal(conv.weight, { std: 0.01 });
  if (conv.bias) init.constant(conv.bias, 0);
  return conv;
}
