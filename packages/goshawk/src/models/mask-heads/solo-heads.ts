// The heads of SOLOv2 (Wang et al. 2020) and of decoupled SOLO (Wang et al. 2019, section 3.4): for every cell of every level's
// grid its classes, and what makes the mask of the object whose centre lies in it. Shared by all levels.
import { type Conv2d, init, Module, ops, scope, type Tensor } from '@goshawk/torch';
import type { Features } from '../structures.js';
import {
  coordinatesOf,
  gridLevels,
  type NormedConv,
  normedConvs,
  outputConv,
  resized,
  runConvs,
} from './grid-features.js';

export interface SoloHeadOptions {
  readonly inChannels: number;
  readonly channels: number;
  /** In front of each output. */
  readonly convolutions: number;
  /** Cells a side of each level's grid. */
  readonly grids: readonly number[];
  /** Without the background. */
  readonly classes: number;
  /** Probability of each class at the start. */
  readonly prior: number;
}

/** Section 3.3 of Lin et al. 2017: else the many empty cells would dominate the first steps. */
function startAtPrior(output: Conv2d, prior: number): void {
  init.constant(output.bias!, -Math.log((1 - prior) / prior));
}

export interface KernelPrediction {
  /** [N, C, S, S] a level. */
  readonly logits: readonly Tensor[];
  /** [N, E, S, S] a level: the E weights of each cell's kernel. */
  readonly kernels: readonly Tensor[];
}

export class KernelHead extends Module {
  readonly categoryConvs: NormedConv[];
  readonly kernelConvs: NormedConv[];
  readonly categories: Conv2d;
  readonly kernels: Conv2d;
  readonly #grids: readonly number[];

  /** @param options.kernelSize channels of the map that the kernels are applied to */
  constructor(options: SoloHeadOptions & { readonly kernelSize: number }) {
    super();
    const { inChannels, channels, convolutions, grids, classes, prior, kernelSize } = options;
    this.categoryConvs = normedConvs(convolutions, inChannels, channels);
    this.kernelConvs = normedConvs(convolutions, inChannels + 2, channels);
    this.categories = outputConv(channels, classes);
    this.kernels = outputConv(channels, kernelSize);
    startAtPrior(this.categories, prior);
    this.#grids = grids;
  }

  forward(features: Features): KernelPrediction {
    const levels = gridLevels(features).map((map, level) =>
      scope(() => {
        const side = this.#grids[level]!;
        const cells = resized(map, [side, side]);
        // Coordinates of the level, resized like the features, not those of the grid.
        const placed = ops.cat([cells, resized(coordinatesOf(map), [side, side])], { dim: 1 });
        return {
          logits: this.categories.forward(runConvs(this.categoryConvs, cells)),
          kernels: this.kernels.forward(runConvs(this.kernelConvs, placed)),
        };
      }),
    );
    return { logits: levels.map(({ logits }) => logits), kernels: levels.map(({ kernels }) => kernels) };
  }
}

export interface DecoupledPrediction {
  /** [N, C, S, S] a level. */
  readonly logits: readonly Tensor[];
  /** [N, S, 2 h, 2 w] logits a level: the mask of a cell is the product of its column's and its row's probabilities. */
  readonly columns: readonly Tensor[];
  readonly rows: readonly Tensor[];
}

export class DecoupledHead extends Module {
  readonly columnConvs: NormedConv[];
  readonly rowConvs: NormedConv[];
  readonly categoryConvs: NormedConv[];
  /** A level. */
  readonly columns: Conv2d[];
  readonly rows: Conv2d[];
  readonly categories: Conv2d;
  readonly #grids: readonly number[];

  constructor({ inChannels, channels, convolutions, grids, classes, prior }: SoloHeadOptions) {
    super();
    this.columnConvs = normedConvs(convolutions, inChannels + 1, channels);
    this.rowConvs = normedConvs(convolutions, inChannels + 1, channels);
    this.categoryConvs = normedConvs(convolutions, inChannels, channels);
    this.columns = grids.map((side) => outputConv(channels, side));
    this.rows = grids.map((side) => outputConv(channels, side));
    this.categories = outputConv(channels, classes);
    for (const output of [this.categories, ...this.columns, ...this.rows]) startAtPrior(output, prior);
    this.#grids = grids;
  }

  forward(features: Features): DecoupledPrediction {
    const levels = gridLevels(features).map((map, level) =>
      scope(() => {
        const side = this.#grids[level]!;
        const doubled = [2 * map.size(2), 2 * map.size(3)] as const;
        const [x, y] = ops.split(coordinatesOf(map), 1, { dim: 1 }) as [Tensor, Tensor];
        const along = (axis: Tensor, convs: readonly NormedConv[], output: Conv2d): Tensor =>
          scope(() => output.forward(resized(runConvs(convs, ops.cat([map, axis], { dim: 1 })), doubled)));
        return {
          logits: this.categories.forward(runConvs(this.categoryConvs, resized(map, [side, side]))),
          columns: along(x, this.columnConvs, this.columns[level]!),
          rows: along(y, this.rowConvs, this.rows[level]!),
        };
      }),
    );
    return {
      logits: levels.map(({ logits }) => logits),
      columns: levels.map(({ columns }) => columns),
      rows: levels.map(({ rows }) => rows),
    };
  }
}
