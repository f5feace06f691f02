// RetinaHead and RetinaSepBNHead of mmdetection 1.x, with what train_cfg and test_cfg say of them.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';
import { readBestClaims, readClasses, readInputChannels, readNms, readUnitTargets } from './heads.js';
import { readFeatures, readNorm } from './translate-backbone.js';

export function translateRetinaNet(model: Section, training: Section, testing: Section): ConfigPart {
  const { backbone, neck, channels, strides } = readFeatures(model, 'retinanet');
  const head = model.section('bbox_head');
  const type = head.choice('type', ['RetinaHead', 'RetinaSepBNHead']);
  readInputChannels(head, channels);
  if (head.has('anchor_strides')) head.fixed('anchor_strides', strides);
  head.fixed('num_ins', strides.length);
  head.fixed('conv_cfg', null);
  head.passOver('anchor_base_sizes');
  readUnitTargets(head);
  const norm = readNorm(head);
  const isBatch = norm !== undefined && norm.kind !== 'group';
  if (type === 'RetinaHead' && isBatch)
    throw head.wrong('norm_cfg', 'batch norm shared by all levels is not supported: take RetinaSepBNHead');
  if (type === 'RetinaSepBNHead' && !isBatch)
    throw head.wrong('norm_cfg', 'RetinaSepBNHead needs one of type BN or SyncBN: add it');
  const part = {
    type: 'retinanet',
    conventions: 'mmdetection',
    classes: readClasses(head),
    backbone,
    ...(neck === undefined ? {} : { neck }),
    anchors: {
      octaveBaseScale: head.number('octave_base_scale', 4),
      scalesPerOctave: head.count('scales_per_octave', 3),
      ratios: [...head.numbers('anchor_ratios', [0.5, 1, 2])],
    },
    head: {
      convolutions: head.count('stacked_convs', 4),
      channels: head.count('feat_channels', 256),
      norm:
        type === 'RetinaSepBNHead'
          ? norm?.kind === 'sync_batch'
            ? 'sync_batch_per_level'
            : 'batch_per_level'
          : norm === undefined
            ? 'none'
            : 'group',
      ...(norm === undefined ? {} : { normEps: norm.eps, normMomentum: norm.momentum }),
      ...readLosses(head),
      ...readTraining(training),
      ...readTesting(testing),
    },
  };
  head.finish();
  return part;
}

function readLosses(head: Section): ConfigPart {
  const classes = head.optionalSection('loss_cls');
  classes?.choice('type', ['FocalLoss']);
  classes?.fixed('use_sigmoid', true);
  classes?.fixed('loss_weight', 1);
  const boxes = head.optionalSection('loss_bbox');
  const kind = boxes?.choice('type', ['SmoothL1Loss', 'L1Loss']);
  boxes?.fixed('loss_weight', 1);
  const part = {
    focalAlpha: classes?.number('alpha', 0.25) ?? 0.25,
    focalGamma: classes?.number('gamma', 2) ?? 2,
    boxLoss: kind === 'L1Loss' ? 'l1' : 'smooth_l1',
    ...(kind === 'SmoothL1Loss' ? { smoothL1Beta: boxes!.number('beta', 1) } : {}),
  };
  classes?.finish();
  boxes?.finish();
  return part;
}

function readTraining(training: Section): ConfigPart {
  const assigner = training.section('assigner');
  assigner.choice('type', ['MaxIoUAssigner']);
  const part = {
    foregroundIou: assigner.number('pos_iou_thr'),
    backgroundIou: assigner.number('neg_iou_thr'),
  };
  assigner.fixed('min_pos_iou', 0);
  readBestClaims(assigner);
  assigner.finish();
  training.fixed('allowed_border', -1);
  training.fixed('pos_weight', -1);
  training.passOver('debug');
  return part;
}

function readTesting(testing: Section): ConfigPart {
  testing.fixed('min_bbox_size', 0);
  return {
    preNmsTopN: testing.count('nms_pre', 1000),
    scoreThreshold: testing.number('score_thr'),
    nmsThreshold: readNms(testing),
    maxDetections: testing.count('max_per_img'),
  };
}
