// Region Proposal Network (Faster R-CNN, Ren et al. 2015) over the levels of a feature pyramid, as in torchvision.
import { batchedNms, Conv2d, init, Module, noGrad, ops, Sequential, scope, type Tensor } from '@goshawk/torch';
import { AnchorGenerator, type AnchorOptions } from '../anchors.js';
import { atLeast, type BoxWeights, clipBoxes, decodeBoxes, encodeBoxes } from '../box-coder.js';
import { binaryCrossEntropyMean, smoothL1Sum, zeroLoss } from '../losses.js';
import { drawSample, indicesWhere, matchBoxes } from '../sampling.js';
import type { Features, ImageBatch, Losses, Targets } from '../structures.js';

export interface RpnOptions {
  readonly anchors: AnchorOptions;
  /** Anchors kept a level before non-maximum suppression. */
  readonly preNmsTopN: { readonly train: number; readonly test: number };
  /** Proposals kept an image after it. */
  readonly postNmsTopN: { readonly train: number; readonly test: number };
  readonly nmsThreshold: number;
  readonly scoreThreshold: number;
  /** Network pixels. */
  readonly minSize: number;
  readonly foregroundIou: number;
  readonly backgroundIou: number;
  readonly batchSizePerImage: number;
  readonly positiveFraction: number;
}

const UNIT_WEIGHTS: BoxWeights = [1, 1, 1, 1];

// Faster R-CNN's regression loss turns linear at 1/9: Detectron's choice, kept by torchvision.
const SMOOTH_L1_BETA = 1 / 9;

/** A 3x3 convolution, then for every anchor an objectness logit and four offsets. */
export class RpnHead extends Module {
  readonly conv: Sequential[];
  readonly clsLogits: Conv2d;
  readonly bboxPred: Conv2d;

  constructor(channels: number, anchorsPerCell: number) {
    super();
    const initialised = (conv: Conv2d): Conv2d => {
      init.normal(conv.weight, { std: 0.01 });
      if (conv.bias) init.constant(conv.bias, 0);
      return conv;
    };
    this.conv = [new Sequential(initialised(new Conv2d(channels, channels, 3, { padding: 1 })))];
    this.clsLogits = initialised(new Conv2d(channels, anchorsPerCell, 1));
    this.bboxPred = initialised(new Conv2d(channels, anchorsPerCell * 4, 1));
  }

  /** Logits [N, A, H, W] and offsets [N, A * 4, H, W] of each level. */
  forward(features: Features): { logits: Tensor[]; offsets: Tensor[] } {
    const logits: Tensor[] = [];
    const offsets: Tensor[] = [];
    for (const feature of features) {
      const [level, delta] = scope(() => {
        const hidden = ops.relu_(this.conv[0]!.forward(feature));
        return [this.clsLogits.forward(hidden), this.bboxPred.forward(hidden)] as const;
      });
      logits.push(level);
      offsets.push(delta);
    }
    return { logits, offsets };
  }
}

export interface Proposals {
  /** [P, 4] xyxy in network pixels an image, best first. */
  readonly boxes: Tensor[];
  readonly losses: Losses;
}

export class RegionProposalNetwork extends Module {
  readonly head: RpnHead;
  readonly #options: RpnOptions;
  readonly #anchors: AnchorGenerator;

  constructor(channels: number, options: RpnOptions) {
    super();
    this.#options = options;
    this.#anchors = new AnchorGenerator(options.anchors);
    this.head = new RpnHead(channels, this.#anchors.perCell);
  }

  /** Proposals of each image; with targets also the losses. */
  forward(batch: ImageBatch, features: Features, targets?: readonly Targets[]): Proposals {
    const { logits, offsets } = this.head.forward(features);
    const grids = logits.map((level) => [level.size(2), level.size(3)] as const);
    const padded = [batch.pixels.size(2), batch.pixels.size(3)] as const;
    const levels = this.#anchors.forGrids(grids, padded, batch.pixels.device);
    // [N, A * K, H, W] -> [N, H * W * A, K], the anchors' order.
    const flatLogits = logits.map((level) => anchorsLast(level, 1));
    const flatOffsets = offsets.map((level) => anchorsLast(level, 4));
    const boxes = noGrad(() =>
      batch.sizes.map((size, image) => scope(() => this.#select(image, size, flatLogits, flatOffsets, levels))),
    );
    if (!targets) return { boxes, losses: {} };
    return { boxes, losses: this.#loss(flatLogits, flatOffsets, ops.cat(levels), targets) };
  }

  /** The best anchors of every level, refined, clipped, and thinned out level by level. */
  #select(
    image: number,
    size: readonly [number, number],
    logits: readonly Tensor[],
    offsets: readonly Tensor[],
    levels: readonly Tensor[],
  ): Tensor {
    const mode = this.training ? 'train' : 'test';
    const boxes: Tensor[] = [];
    const scores: Tensor[] = [];
    const groups: Tensor[] = [];
    for (let level = 0; level < levels.length; level++) {
      const objectness = ops.squeeze(ops.select(logits[level]!, 0, image), 1).to('float32');
      const count = Math.min(this.#options.preNmsTopN[mode], objectness.size(0));
      const [top, index] = ops.topk(objectness, count, { dim: 0 });
      const chosenOffsets = ops.index_select(ops.select(offsets[level]!, 0, image), 0, index).to('float32');
      const chosenAnchors = ops.index_select(levels[level]!, 0, index);
      boxes.push(ops.select(decodeBoxes(chosenOffsets, chosenAnchors, UNIT_WEIGHTS), 1, 0));
      scores.push(ops.sigmoid(top));
      groups.push(ops.full_like(index, level));
    }
    const clipped = clipBoxes(ops.cat(boxes), size);
    const score = ops.cat(scores);
    const valid = indicesWhere(
      ops.logical_and(atLeast(clipped, this.#options.minSize), ops.ge(score, this.#options.scoreThreshold)),
    );
    const validBoxes = ops.index_select(clipped, 0, valid);
    const kept = batchedNms(
      validBoxes,
      ops.index_select(score, 0, valid),
      ops.index_select(ops.cat(groups), 0, valid),
      this.#options.nmsThreshold,
    );
    const limit = Math.min(kept.size(0), this.#options.postNmsTopN[mode]);
    return ops.index_select(validBoxes, 0, ops.narrow(kept, 0, 0, limit));
  }

  #loss(logits: readonly Tensor[], offsets: readonly Tensor[], anchors: Tensor, targets: readonly Targets[]): Losses {
    const { foregroundIou, backgroundIou, batchSizePerImage, positiveFraction } = this.#options;
    const total = anchors.size(0);
    const sample = noGrad(() => {
      const positives: Tensor[] = [];
      const sampled: Tensor[] = [];
      const goals: Tensor[] = [];
      targets.forEach((target, image) => {
        const matches = matchBoxes(target.boxes, anchors, { foregroundIou, backgroundIou, allowLowQuality: true });
        const drawn = drawSample(matches, { count: batchSizePerImage, positiveFraction });
        positives.push(ops.add(drawn.positive, image * total));
        sampled.push(ops.add(ops.cat([drawn.positive, drawn.negative]), image * total));
        if (drawn.positive.size(0) > 0) {
          const objects = ops.index_select(target.boxes, 0, ops.index_select(matches, 0, drawn.positive));
          goals.push(encodeBoxes(objects, ops.index_select(anchors, 0, drawn.positive), UNIT_WEIGHTS));
        }
      });
      const positive = ops.cat(positives);
      const all = ops.cat(sampled);
      const labels = ops.new_zeros(anchors, [targets.length * total]);
      ops.index_fill_(labels, 0, positive, 1);
      return {
        positive,
        all,
        goals: goals.length > 0 ? ops.cat(goals) : undefined,
        labels: ops.index_select(labels, 0, all),
      };
    });
    return scope(() => {
      const flatLogits = ops.flatten(ops.cat([...logits], { dim: 1 }));
      const flatOffsets = ops.reshape(ops.cat([...offsets], { dim: 1 }), [-1, 4]);
      const objectness = ops.index_select(flatLogits, 0, sample.all).to('float32');
      const regression = ops.index_select(flatOffsets, 0, sample.positive).to('float32');
      const boxLoss = sample.goals ? smoothL1Sum(regression, sample.goals, SMOOTH_L1_BETA) : zeroLoss(flatOffsets);
      return {
        loss_objectness: binaryCrossEntropyMean(objectness, sample.labels),
        loss_rpn_box_reg: ops.div(boxLoss, Math.max(1, sample.all.size(0))),
      };
    });
  }
}

/** [N, A * K, H, W] -> [N, H * W * A, K]. */
function anchorsLast(level: Tensor, perAnchor: number): Tensor {
  const [images = 0, channels = 0, height = 0, width = 0] = level.shape;
  const perCell = channels / perAnchor;
  return ops.reshape(ops.permute(level, [0, 2, 3, 1]), [images, height * width * perCell, perAnchor]);
}
