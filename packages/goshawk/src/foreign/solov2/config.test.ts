import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseConfig } from '../../config/index.js';
import { configDialects } from '../dialects.js';
import { readSolov2Config } from './config.js';

/** A config of pytorch_solov2's form: imports, a class, objects made of one another, functions. */
const CONFIG = `import os
import numpy as np
from .piplines import (LoadImageFromFile, LoadAnnotations,  # steps
                       Resize as Scale)

steps = {'LoadImageFromFile': LoadImageFromFile, 'Resize': Scale}
NAMES = ('person', 'bicycle', 'car')
LABELS = {1: 1, 2: 2, 3: 3}

class Config(object):
    """
    A dict whose keys are attributes.
    """

    def __init__(self, config_dict):
        for key, val in config_dict.items():
            self.__setattr__(key, val)

    def copy(self, new_config_dict={}):
        return Config(vars(self))


dataset_base = Config({
    'name': 'Base Dataset',
    'train_images': 'path',
    'has_gt': True,
    'class_names': NAMES,
    'label_map': None
})

photos = dataset_base.copy({
    'name': 'photos',
    'train_prefix': './data/photos/',
    'train_info': 'train.json',
    'trainimg_prefix': 'images/',
    'valid_prefix': './data/photos/',
    'valid_info': 'val.json',
    'validimg_prefix': '',
    'label_map': LABELS
})

resnet34_backbone = Config({
    'name': 'resnet34',
    'path': './pretrained/resnet34_nofc.pth',
    'type': 'ResNetBackbone',
    'num_stages': 4,
    'frozen_stages': 1,
    'out_indices': (0, 1, 2, 3)
})

base_config = Config({'dataset': dataset_base, 'num_classes': 81})

solov2_base_config = base_config.copy({
    'name': 'solov2_base',
    'backbone': resnet34_backbone,
    'dataset': photos,
    'num_classes': len(photos.class_names) + 1,
    'imgs_per_gpu': 4,
    'workers_per_gpu': 2,
    'num_gpus': 1,
    'train_pipeline':  [
        dict(type='LoadImageFromFile'),
        dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type='Resize', img_scale=[(768, 512), (768, 480), (768, 352)], multiscale_mode='value', keep_ratio=True),
        dict(type='RandomFlip', flip_ratio=0.5),
        dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
        dict(type='Pad', size_divisor=32),
        dict(type='DefaultFormatBundle'),
        dict(type='Collect', keys=['img', 'gt_bboxes', 'gt_labels', 'gt_masks'], meta_keys=('filename',)),
    ],
    'test_cfg': None,
    'lr_config': dict(policy='step', warmup='linear', warmup_iters=500, warmup_ratio=0.01, step=[27, 33]),
    'total_epoch': 36,
    'optimizer': dict(type='SGD', lr=0.01, momentum=0.9, weight_decay=0.0001),
    'optimizer_config': dict(grad_clip=dict(max_norm=35, norm_type=2)),
    'resume_from': None,
    'epoch_iters_start': 1,
    'test_pipeline': [
        dict(type='LoadImageFromFile'),
        dict(type='MultiScaleFlipAug', img_scale=(768, 448), flip=False, transforms=[
            dict(type='Resize', keep_ratio=True),
            dict(type='RandomFlip'),
            dict(type='Normalize', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], to_rgb=True),
            dict(type='Pad', size_divisor=32),
            dict(type='ImageToTensor', keys=['img']),
            dict(type='Collect', keys=['img']),
        ])
    ],
    'test_cfg': dict(nms_pre=500, score_thr=0.1, mask_thr=0.5, update_thr=0.05,
                     kernel='gaussian',  # gaussian/linear
                     sigma=2.0, max_per_img=30)
})

cfg = solov2_base_config.copy()

def set_cfg(config_name:str):
    """ Sets the active config. """
    global cfg
    cfg.replace(eval(config_name))

    if cfg.name is None:
        cfg.name = config_name.split('_config')[0]
`;

const read = (sets: readonly string[] = [], text = CONFIG) => readSolov2Config(text, { file: 'config.py', sets });

const OURS = `
model:
  type: solov2
  classes: 3
  backbone: { depth: 34, norm: fixed_statistics, frozenStages: 2, weights: ./pretrained/resnet34_nofc.pth }
  maskFeatures: { outputs: 128 }
  head:
    channels: 256
    convolutions: 2
    scaleRanges: [[1, 56], [28, 112], [56, 224], [112, 448], [224, 896]]
    maxDetections: 30
preprocess:
  resize:
    rule: mmdet
    kernel: opencv
    minSize: 448
    maxSize: 480
    trainMinSizes: [512, 480, 352]
    trainMaxSize: 768
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
  padMultiple: 32
data:
  train: { annotations: ./data/photos/train.json, images: ./data/photos/images }
  val: { annotations: ./data/photos/val.json, images: ./data/photos }
  flip: 0.5
train:
  epochs: 36
  batchSize: 4
  optimizer: { type: sgd, lr: 0.01, momentum: 0.9, weightDecay: 0.0001 }
  schedule: { warmupIterations: 500, warmupFactor: 0.01, steps: [26, 32], stepUnit: epoch, stepsWaitForWarmup: true }
  clipGradNorm: 35
  logEvery: 50
`;

describe("pytorch_solov2's config.py", () => {
  test('becomes a config of ours', () => {
    assert.deepEqual(read().config, parseConfig(OURS, { file: 'ours' }));
  });

  test('is told by its content', () => {
    const [first] = configDialects.filter(([, dialect]) => dialect.recognises('data/config.py', CONFIG));
    assert.equal(first?.[0], 'pytorch_solov2');
    const other = configDialects.filter(([, dialect]) => dialect.recognises('mask_rcnn.py', 'model = dict()'));
    assert.equal(other[0]?.[0], 'mmdetection');
  });

  test('says what its programs do in place of what it holds', () => {
    assert.deepEqual(read().notices, [
      'config.py: pictures are tested with a short side of at most 448 and a long one of at most 480, as its eval.py has it: test_pipeline is read by nothing there',
    ]);
  });

  test('takes --set in its names and in ours', () => {
    const { config } = read(['optimizer.lr=0.02', 'test_cfg.kernel=linear', 'model.head.nmsSigma=3', 'train.seed=7']);
    assert.equal(config.train.optimizer.lr, 0.02);
    assert.ok(config.model.type === 'solov2');
    assert.deepEqual([config.model.head.nms, config.model.head.nmsSigma], ['linear', 3]);
    assert.equal(config.train.seed, 7);
  });

  test('draws sizes from a range where it says so', () => {
    const { resize } = read([], CONFIG.replace("multiscale_mode='value'", "multiscale_mode='range'")).config.preprocess;
    assert.equal(resize.trainSizes, 'range');
  });

  for (const [what, from, to, message] of [
    ['an unknown key', "'resume_from': None,", "'resume': None,", 'resume: unknown key: did you mean resume_from?'],
    ['a value out of bounds', 'lr=0.01,', 'lr=-1,', 'optimizer.lr: as train.optimizer.lr: got -1'],
    ['an unknown backbone', "'name': 'resnet34'", "'name': 'vgg16'", "backbone.name: 'vgg16' is not supported"],
    ['a name that is no key', 'len(photos.class_names)', 'len(photos.classes)', 'classes is no key of it'],
    ['a condition', 'cfg = solov2_base_config.copy()', 'if True: pass', 'a condition: only plain data'],
  ] as const) {
    test(`tells the place of ${what}`, () => {
      const text = CONFIG.replace(from, to);
      const line = text.slice(0, text.indexOf(to)).split('\n').length;
      assert.throws(
        () => read([], text),
        (error: Error) => error.message.startsWith(`config.py:${line}: ${message}`) || assert.fail(error.message),
      );
    });
  }

  test('tells what is missing', () => {
    assert.throws(
      () => read([], CONFIG.replace("'imgs_per_gpu': 4,", '')),
      /^InputError: config\.py: imgs_per_gpu: missing/,
    );
    assert.throws(
      () => read([], CONFIG.replace('cfg = solov2_base_config.copy()', 'cfg = 3')),
      /^InputError: config\.py: cfg is no config/,
    );
  });
});
