// The network that a maskrcnn-benchmark config describes, as the model part of ours. Rules from its modeling/ (backbone,
// rpn, roi_heads) and, for Res2Net, from Res2Net-maskrcnn's modeling/backbone/res2net.py.
import type { ConfigPart } from '../dialect.js';
import { keyError, show } from '../shared/yaml-settings.js';
import { bodyChannels, checkList, classesOf } from './common-keys.js';
import type { MaskrcnnSettings } from './keys.js';
import { type Body, checkKeypointHead, readBody, readBoxExtractor, readMaskExtractor } from './module-names.js';
import { catalogWeights, type PathsCatalog } from './paths-catalog.js';
import { translateRetinaNet } from './translate-retinanet.js';

/** @param notices gets a line for what a reader should know */
export function translateModel(settings: MaskrcnnSettings, catalog: PathsCatalog, notices: string[]): ConfigPart {
  const { MODEL } = settings.values;
  const body = readBody(settings);
  const backbone = translateBackbone(settings, body, catalog, notices);
  if (MODEL.RETINANET_ON) return translateRetinaNet(settings, body, backbone);
  if (body.kind === 'FPN-RETINANET') {
    const message = `${MODEL.BACKBONE.CONV_BODY} is a RetinaNet's: set MODEL.RETINANET_ON to True, or take R-50-FPN`;
    throw keyError(settings, 'MODEL.BACKBONE.CONV_BODY', message);
  }
  checkPyramid(settings, body);
  const stageOne = {
    conventions: 'maskrcnn_benchmark',
    ...classesOf(settings, 'MODEL.ROI_BOX_HEAD.NUM_CLASSES', MODEL.ROI_BOX_HEAD.NUM_CLASSES),
    backbone,
    neck: translateNeck(settings, body),
    anchors: translateAnchors(settings, body),
    rpn: translateRpn(settings, body),
  };
  if (MODEL.RPN_ONLY) return { type: 'rpn', ...stageOne };
  const stageTwo = { ...stageOne, boxHead: translateBoxHead(settings, body) };
  const masks = MODEL.MASK_ON ? { maskHead: translateMaskHead(settings, body) } : {};
  if (MODEL.KEYPOINT_ON)
    return { type: 'keypoint_rcnn', ...stageTwo, ...masks, keypointHead: translateKeypointHead(settings, body) };
  return { type: MODEL.MASK_ON ? 'mask_rcnn' : 'faster_rcnn', ...stageTwo, ...masks };
}

function checkPyramid(settings: MaskrcnnSettings, { kind }: Body): void {
  const { MODEL } = settings.values;
  const isFpn = kind === 'FPN';
  for (const group of ['RPN', 'ROI_HEADS'] as const) {
    // The second stage of a model of proposals alone is not built.
    if (group === 'ROI_HEADS' && MODEL.RPN_ONLY) continue;
    if (MODEL[group].USE_FPN === isFpn) continue;
    const message = `is ${show(MODEL[group].USE_FPN)}, which ${MODEL.BACKBONE.CONV_BODY} does not go with: set it to ${show(isFpn)}`;
    throw keyError(settings, `MODEL.${group}.USE_FPN`, message);
  }
}

function translateBackbone(
  settings: MaskrcnnSettings,
  { isRes2Net, depth }: Body,
  catalog: PathsCatalog,
  notices: string[],
): ConfigPart {
  const { BACKBONE, RESNETS } = settings.values.MODEL;
  const usesGroupNorm = RESNETS.TRANS_FUNC.endsWith('GN');
  const stem = usesGroupNorm ? 'StemWithGN' : 'StemWithFixedBatchNorm';
  if (RESNETS.STEM_FUNC !== stem) {
    const message = `is ${RESNETS.STEM_FUNC}, which MODEL.RESNETS.TRANS_FUNC ${RESNETS.TRANS_FUNC} does not go with: set it to ${stem}`;
    throw keyError(settings, 'MODEL.RESNETS.STEM_FUNC', message);
  }
  const block = isRes2Net ? 'Bottle2neck' : 'Bottleneck';
  const blocks = `${block}With${usesGroupNorm ? 'GN' : 'FixedBatchNorm'}`;
  if (RESNETS.TRANS_FUNC !== blocks) {
    const message = `is ${RESNETS.TRANS_FUNC}, which MODEL.BACKBONE.CONV_BODY ${BACKBONE.CONV_BODY} does not go with: set it to ${blocks}`;
    throw keyError(settings, 'MODEL.RESNETS.TRANS_FUNC', message);
  }
  const { STAGE_WITH_DCN } = RESNETS;
  if (!Array.isArray(STAGE_WITH_DCN) || STAGE_WITH_DCN.some((stage) => stage !== false)) {
    const message = `is ${show(STAGE_WITH_DCN)}, but deformable convolutions (DCN) are not built here: remove it, or take a config without`;
    throw keyError(settings, 'MODEL.RESNETS.STAGE_WITH_DCN', message);
  }
  const weights = startingWeights(settings, catalog, notices);
  const isPlain = RESNETS.NUM_GROUPS === 1 && RESNETS.WIDTH_PER_GROUP === 64;
  return {
    type: 'resnet',
    depth,
    ...(isPlain ? {} : { groups: RESNETS.NUM_GROUPS, widthPerGroup: RESNETS.WIDTH_PER_GROUP }),
    ...(isRes2Net ? { scale: RESNETS.SCALE } : {}),
    strideIn1x1: RESNETS.STRIDE_IN_1X1,
    norm: usesGroupNorm ? 'group' : 'frozen_batch',
    // Its FrozenBatchNorm2d adds nothing to the variance.
    ...(usesGroupNorm ? {} : { normEps: 0 }),
    frozenStages: Math.max(0, BACKBONE.FREEZE_CONV_BODY_AT),
    ...(weights === undefined ? {} : { weights }),
  };
}

const CATALOG = 'catalog://';

function startingWeights(settings: MaskrcnnSettings, catalog: PathsCatalog, notices: string[]): string | undefined {
  const { WEIGHT } = settings.values.MODEL;
  if (WEIGHT === '') return undefined;
  const isCatalog = WEIGHT.startsWith(CATALOG);
  if (!isCatalog && !/^https?:/.test(WEIGHT)) return WEIGHT;
  const name = isCatalog ? WEIGHT.slice(CATALOG.length) : WEIGHT.replace(/\.\w+$/, '');
  const file = catalogWeights(name, catalog);
  const what = isCatalog ? 'a name of the catalog' : 'an address';
  if (!catalog.weights.has(name))
    notices.push(
      `${settings.given.get('MODEL.WEIGHT')}: MODEL.WEIGHT is ${what}: training starts from ${file}; put the file there`,
    );
  return file;
}

function translateNeck(settings: MaskrcnnSettings, { kind }: Body): ConfigPart {
  if (kind !== 'FPN') {
    const made = kind === 'C4' ? 1024 : 2048;
    if (bodyChannels(settings) !== made) {
      const message = `is ${bodyChannels(settings)}, but ${settings.values.MODEL.BACKBONE.CONV_BODY} makes ${made}: set it to ${made}`;
      throw keyError(settings, 'MODEL.RESNETS.BACKBONE_OUT_CHANNELS', message);
    }
    return { type: 'none', stage: kind === 'C4' ? 4 : 5 };
  }
  return {
    type: 'fpn',
    channels: bodyChannels(settings),
    norm: settings.values.MODEL.FPN.USE_GN ? 'group' : 'none',
  };
}

const strides = { C4: [16], C5: [32], FPN: [4, 8, 16, 32, 64] } as const;

function translateAnchors(settings: MaskrcnnSettings, body: Body): ConfigPart {
  const { RPN } = settings.values.MODEL;
  const expected: readonly number[] = strides[body.kind as keyof typeof strides];
  checkList(settings, 'MODEL.RPN.ANCHOR_STRIDE', RPN.ANCHOR_STRIDE, expected);
  const sizes = RPN.ANCHOR_SIZES;
  const isNumbers = (value: unknown): value is number[] =>
    Array.isArray(value) && value.every((item) => typeof item === 'number');
  const lists = expected.length === 1 && isNumbers(sizes) ? [sizes] : Array.isArray(sizes) ? sizes.map(asList) : [];
  if (lists.length !== expected.length || !lists.every(isNumbers)) {
    const message = `is ${show(sizes)}, expected a size, or a list of sizes, for each of the ${expected.length} strides: correct it`;
    throw keyError(settings, 'MODEL.RPN.ANCHOR_SIZES', message);
  }
  return { sizes: lists, ratios: [...RPN.ASPECT_RATIOS] };
}

const asList = (value: unknown): unknown => (typeof value === 'number' ? [value] : value);

function translateRpn(settings: MaskrcnnSettings, { kind }: Body): ConfigPart {
  const { RPN } = settings.values.MODEL;
  const perLevel = { train: RPN.POST_NMS_TOP_N_TRAIN, test: RPN.POST_NMS_TOP_N_TEST };
  const limits =
    kind === 'FPN'
      ? {
          levelPostNmsTopN: perLevel,
          postNmsTopN: { train: RPN.FPN_POST_NMS_TOP_N_TRAIN, test: RPN.FPN_POST_NMS_TOP_N_TEST },
          collectImages: RPN.FPN_POST_NMS_PER_BATCH ? 'batch' : 0,
        }
      : { postNmsTopN: perLevel };
  return {
    preNmsTopN: { train: RPN.PRE_NMS_TOP_N_TRAIN, test: RPN.PRE_NMS_TOP_N_TEST },
    ...limits,
    nmsThreshold: RPN.NMS_THRESH,
    foregroundIou: RPN.FG_IOU_THRESHOLD,
    backgroundIou: RPN.BG_IOU_THRESHOLD,
    batchSizePerImage: RPN.BATCH_SIZE_PER_IMAGE,
    positiveFraction: RPN.POSITIVE_FRACTION,
    minSize: RPN.MIN_SIZE,
    // A negative threshold takes all anchors.
    ...(RPN.STRADDLE_THRESH >= 0 ? { straddle: RPN.STRADDLE_THRESH } : {}),
  };
}

function translateBoxHead(settings: MaskrcnnSettings, body: Body): ConfigPart {
  const { MODEL } = settings.values;
  const { ROI_HEADS, ROI_BOX_HEAD } = MODEL;
  const extractor = readBoxExtractor(settings);
  const kind =
    extractor === 'ResNet50Conv5ROIFeatureExtractor'
      ? 'stage5'
      : extractor === 'FPN2MLPFeatureExtractor'
        ? 'two_layer'
        : 'convolutions';
  if ((kind === 'stage5') !== (body.kind === 'C4')) {
    const other = body.kind === 'C4' ? 'ResNet50Conv5ROIFeatureExtractor' : 'FPN2MLPFeatureExtractor';
    const message = `is ${extractor}, which ${MODEL.BACKBONE.CONV_BODY} does not go with: set it to ${other}`;
    throw keyError(settings, 'MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR', message);
  }
  if (kind === 'convolutions' && ROI_BOX_HEAD.DILATION !== 1)
    throw keyError(
      settings,
      'MODEL.ROI_BOX_HEAD.DILATION',
      `is ${ROI_BOX_HEAD.DILATION}, only 1 is built here: remove it`,
    );
  return {
    kind,
    ...(kind === 'convolutions'
      ? { convolutions: { count: ROI_BOX_HEAD.NUM_STACKED_CONVS, channels: ROI_BOX_HEAD.CONV_HEAD_DIM } }
      : {}),
    ...(kind !== 'stage5'
      ? { norm: ROI_BOX_HEAD.USE_GN ? 'group' : 'none', hiddenSize: ROI_BOX_HEAD.MLP_HEAD_DIM }
      : {}),
    foregroundIou: ROI_HEADS.FG_IOU_THRESHOLD,
    backgroundIou: ROI_HEADS.BG_IOU_THRESHOLD,
    batchSizePerImage: ROI_HEADS.BATCH_SIZE_PER_IMAGE,
    positiveFraction: ROI_HEADS.POSITIVE_FRACTION,
    ...translatePooling(settings, 'ROI_BOX_HEAD', body),
    classAgnostic: MODEL.CLS_AGNOSTIC_BBOX_REG,
    regressionWeights: [...ROI_HEADS.BBOX_REG_WEIGHTS],
    // box_head/loss.py: beta 1.
    smoothL1Beta: 1,
    scoreThreshold: ROI_HEADS.SCORE_THRESH,
    nmsThreshold: ROI_HEADS.NMS,
    maxDetections: ROI_HEADS.DETECTIONS_PER_IMG,
  };
}

function translateMaskHead(settings: MaskrcnnSettings, body: Body): ConfigPart {
  const { ROI_MASK_HEAD, ROI_BOX_HEAD, BACKBONE } = settings.values.MODEL;
  const extractor = readMaskExtractor(settings);
  const isStage5 = extractor === 'ResNet50Conv5ROIFeatureExtractor';
  if (isStage5 !== (body.kind === 'C4')) {
    const other = body.kind === 'C4' ? 'ResNet50Conv5ROIFeatureExtractor' : 'MaskRCNNFPNFeatureExtractor';
    const message = `is ${extractor}, which ${BACKBONE.CONV_BODY} does not go with: set it to ${other}`;
    throw keyError(settings, 'MODEL.ROI_MASK_HEAD.FEATURE_EXTRACTOR', message);
  }
  if (!isStage5 && ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR) {
    const message = 'is True, which goes with a stage 5 for a head alone: set it to False';
    throw keyError(settings, 'MODEL.ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR', message);
  }
  const isShared = isStage5 && ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR;
  const pool = isShared ? ROI_BOX_HEAD.POOLER_RESOLUTION : ROI_MASK_HEAD.POOLER_RESOLUTION;
  const cells = isStage5 ? Math.ceil(pool / 2) : pool;
  checkResolution(settings, 'MODEL.ROI_MASK_HEAD.RESOLUTION', ROI_MASK_HEAD.RESOLUTION, 2 * cells);
  const { CONV_LAYERS } = ROI_MASK_HEAD;
  return {
    kind: isShared ? 'stage5_shared' : isStage5 ? 'stage5' : 'convolutions',
    ...translatePooling(settings, 'ROI_MASK_HEAD', body),
    ...(isStage5
      ? { upsampleChannels: CONV_LAYERS.at(-1) ?? 256 }
      : { channels: [...CONV_LAYERS], dilation: ROI_MASK_HEAD.DILATION }),
    norm: !isStage5 && ROI_MASK_HEAD.USE_GN ? 'group' : 'none',
    threshold: ROI_MASK_HEAD.POSTPROCESS_MASKS_THRESHOLD,
  };
}

function translateKeypointHead(settings: MaskrcnnSettings, body: Body): ConfigPart {
  const { ROI_KEYPOINT_HEAD } = settings.values.MODEL;
  checkKeypointHead(settings);
  if (ROI_KEYPOINT_HEAD.SHARE_BOX_FEATURE_EXTRACTOR) {
    const message = "is True, but its keypoint head cannot read the box head's features: set it to False";
    throw keyError(settings, 'MODEL.ROI_KEYPOINT_HEAD.SHARE_BOX_FEATURE_EXTRACTOR', message);
  }
  const made = 4 * ROI_KEYPOINT_HEAD.POOLER_RESOLUTION;
  checkResolution(settings, 'MODEL.ROI_KEYPOINT_HEAD.RESOLUTION', ROI_KEYPOINT_HEAD.RESOLUTION, made);
  return {
    ...translatePooling(settings, 'ROI_KEYPOINT_HEAD', body),
    channels: [...ROI_KEYPOINT_HEAD.CONV_LAYERS],
    output: 'deconvolution',
    upsampleRatio: 2,
    normalize: 'visible',
  };
}

function translatePooling(
  settings: MaskrcnnSettings,
  group: 'ROI_BOX_HEAD' | 'ROI_MASK_HEAD' | 'ROI_KEYPOINT_HEAD',
  body: Body,
): ConfigPart {
  const keys = settings.values.MODEL[group];
  const levels = body.kind === 'FPN' ? [4, 8, 16, 32] : strides[body.kind as 'C4' | 'C5'];
  checkList(
    settings,
    `MODEL.${group}.POOLER_SCALES`,
    keys.POOLER_SCALES,
    levels.map((stride) => 1 / stride),
  );
  return { poolSize: keys.POOLER_RESOLUTION, pooling: 'align', samplingRatio: keys.POOLER_SAMPLING_RATIO };
}

function checkResolution(settings: MaskrcnnSettings, key: string, given: number, made: number): void {
  if (given !== made)
    throw keyError(settings, key, `is ${given}, but the head makes ${made} x ${made} cells: set it to ${made}`);
}
