// The network that a Detectron config describes, as the model part of ours. Rules from Detectron.pytorch's
// lib/modeling (model_builder, ResNet, FPN, rpn_heads, *_heads) and lib/core/config.py (assert_and_infer_cfg).
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import type { DetectronSettings } from './keys.js';
import { type Body, type BoxHeadName, checkKeypointHead, readBody, readBoxHead, readMaskHead } from './module-names.js';

/** @param notices gets a line for what a reader should know */
export function translateModel(settings: DetectronSettings, notices: string[]): ConfigPart {
  const { MODEL, FPN } = settings.values;
  const body = readBody(settings);
  if (FPN.FPN_ON !== body.isFpn) {
    const needed = body.isFpn
      ? 'is an FPN body, which needs FPN.FPN_ON: True'
      : 'is no FPN body, which needs FPN.FPN_ON: False';
    throw keyError(settings, 'MODEL.CONV_BODY', `${MODEL.CONV_BODY} ${needed}`);
  }
  checkLevels(settings, body);
  const stageOne = {
    conventions: 'detectron',
    ...(settings.set.has('MODEL.NUM_CLASSES') ? { classes: MODEL.NUM_CLASSES - 1 } : {}),
    backbone: translateBackbone(settings, body, notices),
    neck: translateNeck(settings, body),
    anchors: translateAnchors(settings, body),
    rpn: translateRpn(settings, body, notices),
  };
  if (MODEL.RPN_ONLY) return { type: 'rpn', ...stageOne };
  const boxHead = readBoxHead(settings, notices);
  const stageTwo = {
    ...stageOne,
    proposals: MODEL.FASTER_RCNN ? 'rpn' : 'stored',
    boxHead: translateBoxHead(settings, boxHead),
  };
  const masks = MODEL.MASK_ON ? { maskHead: translateMaskHead(settings) } : {};
  if (MODEL.KEYPOINTS_ON)
    return { type: 'keypoint_rcnn', ...stageTwo, ...masks, keypointHead: translateKeypointHead(settings) };
  return { type: MODEL.MASK_ON ? 'mask_rcnn' : 'faster_rcnn', ...stageTwo, ...masks };
}

function checkLevels(settings: DetectronSettings, body: Body): void {
  const { FPN, MODEL } = settings.values;
  if (!body.isFpn) return;
  // Detectron's own configs leave out what their network has not.
  const matters = { MULTILEVEL_ROIS: !MODEL.RPN_ONLY, MULTILEVEL_RPN: MODEL.FASTER_RCNN || MODEL.RPN_ONLY };
  for (const key of ['MULTILEVEL_ROIS', 'MULTILEVEL_RPN'] as const) {
    if (matters[key] && FPN[key] === body.finestOnly) {
      const expected = show(!body.finestOnly);
      throw keyError(
        settings,
        `FPN.${key}`,
        `is ${show(FPN[key])}, which ${settings.values.MODEL.CONV_BODY} does not go with: set it to ${expected}`,
      );
    }
  }
  const largest = FPN.EXTRA_CONV_LEVELS ? 9 : 6;
  if (FPN.RPN_MAX_LEVEL < 5 || FPN.RPN_MAX_LEVEL > largest) {
    const advice = FPN.EXTRA_CONV_LEVELS ? 'correct it' : 'correct it, or set FPN.EXTRA_CONV_LEVELS to True';
    throw keyError(settings, 'FPN.RPN_MAX_LEVEL', `is ${FPN.RPN_MAX_LEVEL}, expected 5 to ${largest}: ${advice}`);
  }
}

function translateBackbone(settings: DetectronSettings, body: Body, notices: string[]): ConfigPart {
  const { RESNETS, TRAIN, MODEL } = settings.values;
  const usesGroupNorm = RESNETS.USE_GN || RESNETS.TRANS_FUNC === 'bottleneck_gn_transformation';
  checkNormFunctions(settings, usesGroupNorm);
  const weights = pretrainedWeights(settings, notices);
  const frozenStages = TRAIN.FREEZE_CONV_BODY ? 5 : TRAIN.FREEZE_AT >= 0 ? TRAIN.FREEZE_AT : RESNETS.FREEZE_AT;
  if (frozenStages > 0 && !MODEL.LOAD_IMAGENET_PRETRAINED_WEIGHTS) {
    notices.push(
      `${settings.file}: trains from random weights with RESNETS.FREEZE_AT ${frozenStages}, so the stem and the first stages stay random: --set RESNETS.FREEZE_AT 0 lets them learn`,
    );
  }
  const isPlain = RESNETS.NUM_GROUPS === 1 && RESNETS.WIDTH_PER_GROUP === 64;
  return {
    type: 'resnet',
    depth: body.depth,
    ...(isPlain ? {} : { groups: RESNETS.NUM_GROUPS, widthPerGroup: RESNETS.WIDTH_PER_GROUP }),
    strideIn1x1: RESNETS.STRIDE_1X1,
    lastStageDilation: RESNETS.RES5_DILATION,
    norm: usesGroupNorm ? 'group' : 'affine',
    frozenStages,
    ...(weights === undefined ? {} : { weights }),
  };
}

function checkNormFunctions(settings: DetectronSettings, usesGroupNorm: boolean): void {
  const { RESNETS } = settings.values;
  const infix = usesGroupNorm ? 'gn' : 'bn';
  const expected = {
    TRANS_FUNC: usesGroupNorm ? 'bottleneck_gn_transformation' : 'bottleneck_transformation',
    STEM_FUNC: `basic_${infix}_stem`,
    SHORTCUT_FUNC: `basic_${infix}_shortcut`,
  };
  for (const key of ['TRANS_FUNC', 'STEM_FUNC', 'SHORTCUT_FUNC'] as const) {
    if (RESNETS[key] === expected[key]) continue;
    const reason = usesGroupNorm ? 'the other keys ask for group norm' : 'without group norm';
    throw keyError(settings, `RESNETS.${key}`, `is ${RESNETS[key]}; ${reason} it is ${expected[key]}: set it so`);
  }
}

/** Step 4 of the document's transformation: Detectron's TRAIN.WEIGHTS is the file that its backbone starts from. */
function pretrainedWeights(settings: DetectronSettings, notices: string[]): string | undefined {
  const { MODEL, RESNETS, TRAIN } = settings.values;
  if (!MODEL.LOAD_IMAGENET_PRETRAINED_WEIGHTS) return undefined;
  if (RESNETS.IMAGENET_PRETRAINED_WEIGHTS !== '') return RESNETS.IMAGENET_PRETRAINED_WEIGHTS;
  if (TRAIN.WEIGHTS === '') return undefined;
  if (!/^https?:/.test(TRAIN.WEIGHTS)) return TRAIN.WEIGHTS;
  const file = `data/pretrained_model/${TRAIN.WEIGHTS.slice(TRAIN.WEIGHTS.lastIndexOf('/') + 1)}`;
  notices.push(
    `${settings.given.get('TRAIN.WEIGHTS')}: TRAIN.WEIGHTS is an address: training starts from ${file}; put the file there`,
  );
  return file;
}

function translateNeck(settings: DetectronSettings, body: Body): ConfigPart {
  const { FPN } = settings.values;
  if (!body.isFpn) return { type: 'none', stage: body.stage };
  return {
    type: 'fpn',
    channels: FPN.DIM,
    ...translateExtraLevels(settings, body),
    norm: FPN.USE_GN ? 'group' : 'none',
    finestOnly: body.finestOnly,
    zeroInitLateral: FPN.ZERO_INIT_LATERAL,
  };
}

function translateExtraLevels({ values: { FPN } }: DetectronSettings, body: Body): ConfigPart {
  const extraLevels = FPN.RPN_MAX_LEVEL - 5;
  if (body.finestOnly || extraLevels === 0) return { extraLevel: 'none' };
  return FPN.EXTRA_CONV_LEVELS
    ? { extraLevel: 'convolutions', extraConvolutions: extraLevels }
    : { extraLevel: 'pool' };
}

function translateAnchors({ values: { FPN, RPN } }: DetectronSettings, body: Body): ConfigPart {
  if (!body.isFpn || body.finestOnly) return { sizes: [[...RPN.SIZES]], ratios: [...RPN.ASPECT_RATIOS] };
  const levels = FPN.RPN_MAX_LEVEL - FPN.RPN_MIN_LEVEL + 1;
  const sizes = Array.from({ length: levels }, (_, level) => [FPN.RPN_ANCHOR_START_SIZE * 2 ** level]);
  return { sizes, ratios: [...FPN.RPN_ASPECT_RATIOS] };
}

function translateRpn(settings: DetectronSettings, body: Body, notices: string[]): ConfigPart {
  const { RPN, TRAIN, TEST, FPN } = settings.values;
  for (const key of ['RPN_NMS_THRESH', 'RPN_MIN_SIZE'] as const) {
    if (TRAIN[key] !== TEST[key]) {
      notices.push(
        `${settings.given.get(`TRAIN.${key}`) ?? settings.file}: TRAIN.${key} is ${TRAIN[key]}, TEST.${key} ${TEST[key]}: TEST's is used in both`,
      );
    }
  }
  const hasOwnWidth = !RPN.OUT_DIM_AS_IN_DIM;
  const isMultilevel = body.isFpn && !body.finestOnly;
  if (hasOwnWidth && isMultilevel) {
    notices.push(
      `${settings.given.get('RPN.OUT_DIM_AS_IN_DIM')}: RPN.OUT_DIM_AS_IN_DIM has no effect with FPN, as in the original: its RPN is as wide as the pyramid`,
    );
  }
  return {
    preNmsTopN: { train: TRAIN.RPN_PRE_NMS_TOP_N, test: TEST.RPN_PRE_NMS_TOP_N },
    postNmsTopN: { train: Math.trunc(TRAIN.RPN_POST_NMS_TOP_N * FPN.RPN_COLLECT_SCALE), test: TEST.RPN_POST_NMS_TOP_N },
    // Over several levels the originals keep the best of all images of a GPU together.
    collectImages: isMultilevel ? TRAIN.IMS_PER_BATCH : 0,
    nmsThreshold: TEST.RPN_NMS_THRESH,
    foregroundIou: TRAIN.RPN_POSITIVE_OVERLAP,
    backgroundIou: TRAIN.RPN_NEGATIVE_OVERLAP,
    batchSizePerImage: TRAIN.RPN_BATCH_SIZE_PER_IM,
    positiveFraction: TRAIN.RPN_FG_FRACTION,
    minSize: TEST.RPN_MIN_SIZE,
    // A negative threshold takes all anchors.
    ...(TRAIN.RPN_STRADDLE_THRESH >= 0 ? { straddle: TRAIN.RPN_STRADDLE_THRESH } : {}),
    ...(hasOwnWidth && !isMultilevel ? { hiddenChannels: RPN.OUT_DIM } : {}),
    activation: RPN.CLS_ACTIVATION,
  };
}

function translateBoxHead(settings: DetectronSettings, name: BoxHeadName): ConfigPart {
  const { FAST_RCNN, MODEL, TRAIN, TEST } = settings.values;
  const { SOFT_NMS, BBOX_VOTE } = TEST;
  const convolves = name === 'convolutions' || name === 'convolutions_gn';
  return {
    kind: convolves ? 'convolutions' : name,
    ...(convolves
      ? {
          convolutions: { count: FAST_RCNN.NUM_STACKED_CONVS, channels: FAST_RCNN.CONV_HEAD_DIM },
          norm: name === 'convolutions_gn' ? 'group' : 'none',
        }
      : {}),
    foregroundIou: TRAIN.FG_THRESH,
    backgroundIou: TRAIN.BG_THRESH_HI,
    batchSizePerImage: TRAIN.BATCH_SIZE_PER_IM,
    positiveFraction: TRAIN.FG_FRACTION,
    ...(name === 'stage5' ? {} : { hiddenSize: FAST_RCNN.MLP_HEAD_DIM }),
    ...translatePooling(settings, 'FAST_RCNN'),
    classAgnostic: MODEL.CLS_AGNOSTIC_BBOX_REG,
    regressionWeights: [...MODEL.BBOX_REG_WEIGHTS],
    // Where the original's smooth L1 turns linear for boxes (net_utils.smooth_l1_loss, beta 1).
    smoothL1Beta: 1,
    scoreThreshold: TEST.SCORE_THRESH,
    nmsThreshold: TEST.NMS,
    ...(SOFT_NMS.ENABLED ? { softNms: { method: SOFT_NMS.METHOD, sigma: SOFT_NMS.SIGMA } } : {}),
    ...(BBOX_VOTE.ENABLED
      ? {
          boxVoting: {
            threshold: BBOX_VOTE.VOTE_TH,
            scoring: BBOX_VOTE.SCORING_METHOD.toLowerCase(),
            beta: BBOX_VOTE.SCORING_METHOD_BETA,
          },
        }
      : {}),
    maxDetections: TEST.DETECTIONS_PER_IM,
  };
}

function translateMaskHead(settings: DetectronSettings): ConfigPart {
  const { MRCNN } = settings.values;
  const head = readMaskHead(settings);
  // Stage 5 halves 14 x 14 cells (ROI_XFORM_RESOLUTION // 7 is its stride); the upsampling layer doubles them again.
  const cells = head.kind === 'convolutions' ? MRCNN.ROI_XFORM_RESOLUTION : 7;
  checkResolution(settings, 'MRCNN.RESOLUTION', MRCNN.RESOLUTION, cells * 2 * MRCNN.UPSAMPLE_RATIO);
  return {
    kind: head.kind,
    ...translatePooling(settings, 'MRCNN'),
    channels: Array.from({ length: head.convolutions }, () => MRCNN.DIM_REDUCED),
    ...(head.convolutions === 0 ? { upsampleChannels: MRCNN.DIM_REDUCED } : {}),
    // A shared stage 5 is the box head's, which has none.
    dilation: head.kind === 'stage5_shared' ? 1 : MRCNN.DILATION,
    norm: head.norm,
    ...(MRCNN.USE_FC_OUTPUT ? { output: 'fully_connected' } : {}),
    classAgnostic: !MRCNN.CLS_SPECIFIC_MASK,
    upsampleRatio: MRCNN.UPSAMPLE_RATIO,
    lossWeight: MRCNN.WEIGHT_LOSS_MASK,
    threshold: MRCNN.THRESH_BINARIZE,
  };
}

const confidences: Readonly<Record<string, string>> = { bbox: 'box', logit: 'mean_logit', prob: 'mean_probability' };

// The fixed threshold of the original's nms_oks (lib/core/test.py).
const NMS_OKS_THRESHOLD = 0.3;

const MOST_CONVOLUTIONS = 64;

function translateKeypointHead(settings: DetectronSettings): ConfigPart {
  const { KRCNN } = settings.values;
  checkKeypointHead(settings);
  const upsampleRatio = Math.max(1, KRCNN.UP_SCALE);
  const deconvolutions = Number(KRCNN.USE_DECONV) + Number(KRCNN.USE_DECONV_OUTPUT);
  if (KRCNN.HEATMAP_SIZE !== -1) {
    checkResolution(
      settings,
      'KRCNN.HEATMAP_SIZE',
      KRCNN.HEATMAP_SIZE,
      KRCNN.ROI_XFORM_RESOLUTION * 2 ** deconvolutions * upsampleRatio,
    );
  }
  if (KRCNN.NUM_STACKED_CONVS < 1 || KRCNN.NUM_STACKED_CONVS > MOST_CONVOLUTIONS) {
    const message = `is ${KRCNN.NUM_STACKED_CONVS}, expected 1 to ${MOST_CONVOLUTIONS}: correct it`;
    throw keyError(settings, 'KRCNN.NUM_STACKED_CONVS', message);
  }
  return {
    ...translatePooling(settings, 'KRCNN'),
    channels: Array.from({ length: KRCNN.NUM_STACKED_CONVS }, () => KRCNN.CONV_HEAD_DIM),
    kernelSize: KRCNN.CONV_HEAD_KERNEL,
    output: keypointOutput(settings),
    hiddenChannels: KRCNN.DECONV_DIM,
    upsampleRatio,
    lossWeight: KRCNN.LOSS_WEIGHT,
    normalize: KRCNN.NORMALIZE_BY_VISIBLE_KEYPOINTS ? 'visible' : 'batch',
    minSize: KRCNN.INFERENCE_MIN_SIZE,
    score: confidences[KRCNN.KEYPOINT_CONFIDENCE],
    ...(KRCNN.NMS_OKS ? { nmsOks: NMS_OKS_THRESHOLD } : {}),
  };
}

function keypointOutput({ values: { KRCNN } }: DetectronSettings): string {
  if (KRCNN.USE_DECONV) return KRCNN.USE_DECONV_OUTPUT ? 'two_deconvolutions' : 'deconvolution_convolution';
  return KRCNN.USE_DECONV_OUTPUT ? 'deconvolution' : 'convolution';
}

const poolings: Readonly<Record<string, string>> = {
  RoIAlign: 'align',
  RoIPoolF: 'pool',
  RoICrop: 'crop',
};

function translatePooling(settings: DetectronSettings, group: 'FAST_RCNN' | 'MRCNN' | 'KRCNN'): ConfigPart {
  const keys = settings.values[group];
  return {
    poolSize: keys.ROI_XFORM_RESOLUTION,
    pooling: poolings[keys.ROI_XFORM_METHOD],
    samplingRatio: keys.ROI_XFORM_SAMPLING_RATIO,
  };
}

function checkResolution(settings: DetectronSettings, key: string, given: number, made: number): void {
  if (given !== made)
    throw keyError(settings, key, `is ${given}, but the head makes ${made} x ${made} cells: set it to ${made}`);
}
