// The networks' parts as maskrcnn-benchmark registers them.
import { suggestKey } from '../../config/suggest-key.js';
import { keyError } from '../shared/yaml-settings.js';
import type { MaskrcnnSettings } from './keys.js';

export interface Body {
  readonly isRes2Net: boolean;
  readonly depth: 50 | 101 | 152;
  readonly kind: 'C4' | 'C5' | 'FPN' | 'FPN-RETINANET';
}

/** Of ResNets and Res2Nets alike; ResNet-152 comes as a pyramid alone. */
const shapes = [
  '50-C4',
  '50-C5',
  '101-C4',
  '101-C5',
  '50-FPN',
  '101-FPN',
  '152-FPN',
  '50-FPN-RETINANET',
  '101-FPN-RETINANET',
];
const bodies = ['R', 'R2'].flatMap((family) => shapes.map((shape) => `${family}-${shape}`));

const boxExtractors = [
  'ResNet50Conv5ROIFeatureExtractor',
  'FPN2MLPFeatureExtractor',
  'FPNXconv1fcFeatureExtractor',
] as const;
const maskExtractors = ['ResNet50Conv5ROIFeatureExtractor', 'MaskRCNNFPNFeatureExtractor'] as const;

/** The names that a key can have. */
export const partNames = {
  'MODEL.BACKBONE.CONV_BODY': bodies,
  'MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR': boxExtractors,
  'MODEL.ROI_BOX_HEAD.PREDICTOR': ['FastRCNNPredictor', 'FPNPredictor'],
  'MODEL.ROI_MASK_HEAD.FEATURE_EXTRACTOR': maskExtractors,
  'MODEL.ROI_MASK_HEAD.PREDICTOR': ['MaskRCNNC4Predictor'],
  'MODEL.ROI_KEYPOINT_HEAD.FEATURE_EXTRACTOR': ['KeypointRCNNFeatureExtractor'],
  'MODEL.ROI_KEYPOINT_HEAD.PREDICTOR': ['KeypointRCNNPredictor'],
  'MODEL.RESNETS.TRANS_FUNC': [
    'BottleneckWithFixedBatchNorm',
    'BottleneckWithGN',
    'Bottle2neckWithFixedBatchNorm',
    'Bottle2neckWithGN',
  ],
  'MODEL.RESNETS.STEM_FUNC': ['StemWithFixedBatchNorm', 'StemWithGN'],
} as const satisfies Readonly<Record<string, readonly string[]>>;

type PartKey = keyof typeof partNames;

/** What the original registers and is not here, by the beginning of its name. */
const unsupported: readonly (readonly [start: string, what: string])[] = [
  ['FBNet', 'FBNet'],
  ['MaskRCNNConv1x1Predictor', "FBNet's mask predictor"],
];

/** @throws InputError where the name is unknown or of a part that is not built */
function checkPart(settings: MaskrcnnSettings, key: PartKey, given: string): void {
  const names: readonly string[] = partNames[key];
  if (names.includes(given)) return;
  const known = unsupported.find(([start]) => given.startsWith(start));
  if (known !== undefined)
    throw keyError(settings, key, `'${given}' is not supported: ${known[1]} is not built here: take ${names[0]}`);
  const suggestion = suggestKey(given, names);
  const advice = suggestion === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${suggestion}?`;
  throw keyError(settings, key, `'${given}' is unknown: ${advice}`);
}

export function readBody(settings: MaskrcnnSettings): Body {
  const { BACKBONE, RESNETS } = settings.values.MODEL;
  checkPart(settings, 'MODEL.BACKBONE.CONV_BODY', BACKBONE.CONV_BODY);
  checkPart(settings, 'MODEL.RESNETS.TRANS_FUNC', RESNETS.TRANS_FUNC);
  checkPart(settings, 'MODEL.RESNETS.STEM_FUNC', RESNETS.STEM_FUNC);
  const [, family, depth, kind] = /^(R2?)-(\d+)-(.+)$/.exec(BACKBONE.CONV_BODY)!;
  return { isRes2Net: family === 'R2', depth: Number(depth) as Body['depth'], kind: kind as Body['kind'] };
}

export function readBoxExtractor(settings: MaskrcnnSettings): (typeof boxExtractors)[number] {
  const { ROI_BOX_HEAD } = settings.values.MODEL;
  checkPart(settings, 'MODEL.ROI_BOX_HEAD.FEATURE_EXTRACTOR', ROI_BOX_HEAD.FEATURE_EXTRACTOR);
  checkPart(settings, 'MODEL.ROI_BOX_HEAD.PREDICTOR', ROI_BOX_HEAD.PREDICTOR);
  return ROI_BOX_HEAD.FEATURE_EXTRACTOR as (typeof boxExtractors)[number];
}

export function readMaskExtractor(settings: MaskrcnnSettings): (typeof maskExtractors)[number] {
  const { ROI_MASK_HEAD } = settings.values.MODEL;
  checkPart(settings, 'MODEL.ROI_MASK_HEAD.FEATURE_EXTRACTOR', ROI_MASK_HEAD.FEATURE_EXTRACTOR);
  checkPart(settings, 'MODEL.ROI_MASK_HEAD.PREDICTOR', ROI_MASK_HEAD.PREDICTOR);
  return ROI_MASK_HEAD.FEATURE_EXTRACTOR as (typeof maskExtractors)[number];
}

export function checkKeypointHead(settings: MaskrcnnSettings): void {
  const { ROI_KEYPOINT_HEAD } = settings.values.MODEL;
  checkPart(settings, 'MODEL.ROI_KEYPOINT_HEAD.FEATURE_EXTRACTOR', ROI_KEYPOINT_HEAD.FEATURE_EXTRACTOR);
  checkPart(settings, 'MODEL.ROI_KEYPOINT_HEAD.PREDICTOR', ROI_KEYPOINT_HEAD.PREDICTOR);
}
