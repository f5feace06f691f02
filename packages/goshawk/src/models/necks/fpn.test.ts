import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, init, noGrad, ops, randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { Fpn } from './fpn.js';

/** A pyramid of one channel whose convolutions pass everything on unchanged. */
function identityFpn(levels: number, extraLevel: boolean): Fpn {
  const fpn = new Fpn({
    inChannels: new Array<number>(levels).fill(1),
    channels: 1,
    ...(extraLevel && { extra: { kind: 'pool' } }),
  });
  noGrad(() => {
    for (const [name, parameter] of fpn.namedParameters()) {
      init.constant(parameter, 0);
      if (name.startsWith('inner_blocks') && name.endsWith('weight')) init.constant(parameter, 1);
      // The middle of the 3x3 window.
      if (name.startsWith('layer_blocks') && name.endsWith('weight'))
        ops.fill_(ops.narrow(ops.view(parameter, [9]), 0, 4, 1), 1);
    }
  });
  return fpn;
}

const map = (rows: readonly (readonly number[])[]): Tensor =>
  tensor(rows.flat(), { shape: [1, 1, rows.length, rows[0]!.length] });

describe('Fpn', () => {
  test('adds the coarser level, doubled without smoothing, to the finer one', () =>
    scope(() => {
      const fine = map([
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ]);
      const [p2, p3] = identityFpn(2, false).forward([fine, map([[10, 20]])]);
      assertClose(p3!, [10, 20]);
      assertClose(p2!, [11, 12, 23, 24, 15, 16, 27, 28]);
    }));

  test('passes sums on downwards through all levels', () =>
    scope(() => {
      const ones = (height: number, width: number): Tensor => ops.ones([1, 1, height, width]);
      const levels = identityFpn(3, false).forward([ones(4, 4), ones(2, 2), ones(1, 1)]);
      assert.deepEqual(
        levels.map((level) => level.toNumbers()[0]),
        [3, 2, 1],
      );
    }));

  test('doubles odd sides by the nearest cell', () =>
    scope(() => {
      const zero = map([[0, 0, 0]]);
      const [p2] = identityFpn(2, false).forward([zero, map([[10, 20]])]);
      assertClose(p2!, [10, 10, 20]);
    }));

  test('takes every second cell of the coarsest level for the extra one', () =>
    scope(() => {
      const levels = identityFpn(1, true).forward([
        map([
          [1, 2, 3],
          [4, 5, 6],
          [7, 8, 9],
        ]),
      ]);
      assert.deepEqual(levels[1]!.shape, [1, 1, 2, 2]);
      assertClose(levels[1]!, [1, 3, 7, 9]);
    }));

  test("names its tensors as torchvision's, and starts biases at 0", () => {
    const fpn = new Fpn({ inChannels: [8, 16], channels: 4, extra: { kind: 'pool' } });
    const shapes = Object.fromEntries([...fpn.stateDict()].map(([name, value]) => [name, value.shape.join(' ')]));
    assert.deepEqual(shapes, {
      'inner_blocks.0.0.weight': '4 8 1 1',
      'inner_blocks.0.0.bias': '4',
      'inner_blocks.1.0.weight': '4 16 1 1',
      'inner_blocks.1.0.bias': '4',
      'layer_blocks.0.0.weight': '4 4 3 3',
      'layer_blocks.0.0.bias': '4',
      'layer_blocks.1.0.weight': '4 4 3 3',
      'layer_blocks.1.0.bias': '4',
    });
    for (const [name, value] of fpn.stateDict())
      if (name.endsWith('bias')) assert.deepEqual(value.toNumbers(), [0, 0, 0, 0]);
  });

  test('makes the finest level alone where asked, of all levels', () =>
    scope(() => {
      const fpn = new Fpn({ inChannels: [8, 16, 32], channels: 4, finestOnly: true });
      const input = [16, 8, 4].map((side, level) => randn([1, 8 * 2 ** level, side, side]));
      const outputs = fpn.forward(input);
      assert.deepEqual(
        outputs.map((level) => level.shape),
        [[1, 4, 16, 16]],
      );
      assert.equal(fpn.layerBlocks.length, 1);
      const all = new Fpn({ inChannels: [8, 16, 32], channels: 4 });
      all.loadStateDict(new Map([...all.stateDict(), ...fpn.stateDict()]));
      assertClose(outputs[0]!, all.forward(input)[0]!);
    }));

  test("adds learned coarser levels: of the backbone's last one, then of the positive part of the one before", () =>
    scope(() => {
      const fpn = new Fpn({ inChannels: [1, 1], channels: 1, extra: { kind: 'convolutions', count: 2 } });
      noGrad(() => {
        for (const [name, parameter] of fpn.namedParameters()) {
          init.constant(parameter, 0);
          // Only the centre of each 3x3 kernel counts, so a level is every second cell, with the sign turned.
          if (/^extra_convs.*weight$/.test(name)) ops.fill_(ops.narrow(ops.view(parameter, [9]), 0, 4, 1), -1);
        }
      });
      const coarse = tensor([1, 5, -2, 5, 5, 5, 5, 5, 3, 5, -4, 5, 5, 5, 5, 5], { shape: [1, 1, 4, 4] });
      const levels = fpn.forward([ops.zeros([1, 1, 8, 8]), coarse]);
      assert.deepEqual(
        levels.map((level) => level.size(2)),
        [8, 4, 2, 1],
      );
      assertClose(ops.view(levels[2]!, [4]), [-1, 2, -3, 4]);
      // The first cell is negative, so nothing is left of it.
      assertClose(ops.view(levels[3]!, [1]), [0]);
    }));

  test('has group norms for biases where asked', () =>
    scope(() => {
      const fpn = new Fpn({ inChannels: [8, 16], channels: 32, extra: { kind: 'pool' }, norm: 'group' });
      assert.deepEqual(
        [...fpn.stateDict().keys()].filter((name) => name.startsWith('inner_blocks.0')),
        ['inner_blocks.0.0.weight', 'inner_blocks.0.1.weight', 'inner_blocks.0.1.bias'],
      );
      const levels = fpn.forward([randn([1, 8, 4, 4]), randn([1, 16, 2, 2])]);
      // 32 groups of one channel each: every map has mean 0 and variance 1.
      const maps = ops.view(levels[0]!, [32, 16]);
      assertClose(ops.mean(maps, [1]), new Array<number>(32).fill(0), { absolute: 1e-5 });
      assertClose(ops.mean(ops.mul(maps, maps), [1]), new Array<number>(32).fill(1), { absolute: 1e-2 });
    }));

  test('has batch norms for biases where asked, also in front of the top-down sum', () =>
    scope(() => {
      const fpn = new Fpn({ inChannels: [8, 16], channels: 4, norm: 'batch' });
      assert.deepEqual(
        [...fpn.stateDict().keys()].filter((name) => name.startsWith('inner_blocks.0')),
        ['0.weight', '1.weight', '1.bias', '1.running_mean', '1.running_var', '1.num_batches_tracked'].map(
          (leaf) => `inner_blocks.0.${leaf}`,
        ),
      );
      const [fine] = fpn.forward([randn([2, 8, 4, 4]), randn([2, 16, 2, 2])]);
      // Over the batch every channel has mean 0 and variance 1.
      const channels = ops.reshape(ops.transpose(fine!, 0, 1), [4, 32]);
      assertClose(ops.mean(channels, [1]), [0, 0, 0, 0], { absolute: 1e-5 });
      assertClose(ops.mean(ops.mul(channels, channels), [1]), [1, 1, 1, 1], { absolute: 1e-2 });
    }));

  test('starts with the coarsest level alone where lateral convolutions start at zero', () =>
    scope(() => {
      for (const norm of ['none', 'group'] as const) {
        const fpn = new Fpn({ inChannels: [8, 16], channels: 32, zeroInitLateral: true, norm });
        const top = randn([1, 16, 2, 2]);
        const run = (fine: Tensor): Tensor => fpn.forward([fine, top])[0]!;
        const [one, other] = [run(randn([1, 8, 4, 4])), run(randn([1, 8, 4, 4]))];
        assertClose(one, other);
        assert.ok(one.toNumbers().some((value) => value !== 0));
      }
    }));
});
