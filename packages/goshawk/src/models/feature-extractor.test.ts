import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { noGrad, randn, scope } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { makeFeatureExtractor } from './feature-extractor.js';

/** Of a Faster R-CNN's backbone and neck; `further` are keys that this pair asks for. */
function extractorOf(backbone: string, neck: string, further: string) {
  const text = `model: { type: faster_rcnn, backbone: { ${backbone} }, neck: { ${neck} }, ${further} }`;
  const { model } = parseConfig(text, { file: 'test' });
  assert.ok(model.type === 'faster_rcnn');
  return makeFeatureExtractor(model.backbone, model.neck);
}

const FIVE = 'anchors: { sizes: [[8], [16], [32], [64], [128]] }';
const FOUR = 'anchors: { sizes: [[8], [16], [32], [64]] }';
const ONE = 'anchors: { sizes: [[8, 16]] }';
const C4 = `${ONE}, boxHead: { kind: stage5, poolSize: 14 }`;
const RESNET = 'depth: 50, width: 4';

describe('makeFeatureExtractor', () => {
  for (const [what, backbone, neck, further, channels, strides, roiLevels] of [
    ['a pyramid', RESNET, 'channels: 16', FIVE, 16, [4, 8, 16, 32, 64], 4],
    ['a pyramid without the extra level', RESNET, 'channels: 16, extraLevel: none', FOUR, 16, [4, 8, 16, 32], 4],
    [
      'a pyramid with learned extra levels',
      RESNET,
      'channels: 16, extraLevel: convolutions, extraConvolutions: 2',
      'anchors: { sizes: [[8], [16], [32], [64], [128], [256]] }',
      16,
      [4, 8, 16, 32, 64, 128],
      4,
    ],
    ['a pyramid without the finest level', RESNET, 'channels: 16, finestStride: 8', FOUR, 16, [8, 16, 32, 64], 3],
    [
      'a pyramid with a second path without the two finest levels',
      RESNET,
      'type: panet, channels: 16, finestStride: 16, extraLevel: none',
      'anchors: { sizes: [[8], [16]] }',
      16,
      [16, 32],
      2,
    ],
    [
      'a BiFPN without the finest level',
      RESNET,
      'type: bifpn, channels: 16, finestStride: 8',
      FOUR,
      16,
      [8, 16, 32, 64],
      3,
    ],
    ["a pyramid's finest level", RESNET, 'channels: 16, finestOnly: true', ONE, 16, [4], 1],
    ['stage 4', RESNET, 'type: none, stage: 4', C4, 64, [16], 1],
    ['stage 5', RESNET, 'type: none, stage: 5', ONE, 128, [32], 1],
    ['a dilated stage 5', `${RESNET}, lastStageDilation: 2`, 'type: none, stage: 5', ONE, 128, [16], 1],
    [
      'SpineNet',
      'type: spinenet, widthScale: 0.1, endpointChannels: 16, repeats: 1',
      'type: none',
      FIVE,
      16,
      [8, 16, 32, 64, 128],
      4,
    ],
  ] as const) {
    test(`gives levels of the channels and strides that it names: ${what}`, () =>
      scope(() => {
        const extractor = extractorOf(backbone, neck, further);
        assert.deepEqual([extractor.channels, extractor.strides, extractor.roiLevels], [channels, strides, roiLevels]);
        const levels = noGrad(() => extractor.eval().forward(randn([1, 3, 128, 256])));
        assert.deepEqual(
          levels.map((level) => level.shape),
          strides.map((stride) => [1, channels, 128 / stride, 256 / stride]),
        );
      }));
  }
});
