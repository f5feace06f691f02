// SpineNet, or a ResNet with a pyramid, of an mmdetection 1.x config.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';

export interface Norm {
  /** sync_batch: over the pictures of all processes. */
  readonly kind: 'batch' | 'sync_batch' | 'group';
  readonly eps: number;
  readonly momentum: number;
  /** Whether factors and offsets learn. */
  readonly learns: boolean;
}

// torch.nn.BatchNorm2d's.
const STANDARD_EPS = 1e-5;
const STANDARD_MOMENTUM = 0.1;

const KINDS = { BN: 'batch', SyncBN: 'sync_batch', GN: 'group' } as const;

/** `norm_cfg` of a module; undefined where it has none. */
export function readNorm(module: Section): Norm | undefined {
  const norm = module.optionalSection('norm_cfg');
  if (norm === undefined) return undefined;
  const type = norm.choice('type', ['BN', 'SyncBN', 'GN']);
  if (type === 'GN') norm.fixed('num_groups', 32);
  const read: Norm = {
    kind: KINDS[type],
    eps: norm.number('eps', STANDARD_EPS),
    momentum: type === 'GN' ? STANDARD_MOMENTUM : norm.number('momentum', STANDARD_MOMENTUM),
    learns: norm.flag('requires_grad', true),
  };
  norm.finish();
  return read;
}

export interface Features {
  readonly backbone: ConfigPart;
  /** Absent with SpineNet. */
  readonly neck?: ConfigPart;
  readonly channels: number;
  /** Of all levels, finest first. */
  readonly strides: readonly number[];
}

// mmdet/models/backbones/spinenet.py, SCALING_MAP.
const SPINENET_CHANNELS = { '49S': 128, '49': 256, '96': 256, '143': 256, '190': 512 } as const;

/** @param kind whose pyramid: RetinaNet's begins at stride 8 */
export function readFeatures(model: Section, kind: 'retinanet' | 'rcnn'): Features {
  const backbone = model.section('backbone');
  const type = backbone.choice('type', ['SpineNet', 'ResNet', 'ResNeXt']);
  const features = type === 'SpineNet' ? readSpineNet(model, backbone) : readResNet(model, backbone, type, kind);
  backbone.finish();
  return features;
}

function readSpineNet(model: Section, backbone: Section): Features {
  const variant = backbone.choice('arch', ['49S', '49', '96', '143', '190']);
  model.fixed('neck', null);
  backbone.fixed('in_channels', 3);
  backbone.fixed('conv_cfg', null);
  backbone.fixed('activation', 'relu');
  backbone.fixed('output_level', [3, 4, 5, 6, 7]);
  const norm = readNorm(backbone);
  return {
    backbone: {
      type: 'spinenet',
      variant,
      norm: normName(norm),
      normEps: norm?.eps ?? STANDARD_EPS,
      normMomentum: norm?.momentum ?? STANDARD_MOMENTUM,
      zeroInitResidual: backbone.flag('zero_init_residual', true),
    },
    channels: SPINENET_CHANNELS[variant],
    strides: [8, 16, 32, 64, 128],
  };
}

function normName(norm: Norm | undefined): string {
  if (norm?.kind === 'group') return 'group';
  return norm?.learns === false ? 'frozen_batch' : (norm?.kind ?? 'batch');
}

function readResNet(
  model: Section,
  backbone: Section,
  type: 'ResNet' | 'ResNeXt',
  kind: 'retinanet' | 'rcnn',
): Features {
  const depth = backbone.count('depth');
  backbone.fixed('num_stages', 4);
  backbone.fixed('out_indices', [0, 1, 2, 3]);
  backbone.fixed('conv_cfg', null);
  backbone.fixed('dcn', null);
  backbone.fixed('gcb', null);
  backbone.fixed('gen_attention', null);
  backbone.passOver('with_cp', 'zero_init_residual');
  return {
    backbone: {
      type: 'resnet',
      depth,
      ...(type === 'ResNeXt'
        ? { groups: backbone.count('groups', 1), widthPerGroup: backbone.count('base_width', 4) }
        : {}),
      strideIn1x1: backbone.choice('style', ['pytorch', 'caffe'], 'pytorch') === 'caffe',
      norm: readResNetNorm(backbone),
      // The stem is not counted there: -1 is nothing, 0 the stem, 1 the stem and the first stage.
      frozenStages: backbone.count('frozen_stages', -1, -1) + 1,
    },
    ...readPyramid(model, kind),
  };
}

function readResNetNorm(backbone: Section): string {
  const norm = readNorm(backbone);
  const keepsStatistics = backbone.flag('norm_eval', true);
  if (norm?.kind === 'group') return 'group';
  if (!keepsStatistics) return norm?.kind ?? 'batch';
  if (norm?.learns !== false)
    backbone.notice(
      "the backbone's batch norms are fixed as a whole: with norm_eval their factors would learn beside fixed statistics",
    );
  return 'frozen_batch';
}

const PYRAMID_LEVELS = 5;

function readPyramid(model: Section, kind: 'retinanet' | 'rcnn'): Pick<Features, 'neck' | 'channels' | 'strides'> {
  const neck = model.section('neck');
  neck.choice('type', ['FPN']);
  neck.passOver('in_channels');
  neck.fixed('conv_cfg', null);
  neck.fixed('activation', null);
  neck.fixed('end_level', -1);
  neck.fixed('num_outs', PYRAMID_LEVELS);
  const channels = neck.count('out_channels', 256);
  const norm = readNorm(neck);
  const part = kind === 'retinanet' ? readRetinaPyramid(neck, norm, channels) : readRcnnPyramid(neck, norm, channels);
  neck.finish();
  return { neck: part, channels, strides: kind === 'retinanet' ? [8, 16, 32, 64, 128] : [4, 8, 16, 32, 64] };
}

function readRetinaPyramid(neck: Section, norm: Norm | undefined, channels: number): ConfigPart {
  if (norm !== undefined) throw neck.wrong('norm_cfg', "a norm in RetinaNet's pyramid is not supported: remove it");
  if (neck.count('start_level', 0, 0) !== 1)
    throw neck.wrong('start_level', 'only 1 is supported for RetinaNet: set it so');
  if (!neck.flag('add_extra_convs', false))
    throw neck.wrong('add_extra_convs', 'only True is supported for RetinaNet: set it so');
  const fromBackbone = neck.flag('extra_convs_on_inputs', true);
  return {
    channels,
    extraLevelsFrom: fromBackbone ? 'c5' : 'p5',
    reluBeforeP7: neck.flag('relu_before_extra_convs', false),
  };
}

function readRcnnPyramid(neck: Section, norm: Norm | undefined, channels: number): ConfigPart {
  neck.fixed('start_level', 0);
  neck.fixed('add_extra_convs', false);
  neck.passOver('extra_convs_on_inputs', 'relu_before_extra_convs');
  if (norm !== undefined && norm.kind !== 'group')
    throw neck.wrong('norm_cfg', 'batch norm in a pyramid is not supported: take GN, or remove it');
  return { type: 'fpn', channels, extraLevel: 'pool', norm: norm === undefined ? 'none' : 'group' };
}
