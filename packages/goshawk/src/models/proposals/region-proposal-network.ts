// Region Proposal Network (Faster R-CNN, Ren et al. 2015) over one or several levels of features.
import { batchedNms, Module, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import { bestAcrossProcesses } from '../across-processes.js';
import { AnchorGenerator } from '../anchors.js';
import { atLeast, clipBoxes, decodeBoxes } from '../box-coder.js';
import { CONVENTIONS, type Conventions } from '../conventions.js';
import { inAll } from '../losses.js';
import { type FramedBatch, framesOf, type PaddedBoxes, type PaddedObjects } from '../padded.js';
import { drawsOf, indicesWhere, randomDraws } from '../sampling.js';
import type { Features, HeightWidth, ImageBatch, Losses, Targets } from '../structures.js';
import { ANCHOR_WEIGHTS, type AnchorLossOptions, anchorLosses } from './anchor-loss.js';
import { fixedAnchorLosses } from './fixed-anchor-loss.js';
import { selectFixedProposals } from './fixed-proposals.js';
import { objectnessOf } from './objectness.js';
import { RpnHead } from './rpn-head.js';
import { collectedLimit, keepsBest, type RpnOptions } from './rpn-options.js';

export interface Proposals {
  /** [P, 4] xyxy in network pixels an image, best first. */
  readonly boxes: Tensor[];
  /** [P] float32 objectness of each, 0 to 1. */
  readonly scores: Tensor[];
  /** [P] int64 number of each one's anchor, over all levels. */
  readonly anchorNumbers: Tensor[];
  readonly losses: Losses;
}

/** {@link Proposals} of fixed size. */
export interface FixedProposals extends PaddedBoxes {
  readonly anchorNumbers: Tensor;
  /** [N, P] float32 objectness of each, 0 to 1. */
  readonly scores: Tensor;
  readonly losses: Losses;
}

interface ScoredBoxes {
  readonly boxes: Tensor;
  readonly scores: Tensor;
  readonly anchorNumbers: Tensor;
}

export class RegionProposalNetwork extends Module {
  readonly head: RpnHead;
  readonly #options: RpnOptions;
  readonly #conventions: Conventions;
  readonly #anchors: AnchorGenerator;

  constructor(inChannels: number, options: RpnOptions) {
    super();
    this.#options = options;
    this.#conventions = options.conventions ?? CONVENTIONS.torchvision;
    this.#anchors = new AnchorGenerator({ ...options.anchors, cells: this.#conventions.anchorCells });
    const { convolutions, hiddenChannels, activation } = options;
    const anchorsPerCell = this.#anchors.perCell;
    this.head = new RpnHead({ inChannels, convolutions, hiddenChannels, activation, anchorsPerCell });
  }

  get anchors(): AnchorGenerator {
    return this.#anchors;
  }

  /** Proposals of each image; with targets also the losses. */
  forward(batch: ImageBatch, features: Features, targets?: readonly Targets[]): Proposals {
    const { flatLogits, flatOffsets, levels, padded } = this.#predict(batch, features);
    const found = noGrad(() => {
      const own = batch.sizes.map((size, image) =>
        scope(() => {
          const border = this.training || this.#conventions.proposalBorder === 'image' ? size : padded;
          return this.#select(image, border, batch.scales[image]!.x, flatLogits, flatOffsets, levels);
        }),
      );
      return this.training && this.#options.collectImages ? scope(() => this.#collect(own)) : own;
    });
    const boxes = found.map((own) => own.boxes);
    const scores = found.map((own) => own.scores);
    const anchorNumbers = found.map((own) => own.anchorNumbers);
    if (!targets) return { boxes, scores, anchorNumbers, losses: {} };
    const predicted = { logits: flatLogits, offsets: flatOffsets, anchors: levels };
    return {
      boxes,
      scores,
      anchorNumbers,
      losses: anchorLosses(predicted, batch.sizes, targets, this.#lossOptions(batch), this.#conventions),
    };
  }

  /** The same in tensors of fixed size. */
  fixed(batch: FramedBatch, features: Features, objects?: PaddedObjects): FixedProposals {
    const { flatLogits, flatOffsets, levels, padded } = this.#predict(batch, features);
    const predicted = {
      logits: ops.cat(flatLogits, { dim: 1 }),
      offsets: ops.cat(flatOffsets, { dim: 1 }),
      anchors: ops.cat(levels),
      counts: levels.map((level) => level.size(0)),
    };
    const frames = framesOf(batch);
    const found = noGrad(() =>
      selectFixedProposals(predicted, {
        frames,
        padded,
        mode: this.training ? 'train' : 'test',
        options: this.#options,
        conventions: this.#conventions,
      }),
    );
    const losses = objects
      ? fixedAnchorLosses(predicted, frames.sizes, objects, this.#lossOptions(batch), this.#conventions)
      : {};
    return { ...found, losses };
  }

  #lossOptions(batch: ImageBatch): AnchorLossOptions {
    const { draws = randomDraws } = this.#options;
    return { ...this.#options, draws: drawsOf(draws, batch, 'anchors') };
  }

  #predict(batch: ImageBatch, features: Features) {
    const { logits, offsets } = this.head.forward(features);
    const grids = logits.map((level) => [level.size(2), level.size(3)] as const);
    const padded = [batch.pixels.size(2), batch.pixels.size(3)] as const;
    return {
      padded,
      levels: this.#anchors.forGrids(grids, padded, batch.pixels.device),
      // [N, A * K, H, W] -> [N, H * W * A, K], the anchors' order.
      flatLogits: logits.map((level) => this.#logitsByAnchor(level)),
      flatOffsets: offsets.map((level) => anchorsLast(level, 4)),
    };
  }

  /** [N, A, H, W] -> [N, H * W * A, 1]; for a softmax [N, 2 * A, H, W] -> [N, H * W * A, 2], background first. */
  #logitsByAnchor(level: Tensor): Tensor {
    if (this.#options.activation !== 'softmax') return anchorsLast(level, 1);
    const [images = 0, channels = 0, height = 0, width = 0] = level.shape;
    const split = ops.view(level.contiguous(), [images, 2, channels / 2, height, width]);
    return ops.reshape(ops.permute(split, [0, 3, 4, 2, 1]), [images, (height * width * channels) / 2, 2]);
  }

  /** The best anchors of every level, refined, clipped, and thinned out level by level. */
  #select(
    image: number,
    size: HeightWidth,
    scale: number,
    logits: readonly Tensor[],
    offsets: readonly Tensor[],
    levels: readonly Tensor[],
  ): ScoredBoxes {
    const mode = this.training ? 'train' : 'test';
    const { boxes: convention, boundsShrinking } = this.#conventions;
    const boxes: Tensor[] = [];
    const scores: Tensor[] = [];
    const groups: Tensor[] = [];
    const numbers: Tensor[] = [];
    let start = 0;
    for (let level = 0; level < levels.length; level++) {
      const objectness = objectnessOf(ops.select(logits[level]!, 0, image));
      const count = Math.min(this.#options.preNmsTopN[mode], objectness.size(0));
      const [top, index] = ops.topk(objectness, count, { dim: 0 });
      const chosenOffsets = ops.index_select(ops.select(offsets[level]!, 0, image), 0, index).to('float32');
      const chosenAnchors = ops.index_select(levels[level]!, 0, index);
      boxes.push(
        ops.select(decodeBoxes(chosenOffsets, chosenAnchors, ANCHOR_WEIGHTS, { convention, boundsShrinking }), 1, 0),
      );
      scores.push(ops.sigmoid(top));
      groups.push(ops.full_like(index, level));
      numbers.push(ops.add(index, start));
      start += objectness.size(0);
    }
    const clipped = clipBoxes(ops.cat(boxes), size, convention);
    const score = ops.cat(scores);
    const valid = indicesWhere(
      ops.logical_and(this.#isLargeEnough(clipped, size, scale), ops.ge(score, this.#options.scoreThreshold)),
    );
    const validBoxes = ops.index_select(clipped, 0, valid);
    const validScores = ops.index_select(score, 0, valid);
    const validGroups = ops.index_select(ops.cat(groups), 0, valid);
    const anchorNumbers = ops.index_select(ops.cat(numbers), 0, valid);
    const inclusive = convention === 'inclusive';
    const separate = batchedNms(validBoxes, validScores, validGroups, this.#options.nmsThreshold, {
      plusOne: inclusive,
      suppressEqual: inclusive,
    });
    const ofLevel = this.#options.levelPostNmsTopN?.[mode];
    const kept =
      ofLevel === undefined
        ? separate
        : firstOfLevels(separate, ofLevel, {
            groups: validGroups,
            anchorNumbers,
            isSorted: levels.map((anchors) =>
              keepsBest(anchors.size(0), this.#options.preNmsTopN[mode], this.#conventions),
            ),
          });
    // Where the batch is thinned out as a whole, an image may give more than its own share.
    const share = this.training && this.#options.collectImages ? kept.size(0) : this.#options.postNmsTopN[mode];
    const best = ops.narrow(kept, 0, 0, Math.min(kept.size(0), share));
    return {
      boxes: ops.index_select(validBoxes, 0, best),
      scores: ops.index_select(validScores, 0, best),
      anchorNumbers: ops.index_select(anchorNumbers, 0, best),
    };
  }

  #isLargeEnough(boxes: Tensor, [height, width]: HeightWidth, scale: number): Tensor {
    const { minSize } = this.#options;
    if (this.#conventions.proposalSize === 'network') return atLeast(boxes, minSize, this.#conventions.boxes);
    // Detectron's filter: the size is meant in image pixels, and the centre lies inside.
    const [x1, y1, x2, y2] = ops.unbind(boxes, { dim: -1 }) as [Tensor, Tensor, Tensor, Tensor];
    const middle = (from: Tensor, to: Tensor): Tensor => ops.add(from, ops.div(ops.add(ops.sub(to, from), 1), 2));
    const centred = ops.logical_and(ops.lt(middle(x1, x2), width), ops.lt(middle(y1, y2), height));
    return ops.logical_and(atLeast(boxes, minSize * scale, 'inclusive'), centred);
  }

  /** The best of the whole batch, that of all processes, each back at its image. */
  #collect(found: readonly ScoredBoxes[]): ScoredBoxes[] {
    const limit = collectedLimit(this.#options, inAll(found.length));
    const scores = ops.cat(found.map((own) => own.scores));
    if (limit === undefined) return [...found];
    const kept = bestAcrossProcesses(scores, limit);
    let start = 0;
    return found.map((own) => {
      const count = own.scores.size(0);
      const mine = indicesWhere(ops.narrow(kept, 0, start, count));
      start += count;
      return {
        boxes: ops.index_select(own.boxes, 0, mine),
        scores: ops.index_select(own.scores, 0, mine),
        anchorNumbers: ops.index_select(own.anchorNumbers, 0, mine),
      };
    });
  }
}

/**
 * At most `count` of each level's proposals, best first.
 * @param kept [K] numbers of proposals, best first
 * @param levels.groups [P] level of each proposal
 * @param levels.anchorNumbers [P] number of its anchor
 * @param levels.isSorted for each level whether its best count, or its first
 */
function firstOfLevels(
  kept: Tensor,
  count: number,
  levels: { readonly groups: Tensor; readonly anchorNumbers: Tensor; readonly isSorted: readonly boolean[] },
): Tensor {
  const groups = ops.index_select(levels.groups, 0, kept);
  const anchorNumbers = ops.index_select(levels.anchorNumbers, 0, kept);
  const places = levels.isSorted.map((isSorted, level) => {
    const own = indicesWhere(ops.eq(groups, level));
    const first = Math.min(count, own.size(0));
    if (isSorted) return ops.narrow(own, 0, 0, first);
    const inOrder = ops.argsort(ops.index_select(anchorNumbers, 0, own));
    return ops.index_select(own, 0, ops.narrow(inOrder, 0, 0, first));
  });
  const [bestFirst] = ops.sort(ops.cat(places));
  return ops.index_select(kept, 0, bestFirst);
}

/** [N, A * K, H, W] -> [N, H * W * A, K]. */
function anchorsLast(level: Tensor, perAnchor: number): Tensor {
  const [images = 0, channels = 0, height = 0, width = 0] = level.shape;
  const perCell = channels / perAnchor;
  return ops.reshape(ops.permute(level, [0, 2, 3, 1]), [images, height * width * perCell, perAnchor]);
}
