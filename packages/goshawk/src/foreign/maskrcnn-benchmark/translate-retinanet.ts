// maskrcnn-benchmark's RetinaNet (modeling/rpn/retinanet/) as the model part of ours.
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import { bodyChannels, checkList, classesOf } from './common-keys.js';
import type { MaskrcnnSettings } from './keys.js';
import type { Body } from './module-names.js';

const STRIDES = [8, 16, 32, 64, 128];

export function translateRetinaNet(settings: MaskrcnnSettings, body: Body, backbone: ConfigPart): ConfigPart {
  const { RETINANET, MASK_ON, KEYPOINT_ON, RPN_ONLY, BACKBONE, FPN } = settings.values.MODEL;
  if (body.kind !== 'FPN-RETINANET') {
    const message = `is ${BACKBONE.CONV_BODY}, but MODEL.RETINANET_ON needs a pyramid of its own: take R-50-FPN-RETINANET`;
    throw keyError(settings, 'MODEL.BACKBONE.CONV_BODY', message);
  }
  for (const [key, on] of [
    ['MODEL.MASK_ON', MASK_ON],
    ['MODEL.KEYPOINT_ON', KEYPOINT_ON],
  ] as const)
    if (on)
      throw keyError(settings, key, 'is True, but heads on the boxes of a RetinaNet are not built here: remove it');
  if (!RPN_ONLY)
    throw keyError(
      settings,
      'MODEL.RPN_ONLY',
      'is False, but a RetinaNet has no second stage here: set it to True, as its configs do',
    );
  if (FPN.USE_GN)
    throw keyError(settings, 'MODEL.FPN.USE_GN', "is True, which is not supported in a RetinaNet's pyramid: remove it");
  checkList(settings, 'MODEL.RETINANET.ANCHOR_STRIDES', RETINANET.ANCHOR_STRIDES, STRIDES);
  return {
    type: 'retinanet',
    conventions: 'maskrcnn_benchmark',
    ...classesOf(settings, 'MODEL.RETINANET.NUM_CLASSES', RETINANET.NUM_CLASSES),
    backbone,
    neck: { channels: bodyChannels(settings), extraLevelsFrom: RETINANET.USE_C5 ? 'c5' : 'p5' },
    anchors: {
      octaveBaseScale: octaveBaseScale(settings),
      scalesPerOctave: RETINANET.SCALES_PER_OCTAVE,
      ratios: [...RETINANET.ASPECT_RATIOS],
    },
    head: {
      convolutions: RETINANET.NUM_CONVS,
      prior: RETINANET.PRIOR_PROB,
      foregroundIou: RETINANET.FG_IOU_THRESHOLD,
      backgroundIou: RETINANET.BG_IOU_THRESHOLD,
      focalAlpha: RETINANET.LOSS_ALPHA,
      focalGamma: RETINANET.LOSS_GAMMA,
      boxLoss: 'smooth_l1',
      smoothL1Beta: RETINANET.BBOX_REG_BETA,
      // retinanet.py: BoxCoder(weights=(10., 10., 5., 5.)).
      regressionWeights: [10, 10, 5, 5],
      boxLossWeight: 1 / RETINANET.BBOX_REG_WEIGHT,
      preNmsTopN: RETINANET.PRE_NMS_TOP_N,
      scoreThreshold: RETINANET.INFERENCE_TH,
      nmsThreshold: RETINANET.NMS_TH,
      maxDetections: settings.values.TEST.DETECTIONS_PER_IMG,
    },
  };
}

function octaveBaseScale(settings: MaskrcnnSettings): number {
  const { ANCHOR_SIZES } = settings.values.MODEL.RETINANET;
  const scales = ANCHOR_SIZES.map((size, level) => size / STRIDES[level]!);
  if (scales.length === STRIDES.length && scales.every((scale) => scale === scales[0])) return scales[0]!;
  const message = `is ${show(ANCHOR_SIZES)}, expected five lengths in proportion to the strides: correct it, as (32, 64, 128, 256, 512)`;
  throw keyError(settings, 'MODEL.RETINANET.ANCHOR_SIZES', message);
}
