import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randn, scope } from '@goshawk/torch';
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
  ] as const) {
    test(`makes heatmaps of ${side} cells a side by a ${output} and an upsampling of ${upsampleRatio}`, () =>
      scope(() => {
        const predictor = new KeypointPredictor(6, 3, { output, hiddenChannels: 4, upsampleRatio });
        assert.deepEqual(predictor.forward(randn([2, 6, 14, 14])).shape, [2, 3, side, side]);
        const state = [...predictor.stateDict().keys()];
        assert.deepEqual(
          state,
          names.flatMap((name) => [`${name}.weight`, `${name}.bias`]),
        );
      }));
  }
});
