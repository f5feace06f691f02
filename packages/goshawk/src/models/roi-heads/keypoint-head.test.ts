import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { init, ops, randn, scope } from '@goshawk/torch';
import { CONVENTIONS } from '../conventions.js';
import { KeypointHead, KeypointPredictor } from './keypoint-head.js';

describe('KeypointHead', () => {
  test('keeps the resolution, whatever its kernels, and has no negative outputs', () =>
    scope(() => {
      for (const kernelSize of [1, 3, 5, 7] as const) {
        const hidden = new KeypointHead(6, { channels: [8, 5], kernelSize }).call(randn([2, 6, 9, 9]));
        assert.deepEqual(hidden.shape, [2, 5, 9, 9]);
        assert.ok(hidden.toNumbers().every((value) => value >= 0));
      }
    }));
});

describe('KeypointPredictor', () => {
  for (const [output, upsampleRatio, side, names] of [
    ['deconvolution', 2, 56, ['kps_score_lowres', 'upsample']],
    ['deconvolution', 1, 28, ['kps_score_lowres']],
    ['convolution', 2, 28, ['kps_score_lowres', 'upsample']],
    ['convolution', 1, 14, ['kps_score_lowres']],
    ['deconvolution_convolution', 2, 56, ['kps_deconv', 'kps_score_lowres', 'upsample']],
    ['two_deconvolutions', 1, 56, ['kps_deconv', 'kps_score_lowres']],
    ['two_deconvolutions', 2, 112, ['kps_deconv', 'kps_score_lowres', 'upsample']],
  ] as const) {
    for (const rules of ['torchvision', 'detectron', 'mmdetection'] as const) {
      test(`makes heatmaps of ${side} cells a side by a ${output} and ${rules}'s enlarging by ${upsampleRatio}`, () =>
        scope(() => {
          const options = { output, hiddenChannels: 4, upsampleRatio };
          const predictor = new KeypointPredictor(6, 3, options, CONVENTIONS[rules]);
          assert.deepEqual(predictor.forward(randn([2, 6, 14, 14])).shape, [2, 3, side, side]);
          const state = [...predictor.stateDict().keys()];
          // An interpolation has no weights.
          const own = rules === 'torchvision' ? names.filter((name) => name !== 'upsample') : names;
          assert.deepEqual(
            state,
            own.flatMap((name) => [`${name}.weight`, `${name}.bias`]),
          );
        }));
    }
  }

  test("repeats the border by torchvision's rules, and reads zeros behind it by Detectron's", () =>
    scope(() => {
      const ones = ops.ones([1, 2, 4, 4]);
      const cornerOf = (rules: 'torchvision' | 'detectron'): number => {
        const options = { output: 'convolution', hiddenChannels: 4, upsampleRatio: 2 } as const;
        const predictor = new KeypointPredictor(2, 1, options, CONVENTIONS[rules]);
        init.constant(predictor.kpsScoreLowres.weight, 0.5);
        return predictor.forward(ones).toNumbers()[0]!;
      };
      // A quarter of the way to what lies behind the corner, along both sides: 0.75 * 0.75 of a 1 beside zeros.
      assert.deepEqual([cornerOf('torchvision'), cornerOf('detectron')], [1, 0.5625]);
    }));
});
