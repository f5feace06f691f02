// The plan of a scale-permuted network: which blocks there are, what they read, which of them are outputs; as data.
import { InputError } from '@goshawk/core';
import type { BlockKind } from './spinenet-layers.js';

/** One block; its number is its place in the list plus 2, since 0 and 1 are the blocks behind the stem. */
export interface BlockSpec {
  /** Its resolution is the input's over 2^level. */
  readonly level: number;
  readonly block: BlockKind;
  /** Numbers of the two blocks that it reads. */
  readonly parents: readonly [number, number];
  /** Whether it is an output of its level. Default false. */
  readonly output?: boolean;
}

/** The blocks behind the stem: bottlenecks at level 2. */
export const FIRST_BLOCKS = 2;
export const STEM_LEVEL = 2;
const LOWEST_LEVEL = 1;
const HIGHEST_LEVEL = 7;

/**
 * Refuses plans that cannot be built or that compute something for nothing.
 * @param where the place of `blocks` in a config, for the message
 * @throws InputError naming the block
 */
export function checkBlockSpecs(
  blocks: readonly BlockSpec[],
  outputLevels: readonly number[],
  where = 'model.backbone.blocks',
): void {
  const last = blocks.length + FIRST_BLOCKS - 1;
  const fail = (index: number, problem: string): never => {
    throw new InputError('config-invalid', `${where}[${index}] (block ${index + FIRST_BLOCKS}): ${problem}`);
  };
  const read = new Set<number>();
  const outputs = new Map<number, number>();
  for (const [index, { level, parents, output }] of blocks.entries()) {
    const number = index + FIRST_BLOCKS;
    if (!Number.isInteger(level) || level < LOWEST_LEVEL || level > HIGHEST_LEVEL)
      fail(index, `level must be ${LOWEST_LEVEL} to ${HIGHEST_LEVEL}, got ${level}: take one of these`);
    if (parents.length !== 2) fail(index, `must have 2 parents, got ${parents.length}: name two blocks`);
    for (const parent of parents) {
      if (!Number.isInteger(parent) || parent < 0 || parent > last)
        fail(index, `parent ${parent} does not exist: blocks are numbered 0 to ${last}, take one below ${number}`);
      if (parent === number) fail(index, 'is its own parent: take a block before it');
      if (parent > number)
        fail(index, `parent ${parent} comes after it, a cycle or a wrong order: list every block behind its parents`);
      read.add(parent);
    }
    if (!output) continue;
    if (!outputLevels.includes(level))
      fail(
        index,
        `is an output of level ${level}, which is not among the output levels ${outputLevels.join(', ')}: drop output`,
      );
    const other = outputs.get(level);
    if (other !== undefined) fail(index, `is a second output of level ${level} beside block ${other}: keep one`);
    outputs.set(level, number);
  }
  const missing = outputLevels.filter((level) => !outputs.has(level));
  if (missing.length > 0)
    throw new InputError(
      'config-invalid',
      `${where}: no block is the output of level ${missing.join(', ')}: set output on one`,
    );
  const skipped = new Set(endpointSkips(blocks).flat());
  for (const [index, { output }] of blocks.entries()) {
    const number = index + FIRST_BLOCKS;
    if (!output && !read.has(number) && !skipped.has(number))
      fail(index, 'is read by no block and is no output: name it as a parent, or remove it');
  }
}

/**
 * For each block the numbers of the blocks that are added to its input besides its parents: an output takes every earlier
 * block of its level and kind that no block before it reads (SpineNet's code compares shapes instead, which on small
 * pictures also joins levels of equal size).
 */
export function endpointSkips(blocks: readonly BlockSpec[]): readonly (readonly number[])[] {
  const used = new Set<number>();
  return blocks.map(({ level, block, parents, output }, index) => {
    const skips: number[] = [];
    for (const parent of parents) used.add(parent);
    if (output) {
      for (let other = 0; other < index + FIRST_BLOCKS; other++) {
        if (used.has(other)) continue;
        const spec = blocks[other - FIRST_BLOCKS];
        const sameShape = spec
          ? spec.level === level && spec.block === block
          : level === STEM_LEVEL && block === 'bottleneck';
        if (sameShape) skips.push(other);
      }
      for (const skip of skips) used.add(skip);
    }
    return skips;
  });
}
