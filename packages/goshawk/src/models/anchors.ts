// Anchor boxes: the reference boxes that a region proposal network classifies and refines.
import { arange, type Device, keep, ops, scope, type Tensor, tensor } from '@goshawk/torch';
import type { Scale } from './structures.js';

export interface AnchorOptions {
  /** Side lengths in network pixels, a list a level, finest level first. */
  readonly sizes: readonly (readonly number[])[];
  /** Height over width. */
  readonly ratios: readonly number[];
  /** How the boxes of a cell are rounded and centred. Default torchvision. */
  readonly cells?: 'torchvision' | 'detectron' | 'mmdetection';
  /** Network pixels from one cell to the next, a level. Absent: the padded size over the grid's, as torchvision. */
  readonly strides?: readonly number[];
}

// Batches come in many shapes; so many grids are worth keeping (about 10 shapes of 5 levels), all of them are not.
const KEPT_GRIDS = 50;

/** Anchors at every cell of every level. In a cell: ratios outside, sizes inside; cells row by row. */
export class AnchorGenerator {
  readonly #options: AnchorOptions;
  readonly #grids = new Map<string, Tensor>();
  readonly #cells = new Map<string, Tensor>();

  constructor(options: AnchorOptions) {
    this.#options = options;
  }

  get options(): AnchorOptions {
    return this.#options;
  }

  get perCell(): number {
    return this.#options.ratios.length * (this.#options.sizes[0]?.length ?? 0);
  }

  /**
   * One [H * W * perCell, 4] float32 xyxy tensor a level, in network pixels. They belong to the generator and live at
   * least until its next call.
   * @param grids `[height, width]` of each feature map
   * @param padded `[height, width]` of the padded batch; without `strides` the stride is its whole-numbered ratio to the grid
   */
  forGrids(
    grids: readonly (readonly [number, number])[],
    padded: readonly [number, number],
    device: Device = 'cpu',
  ): Tensor[] {
    if (this.#grids.size + this.#cells.size + 2 * grids.length > KEPT_GRIDS) this.#forget();
    return grids.map(([height, width], level) => {
      const { strides } = this.#options;
      const strideY = strides?.[level] ?? Math.floor(padded[0] / height);
      const strideX = strides?.[level] ?? Math.floor(padded[1] / width);
      const key = `${level} ${height} ${width} ${strideY} ${strideX} ${device}`;
      let grid = this.#grids.get(key);
      if (!grid) {
        const cell = this.#cell(level, strideX, device);
        grid = keep(scope(() => gridAnchors(cell, [height, width], { x: strideX, y: strideY })));
        this.#grids.set(key, grid);
      }
      return grid;
    });
  }

  /** [A, 4] anchors of a level's first cell, which travel to a device once. */
  #cell(level: number, stride: number, device: Device): Tensor {
    const key = `${level} ${stride} ${device}`;
    let cell = this.#cells.get(key);
    if (!cell) {
      const corners = levelCell(this.#options, level, stride);
      cell = keep(tensor(corners, { shape: [corners.length / 4, 4], device }));
      this.#cells.set(key, cell);
    }
    return cell;
  }

  #forget(): void {
    for (const kept of [this.#grids, this.#cells]) {
      for (const grid of kept.values()) grid.dispose();
      kept.clear();
    }
  }
}

/** [A * 4] anchors of a level's first cell. torchvision's do not ask for the stride. */
export function levelCell({ sizes, ratios, cells }: AnchorOptions, level: number, stride: number): Float32Array {
  const own = sizes[level] ?? [];
  switch (cells) {
    case 'detectron':
      return detectronCell(own, ratios, stride);
    case 'mmdetection':
      return mmdetectionCell(own, ratios, stride);
    default:
      return cellAnchors(own, ratios);
  }
}

/** Boxes around the origin, rounded to whole pixels (half to even) as torchvision does; [ratios * sizes, 4]. */
export function cellAnchors(sizes: readonly number[], ratios: readonly number[]): Float32Array {
  const anchors = new Float32Array(sizes.length * ratios.length * 4);
  let at = 0;
  for (const ratio of ratios) {
    const heightScale = Math.fround(Math.sqrt(ratio));
    const widthScale = Math.fround(1 / heightScale);
    for (const size of sizes) {
      const halfWidth = Math.fround(widthScale * size) / 2;
      const halfHeight = Math.fround(heightScale * size) / 2;
      for (const side of [-halfWidth, -halfHeight, halfWidth, halfHeight]) anchors[at++] = roundHalfToEven(side);
    }
  }
  return anchors;
}

/**
 * Inclusive boxes around the middle of the first cell, [ratios * sizes, 4], as Detectron's generate_anchors makes them: a
 * square of the stride takes each ratio, rounded to whole pixels, and is then scaled to each size.
 */
export function detectronCell(sizes: readonly number[], ratios: readonly number[], stride: number): Float32Array {
  const anchors = new Float32Array(sizes.length * ratios.length * 4);
  const centre = (stride - 1) / 2;
  let at = 0;
  for (const ratio of ratios) {
    const width = roundHalfToEven(Math.sqrt((stride * stride) / ratio));
    const height = roundHalfToEven(width * ratio);
    for (const size of sizes) {
      const halfWidth = (width * (size / stride) - 1) / 2;
      const halfHeight = (height * (size / stride) - 1) / 2;
      for (const corner of [-halfWidth, -halfHeight, halfWidth, halfHeight]) anchors[at++] = centre + corner;
    }
  }
  return anchors;
}

/**
 * Inclusive boxes around the middle of the first cell, [ratios * sizes, 4], as mmdetection 1's AnchorGenerator makes them
 * (mmdet/core/anchor/anchor_generator.py): corners rounded to whole pixels, half to even.
 */
export function mmdetectionCell(sizes: readonly number[], ratios: readonly number[], stride: number): Float32Array {
  const anchors = new Float32Array(sizes.length * ratios.length * 4);
  const centre = (stride - 1) / 2;
  let at = 0;
  for (const ratio of ratios) {
    const heightScale = Math.fround(Math.sqrt(ratio));
    const widthScale = Math.fround(1 / heightScale);
    for (const size of sizes) {
      const halfWidth = (Math.fround(widthScale * size) - 1) / 2;
      const halfHeight = (Math.fround(heightScale * size) - 1) / 2;
      for (const corner of [-halfWidth, -halfHeight, halfWidth, halfHeight])
        anchors[at++] = roundHalfToEven(Math.fround(centre + corner));
    }
  }
  return anchors;
}

/** [H * W * A, 4]: the cell's [A, 4] anchors at every place, row by row. */
function gridAnchors(cell: Tensor, [height, width]: readonly [number, number], stride: Scale): Tensor {
  const steps = (count: number, step: number): Tensor => ops.mul(arange(0, count, { device: cell.device }), step);
  const across = ops.expand(ops.view(steps(width, stride.x), [1, width]), [height, width]);
  const down = ops.expand(ops.view(steps(height, stride.y), [height, 1]), [height, width]);
  const places = ops.stack([across, down, across, down], { dim: 2 });
  return ops.reshape(ops.add(ops.unsqueeze(places, 2), cell), [-1, 4]);
}

function roundHalfToEven(value: number): number {
  const floor = Math.floor(value);
  const fraction = value - floor;
  if (fraction !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}
