// A network whose blocks are at any resolution in any order and read two earlier ones each (SpineNet, Du et al. 2020),
// built from a plan. State names are those of SpineNet-Pytorch.
import { InputError } from '@goshawk/core';
import { MaxPool2d, type Member, Module, ops, Sequential, scope, type Tensor } from '@goshawk/torch';
import type { Features, HeightWidth } from '../structures.js';
import { type BlockSpec, checkBlockSpecs, endpointSkips, FIRST_BLOCKS, STEM_LEVEL } from './block-specs.js';
import { ConvNorm, type NormOptions } from './conv-norm-layers.js';
import { type BlockKind, blockChannels, makeResidualBlock, Resample } from './spinenet-layers.js';

export interface ScalePermutedOptions {
  /** Blocks 2, 3, ... in the order of computation. */
  readonly blocks: readonly BlockSpec[];
  /** Levels that forward() gives, finest first. */
  readonly outputLevels: readonly number[];
  /** Channels of every output. */
  readonly endpointChannels: number;
  /** Factor of the widths of all blocks. */
  readonly widthScale: number;
  /** Width in the middle of a resampling over the width of the block that is resampled. */
  readonly resampleAlpha: number;
  /** Residual blocks one after another in each block. */
  readonly repeats: number;
  readonly norm: NormOptions;
  /** Whether residual blocks start as identities. */
  readonly zeroInitResidual: boolean;
}

// Widths by level before scaling (SpineNet's code, FILTER_SIZE_MAP).
const LEVEL_WIDTHS: Readonly<Record<number, number>> = { 1: 32, 2: 64, 3: 128, 4: 256, 5: 256, 6: 256, 7: 256 };
const STEM_CHANNELS = 64;

/** Resamples two blocks; their sum, an output's extra inputs added, is what the next block reads. */
export class Merge extends Module {
  readonly resampleOps: Resample[];
  readonly #parents: readonly number[];
  readonly #skips: readonly number[];

  constructor(parents: readonly number[], skips: readonly number[], resampleOps: Resample[]) {
    super();
    this.resampleOps = resampleOps;
    this.#parents = parents;
    this.#skips = skips;
  }

  get reads(): readonly number[] {
    return [...this.#parents, ...this.#skips];
  }

  forward(outputs: readonly Tensor[]): Tensor {
    const [first, second] = this.#parents.map((parent, i) => this.resampleOps[i]!.call(outputs[parent]!));
    const sum = ops.add_(first!, second!);
    for (const skip of this.#skips) ops.add_(sum, outputs[skip]!);
    return ops.relu_(sum);
  }
}

export class ScalePermutedBackbone extends Module {
  readonly conv1: ConvNorm;
  readonly initBlock1: Sequential;
  readonly initBlock2: Sequential;
  readonly mergeOps: Merge[];
  readonly scalePermutedBlocks: Sequential[];
  readonly #endpoints = new Map<number, ConvNorm>();
  readonly #options: ScalePermutedOptions;
  readonly #maxPool = new MaxPool2d(3, { stride: 2, padding: 1 });
  /** The highest block that reads each one. */
  readonly #lastReader: readonly number[];

  /** @throws InputError when the plan is not sound (checkBlockSpecs) */
  constructor(options: ScalePermutedOptions) {
    super();
    const { blocks, outputLevels, endpointChannels, widthScale, resampleAlpha, repeats, norm, zeroInitResidual } =
      options;
    checkBlockSpecs(blocks, outputLevels);
    this.#options = options;
    const widthOf = (level: number): number => Math.max(1, Math.trunc(LEVEL_WIDTHS[level]! * widthScale));
    const stage = (kind: BlockKind, inChannels: number, width: number): Sequential =>
      new Sequential(
        ...Array.from({ length: repeats }, (_, i) =>
          makeResidualBlock(kind, i === 0 ? inChannels : blockChannels(kind, width), width, norm, zeroInitResidual),
        ),
      );
    const stemWidth = widthOf(STEM_LEVEL);
    const stemBlock = { level: STEM_LEVEL, block: 'bottleneck' } as const;
    const specs = [stemBlock, stemBlock, ...blocks];
    const channelsOf = ({ level, block }: { level: number; block: BlockKind }): number =>
      blockChannels(block, widthOf(level));
    this.conv1 = new ConvNorm(3, STEM_CHANNELS, { kernel: 7, stride: 2, norm });
    this.initBlock1 = stage('bottleneck', STEM_CHANNELS, stemWidth);
    this.initBlock2 = stage('bottleneck', stemWidth * 4, stemWidth);
    const skips = endpointSkips(blocks);
    this.mergeOps = blocks.map((target, index) => {
      const resamples = target.parents.map((parent) => {
        const source = specs[parent]!;
        return new Resample({
          fromLevel: source.level,
          toLevel: target.level,
          inChannels: channelsOf(source),
          hiddenChannels: Math.max(1, Math.trunc(widthOf(source.level) * resampleAlpha)),
          outChannels: channelsOf(target),
          norm,
        });
      });
      return new Merge(target.parents, skips[index]!, resamples);
    });
    this.scalePermutedBlocks = blocks.map((spec) => stage(spec.block, channelsOf(spec), widthOf(spec.level)));
    for (const level of outputLevels) {
      const source = blocks.find((spec) => spec.output && spec.level === level)!;
      this.#endpoints.set(level, new ConvNorm(channelsOf(source), endpointChannels, { norm }));
    }
    const lastReader = specs.map(() => 0);
    for (const [index, merge] of this.mergeOps.entries()) {
      for (const block of merge.reads) lastReader[block] = index + FIRST_BLOCKS;
    }
    this.#lastReader = lastReader;
  }

  /** Of every output. */
  get channels(): number {
    return this.#options.endpointChannels;
  }

  /** Heads on boxes read all levels but the coarsest (SpineNet's Mask R-CNN: P3 to P6). */
  get roiLevels(): number {
    return Math.max(1, this.#options.outputLevels.length - 1);
  }

  /** Input pixels a cell of each output. */
  get strides(): readonly number[] {
    return this.#options.outputLevels.map((level) => 2 ** level);
  }

  override *members(): Iterable<readonly [string, Member]> {
    yield* super.members();
    for (const [level, endpoint] of this.#endpoints) yield [`endpoint_convs.${level}`, endpoint];
  }

  /** [N, 3, H, W] -> [N, endpointChannels, H / 2^level, W / 2^level] of each output level. */
  forward(pixels: Tensor): Features {
    return scope(() => {
      const outputs: Tensor[] = [];
      const endpoints = new Map<number, Tensor>();
      for (const output of this.#blocks(pixels)) {
        const number = outputs.push(output) - 1;
        const spec = this.#options.blocks[number - FIRST_BLOCKS];
        if (spec?.output) endpoints.set(spec.level, this.#endpoints.get(spec.level)!.call(output));
        // The handle alone goes: in training the graph keeps what backward() needs.
        for (const [block, reader] of this.#lastReader.entries()) if (reader === number) outputs[block]?.dispose();
      }
      return this.#options.outputLevels.map((level) => endpoints.get(level)!);
    });
  }

  /** The outputs of the stem (after its pooling) and of all blocks, for looking into the network. */
  trace(pixels: Tensor): { readonly stem: Tensor; readonly blocks: readonly Tensor[] } {
    return { stem: scope(() => this.#stem(pixels)), blocks: scope(() => [...this.#blocks(pixels)]) };
  }

  #stem(pixels: Tensor): Tensor {
    return this.#maxPool.forward(this.conv1.forward(pixels, { relu: true }));
  }

  /** The output of each block in turn. */
  *#blocks(pixels: Tensor): Iterable<Tensor> {
    this.#checkSize([pixels.size(2), pixels.size(3)]);
    const stem = scope(() => this.#stem(pixels));
    const outputs = [this.initBlock1.call(stem)];
    yield outputs[0]!;
    outputs.push(this.initBlock2.call(outputs[0]!));
    yield outputs[1]!;
    for (const [index, merge] of this.mergeOps.entries()) {
      const output = scope(() => this.scalePermutedBlocks[index]!.forward(merge.forward(outputs)));
      outputs.push(output);
      yield output;
    }
  }

  /** Blocks of different levels only meet where every level divides the picture. */
  #checkSize([height, width]: HeightWidth): void {
    const multiple = 2 ** Math.max(STEM_LEVEL, ...this.#options.blocks.map((spec) => spec.level));
    if (height % multiple === 0 && width % multiple === 0) return;
    throw new InputError(
      'config-invalid',
      `preprocess.padMultiple: this backbone needs pictures padded to multiples of ${multiple}, got ${height}x${width}: set it to ${multiple}`,
    );
  }
}
