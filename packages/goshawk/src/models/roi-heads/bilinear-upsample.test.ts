import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { assertClose, manualSeed, ops, randn, scope } from '@goshawk/torch';
import { BilinearUpsample } from './bilinear-upsample.js';

describe('BilinearUpsample', () => {
  for (const ratio of [2, 3, 4, 5, 8]) {
    test(`of ${ratio} enlarges as bilinear interpolation does, but at the border, behind which it reads zeros`, () =>
      scope(() => {
        manualSeed(ratio);
        const [height, width] = [4, 6];
        const input = randn([2, 3, height, width]);
        const own = new BilinearUpsample(3, ratio).forward(input);
        assert.deepEqual(own.shape, [2, 3, height * ratio, width * ratio]);
        const padded = ops.constant_pad_nd(input, [1, 1, 1, 1]);
        const reference = ops.upsample_bilinear2d(padded, [(height + 2) * ratio, (width + 2) * ratio], false);
        const inside = ops.narrow(ops.narrow(reference, 2, ratio, height * ratio), 3, ratio, width * ratio);
        assertClose(own, inside, { absolute: 1e-5 });
      }));
  }

  test('has constants that do not learn and need not be in a file', () => {
    const upsample = new BilinearUpsample(2, 2);
    assert.deepEqual([...upsample.stateDict().keys()], ['weight', 'bias']);
    assert.ok(upsample.parameters().every((parameter) => !parameter.requiresGrad));
    assert.deepEqual(upsample.toleratedState(), ['weight', 'bias']);
  });
});
