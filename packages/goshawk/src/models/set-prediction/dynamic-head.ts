// Sparse R-CNN's head: stages one after another, each of which cuts out the features of the boxes that the one before it gave.
import { init, Module, ops, roiAlignMultilevel, type Tensor } from '@goshawk/torch';
import { assignLevels, roisOfBatch } from '../roi-heads/roi-pooler.js';
import type { Features } from '../structures.js';
import { type RefinementOptions, RefinementStage } from './refinement-stage.js';

export interface DynamicHeadOptions extends RefinementOptions {
  /** Network pixels a cell of each level, finest first. */
  readonly strides: readonly number[];
}

/** What the stages say, the first one's first. */
export interface StagePredictions {
  /** [N, P, classes] a stage. */
  readonly logits: readonly Tensor[];
  /** [N, P, 4] xyxy in network pixels a stage, float32 at least; they may reach beyond the picture. */
  readonly boxes: readonly Tensor[];
}

export class DynamicHead extends Module {
  readonly stages: readonly RefinementStage[];
  readonly #options: DynamicHeadOptions;

  constructor(options: DynamicHeadOptions) {
    super();
    this.#options = options;
    this.stages = Array.from({ length: options.stages }, () => new RefinementStage(options));
    for (const parameter of this.parameters()) if (parameter.rank > 1) init.xavierUniform(parameter);
    const { prior } = options;
    for (const { classLogits } of this.stages) init.constant(classLogits.bias!, -Math.log((1 - prior) / prior));
  }

  /** @param boxes [N, P, 4] xyxy in network pixels; `proposals` [N, P, C] */
  forward(features: Features, boxes: Tensor, proposals: Tensor): StagePredictions {
    const predictions: { logits: Tensor[]; boxes: Tensor[] } = { logits: [], boxes: [] };
    let from = boxes;
    let known = proposals;
    for (const stage of this.stages) {
      const output = stage.forward(known, this.#cellsOf(features, from));
      const moved = decodeStageBoxes(output.deltas.to(from.dtype), from);
      predictions.logits.push(output.logits);
      predictions.boxes.push(moved);
      known = output.features;
      // A stage learns to move the boxes that it is given, not to be given others.
      from = moved.detach();
    }
    return predictions;
  }

  /** Runs the layers over `count` proposals for which zeros are cut out. */
  runLayers(features: Features, count: number): void {
    const [level] = features;
    const { poolSize, channels } = this.#options;
    const cells = ops.new_zeros(level!, [count, poolSize * poolSize, channels]);
    let known = ops.new_zeros(level!, [1, count, channels]);
    for (const stage of this.stages) known = stage.forward(known, cells).features;
  }

  /** [N * P, cells, C] by RoIAlign with its half-pixel shift; no gradient goes to the boxes. */
  #cellsOf(features: Features, boxes: Tensor): Tensor {
    const { strides, poolSize, samplingRatio, channels } = this.#options;
    const rois = roisOfBatch(boxes.detach());
    const finest = Math.round(Math.log2(strides[0] ?? 1));
    const levels = assignLevels(ops.narrow(rois, 1, 1, 4), finest, features.length);
    const cells = roiAlignMultilevel(features, rois, levels, {
      spatialScales: strides.map((stride) => 1 / stride),
      outputSize: poolSize,
      samplingRatio,
      aligned: true,
    });
    // In the channels_last format the cells lie as they are wanted.
    return ops.reshape(ops.permute(cells, [0, 2, 3, 1]), [-1, poolSize * poolSize, channels]);
  }
}

// The factors are those that float32 has, also where float64 is computed in: the original computes with them.
const MOVE = Math.fround(0.1);
const GROWTH = Math.fround(0.2);

/** As of Detectron's box coder: against exp() of a wild prediction. */
const LARGEST_LOG_SCALE = Math.log(1000 / 16);

/** [..., 4] offsets from [..., 4] xyxy references -> [..., 4] xyxy boxes. */
export function decodeStageBoxes(deltas: Tensor, references: Tensor): Tensor {
  const start = ops.narrow(references, -1, 0, 2);
  const size = ops.sub(ops.narrow(references, -1, 2, 2), start);
  const centre = ops.add(start, ops.mul(size, 0.5));
  const moves = ops.mul(ops.narrow(deltas, -1, 0, 2), MOVE);
  const growths = ops.clamp(ops.mul(ops.narrow(deltas, -1, 2, 2), GROWTH), { max: LARGEST_LOG_SCALE });
  const newSize = ops.mul(size, ops.exp(growths));
  const newStart = ops.sub(ops.add(centre, ops.mul(moves, size)), ops.mul(newSize, 0.5));
  return ops.cat([newStart, ops.add(newStart, newSize)], { dim: -1 });
}
