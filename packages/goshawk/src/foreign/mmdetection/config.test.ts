// mmdetection's configs against configs of ours, and what is said where they are not understood.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import { loadConfig } from '../../config/index.js';
import { mmdetectionConfigs, readMmdetectionConfig } from './config.js';

// dist/foreign/mmdetection/ -> src/foreign/mmdetection/: the fixtures are not compiled.
const fixture = (name: string): string =>
  readFileSync(fileURLToPath(new URL(`../../../src/foreign/mmdetection/fixtures/${name}.py`, import.meta.url)), 'utf8');
const shipped = (name: string) =>
  loadConfig(fileURLToPath(new URL(`../../../../../configs/${name}.yaml`, import.meta.url))).config;
const read = (name: string, sets: readonly string[] = []) =>
  readMmdetectionConfig(fixture(name), { file: 'config.py', sets });

/** The fixture with one thing of its text changed. */
function changed(name: string, from: string, to: string) {
  const text = fixture(name);
  assert.ok(text.includes(from), `${from} is in the fixture`);
  return readMmdetectionConfig(text.replace(from, to), { file: 'config.py', sets: [] });
}

// SpineNet-Pytorch's configs/spinenet/: what differs from SpineNet-49S at 640 x 640.
const wide = ['width=256'];
const large = (side: number): string => `size=(${side}, ${side})`;
const batch = (images: number, rate: number, warmup: number): string[] => [
  `images=${images}`,
  `rate=${rate}`,
  `warmup=${warmup}`,
];
const MODELS: readonly (readonly [string, string, readonly string[]])[] = [
  ['spinenet_49S_B_8gpu', 'retinanet_spinenet', []],
  ['spinenet_49_B_8gpu_640', 'retinanet_spinenet', ["arch='49'", ...wide, ...batch(28, 0.245, 2285)]],
  ['spinenet_49_B_8gpu_896', 'retinanet_spinenet', ["arch='49'", ...wide, large(896), ...batch(14, 0.1225, 4572)]],
  ['spinenet_96_B_8gpu', 'retinanet_spinenet', ["arch='96'", ...wide, large(1024), ...batch(8, 0.07, 8000)]],
  [
    'spinenet_143_B_8gpu',
    'retinanet_spinenet',
    ["arch='143'", ...wide, large(1280), 'base_scale=4', 'ratios=(0.1, 1.9)', ...batch(3, 0.02625, 21333)],
  ],
  [
    'spinenet_190_B_8gpu',
    'retinanet_spinenet',
    ["arch='190'", 'width=512', 'depth=7', large(1280), 'base_scale=4', 'ratios=(0.1, 1.9)', 'epochs=50'].concat(
      batch(8, 0.07, 8000),
    ),
  ],
  ['mask_rcnn_spinenet_49S_B_8gpu_640', 'mask_rcnn_spinenet', []],
  ['mask_rcnn_spinenet_49_B_8gpu_640', 'mask_rcnn_spinenet', ["arch='49'", ...wide, 'hidden=1024']],
  [
    'mask_rcnn_spinenet_96_B_8gpu_1024',
    'mask_rcnn_spinenet',
    ["arch='96'", ...wide, 'hidden=1024', large(1024), ...batch(6, 0.0525, 10667)],
  ],
  [
    'mask_rcnn_spinenet_143_B_8gpu_1280',
    'mask_rcnn_spinenet',
    ["arch='143'", ...wide, 'hidden=1024', large(1280), 'border=-1', 'kept=1000', ...batch(3, 0.02625, 21333)],
  ],
];

describe('the configs of SpineNet-Pytorch', () => {
  for (const [name, file, sets] of MODELS) {
    test(`configs/spinenet/${name}.yaml is what mmdetection's file says`, () => {
      assert.deepEqual(read(file, sets).config, shipped(`spinenet/${name}`));
    });
  }

  test('what has no effect is told once', () => {
    assert.deepEqual(read('retinanet_spinenet').notices, [
      'config.py: without effect here: cudnn_benchmark, evaluation, checkpoint_config, dist_params, log_level, work_dir',
    ]);
  });
});

describe("mmdetection's own configs", () => {
  test('RetinaNet on ResNet-50: levels P6 and P7 from C5, no jitter, 16 images a step of 8 GPUs', () => {
    const { model, data, train, preprocess } = read('retinanet_resnet').config;
    assert.ok(model.type === 'retinanet' && model.backbone.type === 'resnet');
    assert.deepEqual(model.neck, { type: 'fpn', channels: 256, extraLevelsFrom: 'c5', reluBeforeP7: false });
    assert.deepEqual([model.head.norm, model.head.backgroundIou, model.head.smoothL1Beta], ['none', 0.4, 0.11]);
    assert.deepEqual([model.backbone.frozenStages, model.backbone.strideIn1x1], [2, false]);
    assert.equal(data.jitter, undefined);
    assert.deepEqual([preprocess.resize.minSize, preprocess.resize.maxSize, preprocess.padMultiple], [800, 1333, 32]);
    assert.deepEqual([train.batchSize, train.referenceBatchSize, train.epochs, train.clipGradNorm], [2, 16, 12, 35]);
    assert.deepEqual(
      [train.schedule.steps, train.schedule.stepUnit, train.schedule.warmupFactor],
      [[8, 11], 'epoch', 1 / 3],
    );
  });

  test('Mask R-CNN on ResNet-50: two layers on boxes, anchors of 32 to 512', () => {
    const { model } = read('mask_rcnn_resnet').config;
    assert.ok(model.type === 'mask_rcnn' && model.neck.type === 'fpn');
    assert.deepEqual(model.anchors.sizes, [[32], [64], [128], [256], [512]]);
    assert.deepEqual(
      [model.boxHead.kind, model.boxHead.hiddenSize, model.boxHead.smoothL1Beta],
      ['two_layer', 1024, 1],
    );
    assert.deepEqual([model.rpn.straddle, model.rpn.lowestBestIou], [0, 0.3]);
    assert.equal(model.neck.extraLevel, 'pool');
  });

  test("caffe's ResNets read BGR and halve the resolution in the first convolution", () => {
    const text = fixture('mask_rcnn_resnet')
      .replace("style='pytorch'", "style='caffe'")
      .replace("'to_rgb': True", "'to_rgb': False");
    const { model, preprocess } = readMmdetectionConfig(text, { file: 'config.py', sets: [] }).config;
    assert.ok(model.type === 'mask_rcnn' && model.backbone.type === 'resnet');
    assert.equal(model.backbone.strideIn1x1, true);
    assert.equal(preprocess.channels, 'bgr');
  });

  test('fewer proposals of a level than of an image are its nms_post', () => {
    const kept = (text: string) => {
      const { model } = readMmdetectionConfig(text, { file: 'config.py', sets: [] }).config;
      assert.ok(model.type === 'mask_rcnn');
      const { preNmsTopN, levelPostNmsTopN, postNmsTopN } = model.rpn;
      return { preNmsTopN, levelPostNmsTopN, postNmsTopN };
    };
    const text = fixture('mask_rcnn_resnet');
    // No level has more candidates than it may keep.
    assert.equal(kept(text).levelPostNmsTopN, undefined);
    assert.deepEqual(
      kept(text.replace('nms_pre=1000, nms_post=1000, max_num=1000', 'nms_pre=1000, nms_post=300, max_num=700')),
      {
        preNmsTopN: { train: 2000, test: 1000 },
        levelPostNmsTopN: { train: 2000, test: 300 },
        postNmsTopN: { train: 2000, test: 700 },
      },
    );
  });

  test('several training sizes are drawn from', () => {
    const sizes = "img_scale=[(1333, 640), (1333, 800)], multiscale_mode='value', keep_ratio=True";
    const { resize } = changed('mask_rcnn_resnet', 'img_scale=(1333, 800), keep_ratio=True', sizes).config.preprocess;
    assert.deepEqual(resize.trainMinSizes, [640, 800]);
    assert.equal(resize.trainMaxSize, 1333);
  });
});

describe('--set', () => {
  test("takes mmdetection's dotted names, indices too, and then ours", () => {
    const { config } = read('retinanet_spinenet', [
      'model.bbox_head.loss_bbox.beta=0.2',
      'optimizer.lr=0.01 * 2',
      'data.imgs_per_gpu=4',
      'test_pipeline.1.img_scale=(512, 512)',
      'data_root=/disk/coco/',
      'norm_cfg.type=BN',
      'optimizer_config.grad_clip=None',
      'model.head.maxDetections=7',
      'train.seed=3',
      'data.train.limit=8',
    ]);
    assert.ok(config.model.type === 'retinanet');
    assert.deepEqual([config.model.head.smoothL1Beta, config.model.head.maxDetections], [0.2, 7]);
    assert.deepEqual([config.train.optimizer.lr, config.train.batchSize, config.train.seed], [0.02, 4, 3]);
    assert.equal(config.preprocess.resize.minSize, 512);
    assert.deepEqual(config.data.train, {
      annotations: '/disk/coco/annotations/instances_train2017.json',
      images: '/disk/coco/train2017',
      limit: 8,
    });
    assert.equal(config.train.clipGradNorm, undefined);
  });

  test('trains without validation where data.val is None', () => {
    const { data, preprocess } = read('retinanet_spinenet', ['data.val=None']).config;
    assert.equal(data.val, undefined);
    assert.deepEqual(preprocess, read('retinanet_spinenet').config.preprocess);
  });

  test('of fewer images a GPU lets the rate follow, unless that is set too', () => {
    const batch = (...sets: string[]) => {
      const { batchSize, referenceBatchSize, optimizer } = read('retinanet_spinenet', sets).config.train;
      return [batchSize, referenceBatchSize, optimizer.lr];
    };
    assert.deepEqual(batch(), [32, 256, 0.28]);
    assert.deepEqual(batch('data.imgs_per_gpu=8'), [8, 256, 0.28]);
    assert.deepEqual(batch('data.imgs_per_gpu=8', 'optimizer.lr=0.07'), [8, 64, 0.07]);
  });

  test('of a key that nobody knows is an error that says so', () => {
    assert.throws(() => read('retinanet_spinenet', ['optimizer.momentun=0.9']), {
      message: '--set: optimizer.momentun: unknown key: did you mean momentum?',
    });
    assert.throws(() => read('retinanet_spinenet', ['train.sed=1']), {
      message: '--set train.sed=1: train.sed: unknown key: did you mean seed?',
    });
  });

  test('a batch norm that is set takes the place of SyncBN everywhere', () => {
    const norms = (sets: string[]): string[] =>
      JSON.stringify(read('mask_rcnn_spinenet', sets).config).match(/"norm":"\w*batch"/g) ?? [];
    assert.deepEqual(new Set(norms([])), new Set(['"norm":"sync_batch"']));
    assert.deepEqual(new Set(norms(['norm_cfg.type=BN'])), new Set(['"norm":"batch"']));
  });
});

// What is wrong in the fixture retinanet_spinenet, and what is said about it.
const MISTAKES: readonly (readonly [string, string, RegExp])[] = [
  [
    'stacked_convs=',
    'stacked_conv=',
    /^config\.py:\d+: model\.bbox_head\.stacked_conv: unknown key: did you mean stacked_convs\?$/,
  ],
  [
    'total_epochs =',
    'totalepochs =',
    /^config\.py: total_epochs: missing: add it \(expected a whole number of at least 1\)$/,
  ],
  [
    "type='RetinaNet'",
    "type='RetinaNets'",
    /^config\.py:\d+: model\.type: 'RetinaNets' is not supported: did you mean RetinaNet\?$/,
  ],
  [
    "type='RetinaNet'",
    "type='CascadeRCNN'",
    /model\.type: 'CascadeRCNN' is not supported: expected RetinaNet, FasterRCNN, MaskRCNN$/,
  ],
  ["arch = '49S'", "arch = '50'", /backbone\.arch: '50' is not supported/],
  ['momentum=0.9', "momentum='much'", /^config\.py:\d+: optimizer\.momentum: got 'much', expected a number$/],
  ['loss_weight=1.0),', 'loss_weight=2.0),', /loss_cls\.loss_weight: got 2, and only 1 is supported: set it so$/],
  ['width = 128', 'width = 64', /in_channels: got 64, the levels have 128: set it so$/],
  [
    'anchor_strides=[8, 16, 32, 64, 128]',
    'anchor_strides=[4, 8, 16, 32, 64]',
    /only \(8, 16, 32, 64, 128\) is supported/,
  ],
  [
    "dict(type='RandomCrop', crop_size=size),",
    '',
    /ratio_range, RandomCrop and the size of Pad are supported together/,
  ],
  [
    "dict(type='RandomFlip', flip_ratio=0.5),",
    "dict(type='Expand'),",
    /data\.train\.pipeline\.4\.type: 'Expand' is not supported/,
  ],
  [
    "dataset_type = 'CocoDataset'",
    "dataset_type = 'VOCDataset'",
    /data\.train\.type: 'VOCDataset' is not supported: expected CocoDataset|did you mean CocoDataset/,
  ],
  ["policy='step'", "policy='cosine'", /lr_config\.policy: 'cosine' is not supported: expected step$/],
  ['model = dict(', "_base_ = 'x.py'\nmodel = dict(", /_base_: belongs to mmdetection 2 and later/],
  ['max_per_img=100', 'max_per_img=1e300', /max_per_img: got 1e\+300, expected a whole number of at least 1$/],
  ['rate = 0.28', 'rate = -1', /train\.optimizer\.lr: got -1: expected/],
  ['dist_params = dict(', 'distance = dict(', /^config\.py:\d+: distance: unknown key/],
];

describe('a config that is not understood', () => {
  for (const [from, to, message] of MISTAKES) {
    test(`${JSON.stringify(from)} as ${JSON.stringify(to)} is an error in one line`, () => {
      assert.throws(
        () => changed('retinanet_spinenet', from, to),
        (error) => {
          assert.ok(error instanceof InputError);
          assert.match(error.message, message);
          return true;
        },
      );
    });
  }
});

test("a file is mmdetection's by its ending or by what it assigns", () => {
  assert.ok(mmdetectionConfigs.recognises('a.py', ''));
  assert.ok(mmdetectionConfigs.recognises('a.txt', fixture('retinanet_resnet')));
  assert.ok(!mmdetectionConfigs.recognises('a.yaml', 'model:\n  type: retinanet\n'));
});
