// SOLOv2 (Wang et al., SOLOv2: Dynamic and Fast Instance Segmentation, 2020) and decoupled SOLO (Wang et al., SOLO: Segmenting
// Objects by Locations, 2019): every cell of a grid over the picture has the classes and the mask of the object whose centre lies
// in it. There are no boxes but those around the masks.
import { init, noGrad, ops, scope, sigmoidFocalLoss, type Tensor, tensor } from '@goshawk/torch';
import type { DecoupledSoloConfig, SoloConfig, Solov2Config } from '../../config/index.js';
import { Detector } from '../detector.js';
import { BackboneWithNeck, type FeatureExtractor, makeFeatureExtractor } from '../feature-extractor.js';
import { atLeastSingle, inAll, partOf, zeroLoss } from '../losses.js';
import { diceLosses } from '../mask-heads/dice-loss.js';
import { type AssignedCell, assignCells, type GroundTruth } from '../mask-heads/grid-assignment.js';
import { gridStrides, resized } from '../mask-heads/grid-features.js';
import { MaskFeatures } from '../mask-heads/mask-features.js';
import { readObjectMasks } from '../mask-heads/object-masks.js';
import { cellScores, type MaskSource, selectMasks } from '../mask-heads/select-masks.js';
import { DecoupledHead, type DecoupledPrediction, KernelHead } from '../mask-heads/solo-heads.js';
import {
  type Detections,
  type Features,
  type HeightWidth,
  type ImageBatch,
  type Losses,
  requiredPart,
  type Targets,
} from '../structures.js';

type WithClasses<Config extends SoloConfig> = Omit<Config, 'type' | 'classes'> & {
  /** Without the background. */
  readonly classes: number;
};
export type SoloOptions = WithClasses<SoloConfig>;

/** One image of a batch, and what of it is learned. */
interface LearnedImage extends GroundTruth {
  readonly cells: readonly AssignedCell[];
}

/** What a batch is to learn. */
interface Goals {
  readonly images: readonly LearnedImage[];
  /** [N, cells of all levels] int64: the class 0..C-1, -1 for none. */
  readonly classes: Tensor;
  /** Cells of any class. */
  readonly positives: number;
}

/** Where the two originals' assignments differ. */
interface AssignmentRules {
  /** Fewest pixels of a mask that is learned. */
  readonly leastArea: number;
  /** Whose masks a cell learns that several objects claim: each one's, or that of the last alone. */
  readonly objectsOfCell: 'all' | 'last';
}

abstract class Solo extends Detector {
  readonly backbone: FeatureExtractor;
  readonly #options: SoloOptions;
  readonly #rules: AssignmentRules;

  constructor(options: SoloOptions, rules: AssignmentRules) {
    super();
    this.#options = options;
    this.#rules = rules;
    const { backbone, neck } = options;
    this.backbone = makeFeatureExtractor(backbone, neck);
    // As mmdetection's FPN starts.
    if (neck.type === 'fpn' && this.backbone instanceof BackboneWithNeck)
      for (const parameter of this.backbone.fpn.parameters()) if (parameter.rank > 1) init.xavierUniform(parameter);
  }

  override loss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    return scope(() => {
      // The targets first: a card has them before it begins with the network.
      const goals = this.#goals(batch, targets);
      const features = this.backbone.forward(batch.pixels);
      return this.losses(features, goals, batch);
    });
  }

  override predict(batch: ImageBatch): Detections[] {
    return noGrad(() => scope(() => this.detect(this.backbone.forward(batch.pixels), batch)));
  }

  protected abstract losses(features: Features, goals: Goals, batch: ImageBatch): Losses;

  protected abstract detect(features: Features, batch: ImageBatch): Detections[];

  /** Network pixels a cell of the masks. */
  protected get maskStride(): number {
    return this.backbone.strides[0]!;
  }

  /** Of each level that a grid is laid over. */
  protected get levelStrides(): readonly number[] {
    return gridStrides(this.backbone.strides);
  }

  /** The focal loss of the classes of all cells. */
  protected classLoss(logits: readonly Tensor[], { classes, positives }: Goals): Tensor {
    const { focalAlpha: alpha, focalGamma: gamma, classLossWeight } = this.#options.head;
    const weight = classLossWeight / (inAll(positives) + 1);
    const Weights = logits[0]!.dtype === 'float64' ? Float64Array : Float32Array;
    const weights = tensor(new Weights(classes.size(0)).fill(weight), { device: classes.device });
    let start = 0;
    const losses = logits.map((map) => {
      const count = map.size(2) * map.size(3);
      start += count;
      return sigmoidFocalLoss(map, ops.narrow(classes, 1, start - count, count), weights, { alpha, gamma });
    });
    return ops.sum(ops.stack(losses));
  }

  /** Of the dice losses of every cell that learns a mask. @param connected what the loss is of where none does */
  protected maskLoss(losses: readonly Tensor[], connected: readonly Tensor[]): Tensor {
    const count = losses.reduce((sum, own) => sum + own.length, 0);
    const all = inAll(count);
    if (count === 0) return ops.sum(ops.stack(connected.map(zeroLoss)));
    return ops.mul(partOf(ops.mean(ops.cat(losses)), count, all), this.#options.head.maskLossWeight);
  }

  /** The detections of each image: `sources` makes their masks. */
  protected select(logits: readonly Tensor[], sources: readonly MaskSource[]): Detections[] {
    const strides = this.levelStrides;
    const scores = logits.map(cellScores);
    const cellStrides = scores.flatMap((level, i) => new Array<number>(level.size(1)).fill(strides[i]!));
    const limits = tensor(cellStrides, { device: logits[0]!.device });
    const all = ops.cat(scores, { dim: 1 });
    return sources.map((source, image) => selectMasks(ops.select(all, 0, image), limits, source, this.#options.head));
  }

  #goals(batch: ImageBatch, targets: readonly Targets[]): Goals {
    const { grids } = this.#options.head;
    const size: HeightWidth = [batch.pixels.size(2), batch.pixels.size(3)];
    const images = targets.map((target) => {
      const own: GroundTruth = {
        boxes: target.boxes.toFloat32Array(),
        labels: target.labels.toNumbers(),
        masks: readObjectMasks(requiredPart(target, 'masks')),
      };
      const { leastArea, objectsOfCell } = this.#rules;
      const cells = assignCells(own, size, { ...this.#options.head, leastArea });
      return { ...own, cells: objectsOfCell === 'all' ? cells : lastOfEach(cells) };
    });
    const starts = levelStarts(grids);
    const count = starts.at(-1)! + grids.at(-1)! ** 2;
    const classes = new BigInt64Array(images.length * count).fill(-1n);
    images.forEach(({ cells, labels }, image) => {
      // A later object takes a cell from an earlier one; both learn their masks there.
      for (const cell of cells)
        classes[image * count + cellNumber(cell, grids, starts)] = BigInt(labels[cell.object]! - 1);
    });
    const positives = classes.reduce((sum, label) => sum + (label >= 0n ? 1 : 0), 0);
    const { device } = batch.pixels;
    return { images, positives, classes: tensor(classes, { shape: [images.length, count], device }) };
  }
}

export class Solov2 extends Solo {
  readonly maskFeatures: MaskFeatures;
  readonly head: KernelHead;
  readonly #grids: readonly number[];

  constructor(options: WithClasses<Solov2Config>) {
    super(options, { leastArea: 1, objectsOfCell: 'all' });
    const { maskFeatures, head, classes } = options;
    const inChannels = this.backbone.channels;
    this.maskFeatures = new MaskFeatures({ inChannels, levels: this.backbone.strides.length, ...maskFeatures });
    this.head = new KernelHead({ ...head, inChannels, classes, kernelSize: maskFeatures.outputs });
    this.#grids = head.grids;
  }

  override runLayers(pixels: Tensor): void {
    scope(() => {
      const features = this.backbone.forward(pixels);
      this.maskFeatures.forward(features);
      this.head.forward(features);
    });
  }

  protected override losses(features: Features, goals: Goals): Losses {
    const map = this.maskFeatures.forward(features);
    const { logits, kernels } = this.head.forward(features);
    const size: HeightWidth = [map.size(2), map.size(3)];
    const cellKernels = kernelsOfCells(kernels);
    const starts = levelStarts(this.#grids);
    const losses = goals.images.flatMap(({ cells, masks }, image) => {
      if (cells.length === 0) return [];
      const { device } = map;
      const integers = (values: readonly number[]): Tensor => tensor(values, { dtype: 'int64', device });
      const numbers = integers(cells.map((cell) => cellNumber(cell, this.#grids, starts)));
      const own = ops.index_select(ops.select(cellKernels, 0, image), 0, numbers);
      const goal = tensor(masks.reduced(size, this.maskStride), {
        shape: [masks.masses.length, size[0] * size[1]],
        device,
      });
      return diceLosses(appliedKernels(own, map, image), goal, integers(cells.map(({ object }) => object)));
    });
    return {
      loss_mask: this.maskLoss(losses, [map, ...kernels]),
      loss_classification: this.classLoss(logits, goals),
    };
  }

  protected override detect(features: Features, batch: ImageBatch): Detections[] {
    const map = this.maskFeatures.forward(features);
    const { logits, kernels } = this.head.forward(features);
    const cellKernels = kernelsOfCells(kernels);
    const sources = batch.sizes.map(
      (_, image): MaskSource => ({
        size: [map.size(2), map.size(3)],
        stride: this.maskStride,
        masksOf: (cells) => appliedKernels(ops.index_select(ops.select(cellKernels, 0, image), 0, cells), map, image),
      }),
    );
    return this.select(logits, sources);
  }
}

/** [N, E, S, S] a level -> [N, cells of all levels, E]. */
function kernelsOfCells(kernels: readonly Tensor[]): Tensor {
  const flat = kernels.map((map) => ops.transpose(ops.flatten(map, { start_dim: 2 }), 1, 2));
  return ops.cat(flat, { dim: 1 });
}

/**
 * The probabilities [n, H * W] of the masks that [n, E] kernels make of an image's features: a 1x1 convolution of each without a
 * bias, which for all of them is one product of matrices.
 * @param map [N, E, H, W]
 */
function appliedKernels(kernels: Tensor, map: Tensor, image: number): Tensor {
  return scope(() => {
    const features = ops.flatten(ops.permute(ops.select(map, 0, image), [1, 2, 0]), { end_dim: 1 });
    return ops.sigmoid(atLeastSingle(ops.matmul(kernels, ops.transpose(features, 0, 1))));
  });
}

/** The number of the first cell of each level. */
function levelStarts(grids: readonly number[]): number[] {
  let next = 0;
  return grids.map((side) => {
    next += side * side;
    return next - side * side;
  });
}

function cellNumber({ level, row, column }: AssignedCell, grids: readonly number[], starts: readonly number[]): number {
  return starts[level]! + row * grids[level]! + column;
}

export class DecoupledSolo extends Solo {
  readonly head: DecoupledHead;
  readonly #grids: readonly number[];

  constructor(options: WithClasses<DecoupledSoloConfig>) {
    // decoupled_solo_head.py, solo_target_single.
    super(options, { leastArea: 10, objectsOfCell: 'last' });
    const { head, classes } = options;
    this.head = new DecoupledHead({ ...head, inChannels: this.backbone.channels, classes });
    this.#grids = head.grids;
  }

  override runLayers(pixels: Tensor): void {
    scope(() => {
      this.head.forward(this.backbone.forward(pixels));
    });
  }

  protected override losses(features: Features, goals: Goals): Losses {
    const prediction = this.head.forward(features);
    const { logits, columns, rows } = prediction;
    const losses = goals.images.flatMap((own, image) =>
      this.#grids.flatMap((_, level) => this.#levelLosses(prediction, own, image, level)),
    );
    return {
      loss_mask: this.maskLoss(losses, [...columns, ...rows]),
      loss_classification: this.classLoss(logits, goals),
    };
  }

  #levelLosses(prediction: DecoupledPrediction, own: LearnedImage, image: number, level: number): Tensor[] {
    const cells = own.cells.filter((cell) => cell.level === level);
    if (cells.length === 0) return [];
    const [columns, rows] = [prediction.columns[level]!, prediction.rows[level]!];
    const { device } = columns;
    const integers = (values: readonly number[]): Tensor => tensor(values, { dtype: 'int64', device });
    const along = (maps: Tensor, places: readonly number[]): Tensor =>
      ops.sigmoid(
        atLeastSingle(ops.flatten(ops.index_select(ops.select(maps, 0, image), 0, integers(places)), { start_dim: 1 })),
      );
    const masks = ops.mul(
      along(
        columns,
        cells.map((cell) => cell.column),
      ),
      along(
        rows,
        cells.map((cell) => cell.row),
      ),
    );
    const size: HeightWidth = [columns.size(2), columns.size(3)];
    const goal = tensor(own.masks.reduced(size, this.levelStrides[level]! / 2), {
      shape: [own.masks.masses.length, size[0] * size[1]],
      device,
    });
    return [diceLosses(masks, goal, integers(cells.map(({ object }) => object)))];
  }

  protected override detect(features: Features, batch: ImageBatch): Detections[] {
    const { logits, columns, rows } = this.head.forward(features);
    const finest = columns[0]!;
    const size: HeightWidth = [finest.size(2), finest.size(3)];
    const all = (maps: readonly Tensor[]): Tensor =>
      ops.flatten(
        ops.cat(
          maps.map((map) => resized(ops.sigmoid(atLeastSingle(map)), size)),
          { dim: 1 },
        ),
        { start_dim: 2 },
      );
    const [allColumns, allRows] = [all(columns), all(rows)];
    const device = finest.device;
    const axes = axisNumbers(this.#grids).map((numbers) => tensor(numbers, { dtype: 'int64', device }));
    const sources = batch.sizes.map((_, image): MaskSource => {
      const along = (maps: Tensor, numbers: Tensor, cells: Tensor): Tensor =>
        ops.index_select(ops.select(maps, 0, image), 0, ops.index_select(numbers, 0, cells));
      return {
        size,
        stride: this.maskStride,
        masksOf: (cells) => scope(() => ops.mul(along(allColumns, axes[0]!, cells), along(allRows, axes[1]!, cells))),
      };
    });
    return this.select(logits, sources);
  }
}

function lastOfEach(cells: readonly AssignedCell[]): AssignedCell[] {
  return [...new Map(cells.map((cell) => [`${cell.level} ${cell.row} ${cell.column}`, cell])).values()];
}

/** Of every cell of all levels the numbers of its column and its row among those of all levels. */
export function axisNumbers(grids: readonly number[]): readonly [columns: number[], rows: number[]] {
  const [columns, rows]: [number[], number[]] = [[], []];
  let start = 0;
  for (const side of grids) {
    for (let row = 0; row < side; row++) {
      for (let column = 0; column < side; column++) {
        columns.push(start + column);
        rows.push(start + row);
      }
    }
    start += side;
  }
  return [columns, rows];
}
