// The networks' parts as Detectron.pytorch's configs name them, `module.function`, and as Detectron's own do, with
// `add_` before the function.
import { suggestKey } from '../../config/suggest-key.js';
import { keyError } from '../shared/yaml-settings.js';
import type { DetectronSettings } from './keys.js';

export interface Body {
  readonly depth: 50 | 101 | 152;
  /** The last stage: 4 where res5 is the box head's. */
  readonly stage: 4 | 5;
  readonly isFpn: boolean;
  readonly finestOnly: boolean;
}

export type BoxHeadName = 'stage5' | 'two_layer' | 'convolutions' | 'convolutions_gn';

export interface MaskHeadName {
  readonly kind: 'stage5_shared' | 'stage5' | 'convolutions';
  readonly convolutions: number;
  readonly norm: 'none' | 'group';
}

const boxHeads: Readonly<Record<string, BoxHeadName>> = {
  'ResNet.ResNet_roi_conv5_head': 'stage5',
  'fast_rcnn_heads.roi_2mlp_head': 'two_layer',
  'fast_rcnn_heads.roi_Xconv1fc_head': 'convolutions',
  'fast_rcnn_heads.roi_Xconv1fc_gn_head': 'convolutions_gn',
};

const maskHeads: Readonly<Record<string, MaskHeadName>> = {
  'mask_rcnn_heads.mask_rcnn_fcn_head_v0upshare': { kind: 'stage5_shared', convolutions: 0, norm: 'none' },
  'mask_rcnn_heads.mask_rcnn_fcn_head_v0up': { kind: 'stage5', convolutions: 0, norm: 'none' },
  'mask_rcnn_heads.mask_rcnn_fcn_head_v1up': { kind: 'convolutions', convolutions: 2, norm: 'none' },
  'mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs': { kind: 'convolutions', convolutions: 4, norm: 'none' },
  'mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs_gn': { kind: 'convolutions', convolutions: 4, norm: 'group' },
};

const keypointHeads: Readonly<Record<string, true>> = { 'keypoint_rcnn_heads.roi_pose_head_v1convX': true };

const fpnParts = ['', 'P2only_'].flatMap((only) =>
  [50, 101, 152].map((depth) => `FPN.fpn_ResNet${depth}_conv5_${only}body`),
);
const plainParts = [50, 101, 152].flatMap((depth) => [4, 5].map((stage) => `ResNet.ResNet${depth}_conv${stage}_body`));
const bodies: Readonly<Record<string, true>> = Object.fromEntries(
  [...fpnParts, ...plainParts].map((name) => [name, true]),
);

/** The names that a key can have. */
export const partNames: Readonly<Record<string, readonly string[]>> = {
  'MODEL.CONV_BODY': Object.keys(bodies),
  'FAST_RCNN.ROI_BOX_HEAD': Object.keys(boxHeads),
  'MRCNN.ROI_MASK_HEAD': Object.keys(maskHeads),
  'KRCNN.ROI_KEYPOINTS_HEAD': Object.keys(keypointHeads),
};

export function readBody(settings: DetectronSettings): Body {
  const { name } = find(settings, 'MODEL.CONV_BODY', settings.values.MODEL.CONV_BODY, bodies);
  return {
    depth: Number(/ResNet(\d+)_/.exec(name)?.[1]) as Body['depth'],
    stage: name.includes('_conv4_') ? 4 : 5,
    isFpn: name.startsWith('FPN.'),
    finestOnly: name.includes('P2only'),
  };
}

/** @param notices gets a line where the name is one that no longer exists */
export function readBoxHead(settings: DetectronSettings, notices: string[]): BoxHeadName {
  const key = 'FAST_RCNN.ROI_BOX_HEAD';
  const given = settings.values.FAST_RCNN.ROI_BOX_HEAD;
  // The heads moved from head_builder to fast_rcnn_heads; six of the keypoint configs were left behind.
  const name = given.replace(/^head_builder\.(add_)?/, 'fast_rcnn_heads.');
  const head = find(settings, key, name, boxHeads);
  if (name !== given) {
    notices.push(`${settings.given.get(key)}: ${key}: '${given}' is an old name: taken as ${head.name}`);
  }
  return head.value;
}

export function readMaskHead(settings: DetectronSettings): MaskHeadName {
  return find(settings, 'MRCNN.ROI_MASK_HEAD', settings.values.MRCNN.ROI_MASK_HEAD, maskHeads).value;
}

export function checkKeypointHead(settings: DetectronSettings): void {
  find(settings, 'KRCNN.ROI_KEYPOINTS_HEAD', settings.values.KRCNN.ROI_KEYPOINTS_HEAD, keypointHeads);
}

/** Letter case apart, as the original's own list of names is written in several ways. */
function find<T>(
  settings: DetectronSettings,
  key: string,
  given: string,
  known: Readonly<Record<string, T>>,
): { readonly name: string; readonly value: T } {
  const wanted = given.replace(/\.add_/, '.').toLowerCase();
  const name = Object.keys(known).find((candidate) => candidate.toLowerCase() === wanted);
  if (name !== undefined) return { name, value: known[name]! };
  const names = Object.keys(known);
  if (given === '') throw keyError(settings, key, `missing: add it, for example ${names[0]}`);
  const suggestion = suggestKey(given, names);
  const advice = suggestion === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${suggestion}?`;
  throw keyError(settings, key, `'${given}' is unknown: ${advice}`);
}
