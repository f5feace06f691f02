// Two-stage detectors of mmdetection 1.x: RPN, box head and mask head, with what train_cfg and test_cfg say of them.
import type { ConfigPart } from '../dialect.js';
import type { Section } from '../shared/python-section.js';
import { normPart, readBestClaims, readClasses, readInputChannels, readNms, readUnitTargets } from './heads.js';
import { readFeatures, readNorm } from './translate-backbone.js';

export function translateRcnn(
  model: Section,
  training: Section,
  testing: Section,
  { hasMasks }: { readonly hasMasks: boolean },
): ConfigPart {
  const { backbone, neck, channels, strides } = readFeatures(model, 'rcnn');
  model.fixed('shared_head', null);
  const { anchors, ...rpn } = readRpnHead(model, channels, strides);
  const trainingOfBoxes = training.section('rcnn');
  const testingOfBoxes = testing.section('rcnn');
  const boxes = readBoxHead(model, channels, strides);
  const part = {
    type: hasMasks ? 'mask_rcnn' : 'faster_rcnn',
    conventions: 'mmdetection',
    classes: boxes.classes,
    backbone,
    neck: neck ?? { type: 'none', stage: 5 },
    anchors,
    rpn: { ...rpn, ...readRpnTraining(training), ...readProposals(training, testing) },
    boxHead: { ...boxes.part, ...readBoxTraining(trainingOfBoxes), ...readBoxTesting(testingOfBoxes) },
    ...(hasMasks ? { maskHead: readMaskHead(model, { channels, strides, classes: boxes.classes }) } : {}),
  };
  if (hasMasks) {
    const resolution = trainingOfBoxes.count('mask_size');
    const poolSize = Number((part.maskHead as ConfigPart).poolSize);
    if (resolution !== 2 * poolSize)
      throw trainingOfBoxes.wrong(
        'mask_size',
        `got ${resolution}, expected twice the pooled size of the mask head, ${2 * poolSize}: set it so`,
      );
    Object.assign(part.maskHead as Record<string, unknown>, {
      threshold: testingOfBoxes.number('mask_thr_binary', 0.5),
    });
  }
  trainingOfBoxes.passOver('mask_size');
  testingOfBoxes.passOver('mask_thr_binary');
  trainingOfBoxes.finish();
  testingOfBoxes.finish();
  return part;
}

function readRpnHead(
  model: Section,
  channels: number,
  strides: readonly number[],
): ConfigPart & { readonly anchors: ConfigPart } {
  const head = model.section('rpn_head');
  head.choice('type', ['RPNHead'], 'RPNHead');
  readInputChannels(head, channels);
  const scales = head.numbers('anchor_scales', [8]);
  const part = {
    anchors: {
      sizes: strides.map((stride) => scales.map((scale) => scale * stride)),
      ratios: [...head.numbers('anchor_ratios', [0.5, 1, 2])],
    },
    hiddenChannels: head.count('feat_channels', 256),
  };
  head.fixed('anchor_strides', strides);
  readUnitTargets(head);
  readCrossEntropy(head, 'loss_cls', 'use_sigmoid', true);
  readSmoothL1(head, 1 / 9);
  head.finish();
  return part;
}

function readCrossEntropy(head: Section, key: string, option: string, value: boolean): void {
  const loss = head.optionalSection(key);
  loss?.choice('type', ['CrossEntropyLoss']);
  loss?.fixed(option, value);
  loss?.fixed('loss_weight', 1);
  loss?.finish();
}

/** @param beta the only one supported; any where absent */
function readSmoothL1(head: Section, beta?: number): number {
  const loss = head.optionalSection('loss_bbox');
  loss?.choice('type', ['SmoothL1Loss']);
  loss?.fixed('loss_weight', 1);
  const got = loss?.number('beta', 1) ?? beta ?? 1;
  if (loss !== undefined && beta !== undefined && Math.abs(got - beta) > 1e-6)
    throw loss.wrong('beta', `got ${got}, and only ${beta.toPrecision(4)} is supported: set it so`);
  loss?.finish();
  return got;
}

function readRpnTraining(training: Section): ConfigPart {
  const rpn = training.section('rpn');
  const { foregroundIou, backgroundIou, bestIou } = readAssigner(rpn);
  const sampling = readSampler(rpn, false);
  const border = rpn.number('allowed_border', 0);
  rpn.fixed('pos_weight', -1);
  rpn.passOver('debug');
  rpn.finish();
  return {
    foregroundIou,
    backgroundIou,
    lowestBestIou: bestIou,
    ...sampling,
    // Below 0 every anchor learns.
    ...(border < 0 ? {} : { straddle: border }),
  };
}

function readAssigner(section: Section) {
  const assigner = section.section('assigner');
  assigner.choice('type', ['MaxIoUAssigner']);
  const read = {
    foregroundIou: assigner.number('pos_iou_thr'),
    backgroundIou: assigner.number('neg_iou_thr'),
    bestIou: assigner.number('min_pos_iou', 0),
  };
  readBestClaims(assigner);
  assigner.finish();
  return read;
}

function readSampler(section: Section, addsObjects: boolean): ConfigPart {
  const sampler = section.section('sampler');
  sampler.choice('type', ['RandomSampler']);
  sampler.fixed('neg_pos_ub', -1);
  if (sampler.flag('add_gt_as_proposals', true) !== addsObjects)
    throw sampler.wrong('add_gt_as_proposals', `only ${addsObjects ? 'True' : 'False'} is supported here: set it so`);
  const part = { batchSizePerImage: sampler.count('num'), positiveFraction: sampler.number('pos_fraction') };
  sampler.finish();
  return part;
}

function readProposals(training: Section, testing: Section): ConfigPart {
  const test = readProposalCounts(testing.section('rpn'));
  const own = training.optionalSection('rpn_proposal');
  const train = own === undefined ? test : readProposalCounts(own);
  if (train.threshold !== test.threshold)
    throw testing.wrong(
      'rpn',
      `its nms_thr ${test.threshold} is not the ${train.threshold} of train_cfg: set both alike`,
    );
  return {
    preNmsTopN: { train: train.before, test: test.before },
    postNmsTopN: { train: train.after, test: test.after },
    // It cuts only where more than so many boxes of a level can be left.
    ...((train.ofLevel < train.before || test.ofLevel < test.before) && {
      levelPostNmsTopN: { train: train.ofLevel, test: test.ofLevel },
    }),
    nmsThreshold: train.threshold,
    minSize: train.minSize,
  };
}

function readProposalCounts(section: Section) {
  section.fixed('nms_across_levels', false);
  const read = {
    ofLevel: section.count('nms_post'),
    before: section.count('nms_pre'),
    after: section.count('max_num'),
    threshold: section.number('nms_thr'),
    minSize: section.number('min_bbox_size', 0),
  };
  section.finish();
  return read;
}

function readBoxHead(
  model: Section,
  channels: number,
  strides: readonly number[],
): { readonly part: ConfigPart; readonly classes: number } {
  const pooled = readExtractor(model, 'bbox_roi_extractor', channels, strides);
  const head = model.section('bbox_head');
  const type = head.choice('type', ['SharedFCBBoxHead', 'ConvFCBBoxHead']);
  readInputChannels(head, channels);
  head.fixed('with_avg_pool', false);
  head.fixed('reg_class_agnostic', false);
  head.fixed('roi_feat_size', Number(pooled.poolSize));
  for (const key of ['num_cls_convs', 'num_cls_fcs', 'num_reg_convs', 'num_reg_fcs']) head.fixed(key, 0);
  head.fixed('conv_cfg', null);
  head.fixed('target_means', [0, 0, 0, 0]);
  const norm = readNorm(head);
  const classes = readClasses(head);
  const part = {
    ...readBoxLayers(head, type),
    ...normPart(norm),
    hiddenSize: head.count('fc_out_channels', 1024),
    ...pooled,
    regressionWeights: head.numbers('target_stds', [0.1, 0.1, 0.2, 0.2]).map((deviation) => 1 / deviation),
    smoothL1Beta: readSmoothL1(head),
  };
  readCrossEntropy(head, 'loss_cls', 'use_sigmoid', false);
  head.finish();
  return { part, classes };
}

function readBoxLayers(head: Section, type: 'SharedFCBBoxHead' | 'ConvFCBBoxHead'): ConfigPart {
  const isShared = type === 'SharedFCBBoxHead';
  const convolutions = isShared ? 0 : head.count('num_shared_convs', 0, 0);
  const layers = isShared ? head.count('num_fcs', 2) : head.count('num_shared_fcs', 0, 0);
  const channels = head.count('conv_out_channels', 256);
  if (convolutions === 0 && layers === 2) return { kind: 'two_layer' };
  if (convolutions > 0 && layers === 1)
    return { kind: 'convolutions', convolutions: { count: convolutions, channels } };
  throw head.wrong(
    isShared ? 'num_fcs' : 'num_shared_fcs',
    `${convolutions} convolutions and ${layers} fully connected layers are not supported: take none and 2, or some and 1`,
  );
}

function readExtractor(model: Section, key: string, channels: number, strides: readonly number[]): ConfigPart {
  const extractor = model.section(key);
  extractor.choice('type', ['SingleRoIExtractor'], 'SingleRoIExtractor');
  extractor.fixed('out_channels', channels);
  extractor.fixed('featmap_strides', strides.slice(0, -1));
  extractor.fixed('finest_scale', 56);
  const layer = extractor.section('roi_layer');
  layer.choice('type', ['RoIAlign']);
  const part = { poolSize: layer.count('out_size'), samplingRatio: layer.count('sample_num', 0, 0) };
  if (layer.flag('use_torchvision', false))
    layer.notice("use_torchvision is not followed: RoIAlign is mmdetection's own, whose boxes end a pixel later");
  layer.finish();
  extractor.finish();
  return part;
}

function readBoxTraining(section: Section): ConfigPart {
  const { foregroundIou, backgroundIou, bestIou } = readAssigner(section);
  if (bestIou < foregroundIou)
    throw section.wrong(
      'assigner',
      `its min_pos_iou ${bestIou} is below pos_iou_thr ${foregroundIou}, which is not supported: set both alike`,
    );
  section.fixed('pos_weight', -1);
  section.passOver('debug');
  return { foregroundIou, backgroundIou, ...readSampler(section, true) };
}

function readBoxTesting(section: Section): ConfigPart {
  return {
    scoreThreshold: section.number('score_thr'),
    nmsThreshold: readNms(section),
    maxDetections: section.count('max_per_img'),
  };
}

const MOST_CONVOLUTIONS = 64;

function readMaskHead(
  model: Section,
  {
    channels,
    strides,
    classes,
  }: { readonly channels: number; readonly strides: readonly number[]; readonly classes: number },
): ConfigPart {
  const pooled = readExtractor(model, 'mask_roi_extractor', channels, strides);
  const head = model.section('mask_head');
  head.choice('type', ['FCNMaskHead'], 'FCNMaskHead');
  readInputChannels(head, channels);
  head.fixed('conv_kernel_size', 3);
  head.fixed('upsample_method', 'deconv');
  head.fixed('upsample_ratio', 2);
  head.fixed('conv_cfg', null);
  head.fixed('roi_feat_size', Number(pooled.poolSize));
  head.fixed('num_classes', classes + 1);
  const norm = readNorm(head);
  const width = head.count('conv_out_channels', 256);
  const part = {
    ...pooled,
    channels: Array.from({ length: head.count('num_convs', 4, 1, MOST_CONVOLUTIONS) }, () => width),
    ...normPart(norm),
    classAgnostic: head.flag('class_agnostic', false),
  };
  readCrossEntropy(head, 'loss_mask', 'use_mask', true);
  head.finish();
  return part;
}
