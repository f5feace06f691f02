import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { type BlockSpec, checkBlockSpecs, endpointSkips } from './block-specs.js';
import { SPINENET_BLOCKS, SPINENET_LEVELS } from './spinenet.js';

/** SpineNet's plan with some fields of one block, by its number, replaced. */
const changed = (number: number, fields: Partial<BlockSpec>): BlockSpec[] =>
  SPINENET_BLOCKS.map((spec, index) => (index + 2 === number ? { ...spec, ...fields } : spec));

const refused = (blocks: readonly BlockSpec[], message: RegExp, levels = SPINENET_LEVELS): void => {
  assert.throws(
    () => checkBlockSpecs(blocks, levels),
    (error) => error instanceof InputError && error.code === 'config-invalid' && message.test(error.message),
  );
};

describe('checkBlockSpecs', () => {
  test("accepts SpineNet's plan", () => checkBlockSpecs(SPINENET_BLOCKS, SPINENET_LEVELS));

  test('names the block whose parent does not exist', () => {
    refused(
      changed(7, { parents: [3, 99] }),
      /blocks\[5\] \(block 7\): parent 99 does not exist: blocks are numbered 0 to 16/,
    );
    refused(changed(7, { parents: [-1, 3] }), /block 7\): parent -1 does not exist/);
    refused(changed(7, { parents: [2.5, 3] }), /block 7\): parent 2.5 does not exist/);
  });

  test('refuses a block that reads itself or a later one', () => {
    refused(changed(5, { parents: [5, 2] }), /block 5\): is its own parent/);
    refused(changed(5, { parents: [2, 6] }), /block 5\): parent 6 comes after it/);
  });

  test('refuses a level that does not exist', () => {
    refused(changed(9, { level: 8 }), /block 9\): level must be 1 to 7, got 8/);
    refused(changed(9, { level: 2.5 }), /block 9\): level must be 1 to 7, got 2.5/);
  });

  test('wants one output of each output level', () => {
    refused(changed(16, { output: false }), /no block is the output of level 6/);
    refused(changed(10, { output: true }), /block 14\): is a second output of level 5 beside block 10/);
    refused(
      SPINENET_BLOCKS,
      /block 15\): is an output of level 7, which is not among the output levels 3, 4, 5, 6/,
      [3, 4, 5, 6],
    );
  });

  test('refuses a block that nothing reads', () => {
    refused(changed(11, { level: 2 }), /block 11\): is read by no block and is no output/);
  });
});

describe('endpointSkips', () => {
  test('joins the one unread block of SpineNet to the output of its level: 11 to 14', () => {
    const skips = endpointSkips(SPINENET_BLOCKS).flatMap((own, index) => own.map((skip) => [index + 2, skip]));
    assert.deepEqual(skips, [[14, 11]]);
  });

  test('joins an unread block once, to the first output', () => {
    const blocks: BlockSpec[] = [
      { level: 3, block: 'bottleneck', parents: [0, 1] },
      { level: 3, block: 'bottleneck', parents: [0, 1] },
      { level: 3, block: 'basic', parents: [0, 1] },
      { level: 3, block: 'bottleneck', parents: [0, 3], output: true },
      { level: 4, block: 'bottleneck', parents: [4, 5], output: true },
    ];
    assert.deepEqual(endpointSkips(blocks), [[], [], [], [2], []]);
    checkBlockSpecs(blocks, [3, 4]);
  });
});
