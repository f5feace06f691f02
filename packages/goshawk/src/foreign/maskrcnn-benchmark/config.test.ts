import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { RunConfig } from '../../config/index.js';
import { inputErrorOf } from '../../testing/input-error.js';
import { isMaskrcnnConfig, readMaskrcnnConfig } from './config.js';
import { shippedConfigs, unsupportedConfigs, zooConfigs } from './fixtures/shipped-configs.js';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-maskrcnn-'));
after(() => rmSync(folder, { recursive: true }));

const S4 = shippedConfigs.find(({ name }) => name.includes('R2_50_s4'))!.text;

function read(text: string, ...sets: string[]): { config: RunConfig; notices: readonly string[] } {
  return readMaskrcnnConfig(text, { file: 'a.yaml', sets });
}

function problem(text: string, ...sets: string[]): string {
  return inputErrorOf(() => read(text, ...sets));
}

/** The model, which is known to have heads on boxes. */
function withHeads(text: string, ...sets: string[]) {
  const { model } = read(text, ...sets).config;
  assert.ok(model.type === 'mask_rcnn' || model.type === 'faster_rcnn' || model.type === 'keypoint_rcnn');
  assert.ok(model.backbone.type === 'resnet');
  return { ...model, backbone: model.backbone };
}

describe('configs of maskrcnn-benchmark', () => {
  const texts = [...shippedConfigs.map(({ text }) => text), ...Object.values(zooConfigs)];

  test('are recognised by their content', () => {
    for (const text of texts) assert.equal(isMaskrcnnConfig('x', text), true);
    // What says nothing but sizes and a schedule.
    assert.equal(isMaskrcnnConfig('x', 'INPUT:\n  MIN_SIZE_TEST: 600\nSOLVER:\n  MAX_ITER: 10\n'), true);
    assert.equal(isMaskrcnnConfig('x', 'model: {type: mask_rcnn}\ntrain: {batchSize: 2}\n'), false);
    assert.equal(isMaskrcnnConfig('x', 'VERSION: 2\nMODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\n'), false);
    assert.equal(isMaskrcnnConfig('x', '_BASE_: base.yaml\nMODEL:\n  WEIGHTS: a.pkl\nINPUT:\n  FORMAT: BGR\n'), false);
  });

  test('all translate', () => {
    for (const text of texts) read(text);
  });
});

describe('the seven configs of Res2Net-maskrcnn', () => {
  test('are Mask R-CNNs with the stride in the 1x1 convolutions and norms without an epsilon', () => {
    const splits = shippedConfigs.map(({ text }) => {
      const { backbone, type, conventions } = withHeads(text);
      assert.deepEqual([type, conventions], ['mask_rcnn', 'maskrcnn_benchmark']);
      assert.deepEqual(
        [
          backbone.strideIn1x1,
          backbone.norm,
          backbone.normEps,
          backbone.frozenStages,
          backbone.stem,
          backbone.shortcut,
        ],
        [true, 'frozen_batch', 0, 2, 'plain', 'convolution'],
      );
      return [backbone.depth, backbone.widthPerGroup ?? 64, backbone.scale];
    });
    assert.deepEqual(splits, [
      [101, 26, 4],
      [50, 48, 2],
      [50, 26, 4],
      [50, 18, 6],
      [50, 14, 8],
      [101, 64, 1],
      [50, 64, 1],
    ]);
  });

  test('have the proposals, heads, pictures and training of the original', () => {
    const { config, notices } = read(S4);
    const { rpn, boxHead, anchors, neck } = withHeads(S4);
    assert.deepEqual(rpn.preNmsTopN, { train: 2000, test: 1000 });
    assert.deepEqual(rpn.levelPostNmsTopN, { train: 2000, test: 1000 });
    assert.deepEqual(rpn.postNmsTopN, { train: 2000, test: 1000 });
    assert.deepEqual([rpn.collectImages, rpn.straddle, rpn.minSize], ['batch', 0, 0]);
    assert.deepEqual([neck.type, anchors.sizes], ['fpn', [[32], [64], [128], [256], [512]]]);
    assert.deepEqual(
      [boxHead.kind, boxHead.poolSize, boxHead.samplingRatio, boxHead.smoothL1Beta],
      ['two_layer', 7, 2, 1],
    );
    assert.ok(config.model.type === 'mask_rcnn');
    assert.deepEqual([config.model.maskHead.kind, config.model.maskHead.poolSize], ['convolutions', 14]);
    const { resize, channels, valueScale, mean, std, padMultiple } = config.preprocess;
    assert.deepEqual(resize, {
      rule: 'maskrcnn-benchmark',
      kernel: 'pil',
      minSize: 800,
      maxSize: 1333,
      trainMinSizes: [],
      trainSizes: 'value',
    });
    assert.deepEqual([channels, valueScale, padMultiple], ['rgb', 1 / 255, 32]);
    assert.deepEqual(
      [mean, std],
      [
        [0.485, 0.456, 0.406],
        [0.229, 0.224, 0.225],
      ],
    );
    const { iterations, batchSize, optimizer, schedule, referenceBatchSize } = config.train;
    assert.deepEqual([iterations, batchSize, referenceBatchSize], [180_000, 16, undefined]);
    assert.ok(optimizer.type === 'sgd');
    assert.deepEqual(
      [optimizer.lr, optimizer.momentum, optimizer.weightDecay, optimizer.biasLrFactor, optimizer.biasWeightDecay],
      [0.02, 0.9, 1e-4, 2, 0],
    );
    assert.deepEqual([schedule.steps, schedule.warmupIterations], [[120_000, 160_000], 500]);
    assert.deepEqual(config.data.train, {
      annotations: 'datasets/coco/annotations/instances_train2017.json',
      images: 'datasets/coco/train2017',
    });
    assert.deepEqual(config.data.val, {
      annotations: 'datasets/coco/annotations/instances_minival2014.json',
      images: 'datasets/coco/val2014',
    });
    assert.equal(config.model.backbone.weights, 'models/res2net50_26w_4s-06e79181.pth');
    assert.deepEqual(notices, ['a.yaml:36: DATASETS.TRAIN: taken as coco_2017_train, which these make together']);
  });

  test('take the overrides of the document', () => {
    const { config } = read(
      S4,
      'SOLVER.IMS_PER_BATCH=2',
      'SOLVER.BASE_LR=0.0025',
      'SOLVER.MAX_ITER=720000',
      'SOLVER.STEPS=(480000, 640000)',
      'TEST.IMS_PER_BATCH=1',
      'MODEL.DEVICE=cpu',
      'train.seed=3',
    );
    const { batchSize, iterations, schedule, optimizer, seed } = config.train;
    assert.deepEqual([batchSize, iterations, schedule.steps, optimizer.lr], [2, 720_000, [480_000, 640_000], 0.0025]);
    assert.deepEqual([config.runtime.device, seed], ['cpu', 3]);
  });

  test('take several data sets: to learn from together, and to be measured by one after another', () => {
    const { config, notices } = read(
      S4,
      "DATASETS.TRAIN=('voc_2007_train', 'voc_2012_train')",
      "DATASETS.TEST=('coco_2014_minival', 'coco_2017_val')",
      'TEST.IMS_PER_BATCH=16',
    );
    assert.deepEqual(config.data.train, {
      annotations: 'datasets/voc/VOC2007',
      format: 'voc',
      set: 'train',
      also: [{ annotations: 'datasets/voc/VOC2012', format: 'voc', set: 'train' }],
    });
    const { also, ...first } = config.data.val!;
    assert.deepEqual([first.name, also?.map(({ name }) => name)], ['coco_2014_minival', ['coco_2017_val']]);
    assert.equal(config.inference.batchSize, 16);
    assert.deepEqual(notices, []);
    assert.match(
      read(S4, "DATASETS.TEST=('coco_2014_minival', 'mine')").notices.join(),
      /DATASETS\.TEST: 'mine' is not in the catalog: name it in a PATHS_CATALOG/,
    );
  });

  test('take group norm with any number of splits', () => {
    const { backbone } = withHeads(
      S4,
      'MODEL.RESNETS.TRANS_FUNC=Bottle2neckWithGN',
      'MODEL.RESNETS.STEM_FUNC=StemWithGN',
      'MODEL.RESNETS.SCALE=6',
      'MODEL.RESNETS.STRIDE_IN_1X1=False',
    );
    assert.deepEqual([backbone.norm, backbone.scale, backbone.strideIn1x1], ['group', 6, false]);
  });
});

describe("maskrcnn-benchmark's own zoo", () => {
  test('has models on stage 4', () => {
    const faster = withHeads(zooConfigs.e2e_faster_rcnn_R_50_C4_1x);
    assert.deepEqual([faster.type, faster.neck], ['faster_rcnn', { type: 'none', stage: 4 }]);
    assert.deepEqual([faster.boxHead.kind, faster.boxHead.poolSize, faster.boxHead.samplingRatio], ['stage5', 14, 0]);
    assert.deepEqual(faster.anchors.sizes, [[32, 64, 128, 256, 512]]);
    assert.deepEqual([faster.rpn.postNmsTopN, faster.rpn.levelPostNmsTopN], [{ train: 2000, test: 1000 }, undefined]);
    assert.equal(faster.rpn.collectImages, 0);
    const mask = withHeads(zooConfigs.e2e_mask_rcnn_R_50_C4_1x);
    assert.ok(mask.type === 'mask_rcnn');
    assert.deepEqual([mask.maskHead.kind, mask.maskHead.upsampleChannels], ['stage5_shared', 256]);
    const apart = withHeads(
      zooConfigs.e2e_mask_rcnn_R_50_C4_1x,
      'MODEL.ROI_MASK_HEAD.SHARE_BOX_FEATURE_EXTRACTOR=False',
    );
    assert.ok(apart.type === 'mask_rcnn');
    assert.equal(apart.maskHead.kind, 'stage5');
  });

  test('has ResNeXts, keypoints and proposals alone', () => {
    const { groups, widthPerGroup, strideIn1x1, depth } = withHeads(
      zooConfigs.e2e_mask_rcnn_X_101_32x8d_FPN_1x,
    ).backbone;
    assert.deepEqual([depth, groups, widthPerGroup, strideIn1x1], [101, 32, 8, false]);
    const { config, notices } = read(zooConfigs.e2e_keypoint_rcnn_R_50_FPN_1x);
    assert.ok(config.model.type === 'keypoint_rcnn');
    const { channels, output, upsampleRatio, poolSize } = config.model.keypointHead;
    assert.deepEqual([channels.length, output, upsampleRatio, poolSize], [8, 'deconvolution', 2, 14]);
    assert.equal(config.model.maskHead, undefined);
    assert.deepEqual(config.preprocess.resize.trainMinSizes, [640, 672, 704, 736, 768, 800]);
    assert.equal(config.data.requireKeypoints, true);
    assert.match(notices.join('\n'), /taken as keypoints_coco_2017_train/);
    assert.equal(read(zooConfigs.rpn_R_50_FPN_1x).config.model.type, 'rpn');
  });

  test('has RetinaNets, whose keys of the two-stage models are listed once as without effect', () => {
    const { config, notices } = read(zooConfigs['retinanet/retinanet_R-50-FPN_1x']);
    const { model } = config;
    assert.ok(model.type === 'retinanet' && model.neck?.type === 'fpn');
    assert.deepEqual(
      [model.conventions, model.neck.extraLevelsFrom, model.neck.channels],
      ['maskrcnn_benchmark', 'c5', 256],
    );
    assert.deepEqual(model.anchors, { octaveBaseScale: 4, scalesPerOctave: 3, ratios: [0.5, 1, 2] });
    const { boxLoss, smoothL1Beta, regressionWeights, boxLossWeight, nmsThreshold, maxDetections } = model.head;
    assert.deepEqual(
      [boxLoss, smoothL1Beta, boxLossWeight, nmsThreshold, maxDetections],
      ['smooth_l1', 0.11, 0.25, 0.4, 100],
    );
    assert.deepEqual(regressionWeights, [10, 10, 5, 5]);
    const unused = notices.filter((notice) => notice.includes('without effect'));
    assert.equal(unused.length, 1);
    assert.match(
      unused[0]!,
      /^a\.yaml: without effect here: MODEL\.RPN\.USE_FPN, .*MODEL\.ROI_BOX_HEAD\.POOLER_SCALES$/,
    );
    const p5 = read(zooConfigs['retinanet/retinanet_R-50-FPN_1x'], 'MODEL.RETINANET.USE_C5=False').config.model;
    assert.ok(p5.type === 'retinanet' && p5.neck?.type === 'fpn');
    assert.equal(p5.neck.extraLevelsFrom, 'p5');
  });

  test('has group norm in body, pyramid and heads', () => {
    const two = withHeads(zooConfigs['gn_baselines/e2e_mask_rcnn_R_50_FPN_1x_gn']);
    assert.ok(two.type === 'mask_rcnn' && two.neck.type === 'fpn');
    assert.deepEqual(
      [two.backbone.norm, two.neck.norm, two.boxHead.kind, two.boxHead.norm, two.maskHead.norm],
      ['group', 'group', 'two_layer', 'group', 'group'],
    );
    const four = withHeads(zooConfigs['gn_baselines/e2e_faster_rcnn_R_50_FPN_Xconv1fc_1x_gn']);
    assert.deepEqual(
      [four.boxHead.kind, four.boxHead.norm, four.boxHead.convolutions],
      ['convolutions', 'group', { count: 4, channels: 256 }],
    );
  });

  test('has boxes of several scales', () => {
    const { boxes } = read(zooConfigs['test_time_aug/e2e_mask_rcnn_R_50_FPN_1x']).config.inference.augment;
    assert.deepEqual(
      [boxes.enabled, boxes.flip, boxes.scaleFlip, boxes.maxSize, boxes.scales],
      [true, true, true, 2000, [400, 500, 600, 700, 900, 1000, 1100, 1200]],
    );
  });

  test('has other data sets', () => {
    const voc = read(zooConfigs['pascal_voc/e2e_faster_rcnn_R_50_C4_1x_4_gpu_voc']).config;
    assert.deepEqual(voc.data.train, { annotations: 'datasets/voc/VOC2012', format: 'voc', set: 'train' });
    const { config, notices } = read(zooConfigs['cityscapes/e2e_mask_rcnn_R_50_FPN_1x_poly']);
    assert.deepEqual(config.data.val, { annotations: 'datasets/cityscapes', format: 'cityscapes', set: 'val' });
    assert.deepEqual(notices.slice(-1), ['a.yaml: without effect here: OUTPUT_DIR']);
  });

  test('names weights of a catalog, which become files', () => {
    const { config, notices } = read(zooConfigs['caffe2/e2e_mask_rcnn_R_50_FPN_1x_caffe2']);
    assert.equal(config.model.backbone.weights, 'data/pretrained_model/e2e_mask_rcnn_R-50-FPN_1x.pkl');
    assert.deepEqual(notices, [
      'a.yaml:3: MODEL.WEIGHT is a name of the catalog: training starts from data/pretrained_model/e2e_mask_rcnn_R-50-FPN_1x.pkl; put the file there',
    ]);
    assert.equal(config.data.train, undefined);
    const { preprocess } = read(zooConfigs.e2e_faster_rcnn_R_50_FPN_1x).config;
    assert.deepEqual(
      [preprocess.channels, preprocess.valueScale, preprocess.mean, preprocess.std],
      ['bgr', 1, [102.9801, 115.9465, 122.7717], [1, 1, 1]],
    );
  });

  test('has parts that are refused by their names', () => {
    assert.equal(
      problem(unsupportedConfigs['dcn/e2e_mask_rcnn_mdconv_R_50_FPN_1x']),
      'a.yaml:8: MODEL.RESNETS.STAGE_WITH_DCN: is (False, True, True, True), but deformable convolutions (DCN) are not built here: remove it, or take a config without',
    );
    assert.equal(
      problem(unsupportedConfigs.e2e_mask_rcnn_fbnet),
      "a.yaml:4: MODEL.BACKBONE.CONV_BODY: 'FBNet' is not supported: FBNet is not built here: take R-50-C4",
    );
  });
});

describe('a mistake in a config of maskrcnn-benchmark is one line that says', () => {
  test('the unknown key and the one that was meant', () => {
    assert.equal(
      problem(S4.replace('  BASE_LR:', '  BASE_LRR:')),
      'a.yaml:41: SOLVER.BASE_LRR: unknown key: did you mean SOLVER.BASE_LR?',
    );
    assert.equal(
      problem(S4, 'MODEL.RESNETS.SCALES=4'),
      '--set MODEL.RESNETS.SCALES: unknown key: did you mean MODEL.RESNETS.SCALE?',
    );
    assert.equal(problem(S4, 'TEST.NMS=0.5'), '--set TEST.NMS: unknown key: did you mean MODEL.ROI_HEADS.NMS?');
  });

  test('that a value is of another type or out of bounds', () => {
    assert.equal(
      problem(S4, 'SOLVER.STEPS=120000'),
      '--set SOLVER.STEPS: got 120000, expected a list of whole numbers such as (400, 800): write (120000,)',
    );
    assert.equal(
      problem(S4, 'SOLVER.IMS_PER_BATCH=0'),
      '--set SOLVER.IMS_PER_BATCH: as train.batchSize: got 0: expected a whole number from 1 to 4096 or auto',
    );
    assert.equal(
      problem(S4, 'INPUT.MIN_SIZE_TRAIN=()'),
      '--set INPUT.MIN_SIZE_TRAIN: got (), expected a list of whole numbers: write (800,)',
    );
    assert.deepEqual(read(S4, 'INPUT.MIN_SIZE_TRAIN=640').config.preprocess.resize.trainMinSizes, [640]);
  });

  test('what is not supported and why', () => {
    assert.equal(
      problem(S4, 'INPUT.BRIGHTNESS=0.2'),
      '--set INPUT.BRIGHTNESS: 0.2 is not supported, only 0 (training changes no colours here): remove it',
    );
    assert.equal(
      problem(S4, 'MODEL.FPN.USE_RELU=True'),
      '--set MODEL.FPN.USE_RELU: True is not supported, only False (pyramids have no activation, as in all of its published models): remove it',
    );
  });

  test('which parts do not go together', () => {
    assert.equal(
      problem(S4, 'MODEL.RESNETS.TRANS_FUNC=BottleneckWithFixedBatchNorm'),
      '--set MODEL.RESNETS.TRANS_FUNC: is BottleneckWithFixedBatchNorm, which MODEL.BACKBONE.CONV_BODY R2-50-FPN does not go with: set it to Bottle2neckWithFixedBatchNorm',
    );
    assert.equal(
      problem(S4, 'MODEL.BACKBONE.CONV_BODY=R2-50-FPM'),
      "--set MODEL.BACKBONE.CONV_BODY: 'R2-50-FPM' is unknown: did you mean R2-50-FPN?",
    );
    assert.equal(
      problem(S4, 'MODEL.ROI_MASK_HEAD.RESOLUTION=14'),
      '--set MODEL.ROI_MASK_HEAD.RESOLUTION: is 14, but the head makes 28 x 28 cells: set it to 28',
    );
    assert.equal(
      problem(S4, 'MODEL.RPN.ANCHOR_STRIDE=(16,)'),
      '--set MODEL.RPN.ANCHOR_STRIDE: is (16), which R2-50-FPN does not go with: set it to (4, 8, 16, 32, 64)',
    );
    assert.equal(
      problem(S4, 'MODEL.RPN.ANCHOR_SIZES=(32, 64)'),
      '--set MODEL.RPN.ANCHOR_SIZES: is (32, 64), expected a size, or a list of sizes, for each of the 5 strides: correct it',
    );
    assert.equal(
      problem(S4, 'MODEL.ROI_HEADS.USE_FPN=False'),
      '--set MODEL.ROI_HEADS.USE_FPN: is False, which R2-50-FPN does not go with: set it to True',
    );
    assert.equal(
      problem(S4, 'MODEL.RETINANET_ON=True'),
      'a.yaml:5: MODEL.BACKBONE.CONV_BODY: is R2-50-FPN, but MODEL.RETINANET_ON needs a pyramid of its own: take R-50-FPN-RETINANET',
    );
  });
});

describe('PATHS_CATALOG', () => {
  const catalog = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  test("names data sets and weights of one's own, below a root", () => {
    const path = catalog(
      'catalog.yaml',
      'root: /data\ndatasets:\n  mine_train: {annotations: mine/train.json, images: mine/photos}\n  mine_voc: {annotations: /other/voc, format: voc, set: train}\nweights:\n  ImageNetPretrained/MSRA/R-50: models/R-50.pkl\n',
    );
    const { config, notices } = read(
      zooConfigs.e2e_faster_rcnn_R_50_FPN_1x,
      `PATHS_CATALOG=${path}`,
      'DATASETS.TRAIN=("mine_train",)',
      'DATASETS.TEST=("mine_voc",)',
    );
    assert.deepEqual(config.data.train, { annotations: '/data/mine/train.json', images: '/data/mine/photos' });
    assert.deepEqual(config.data.val, { annotations: '/other/voc', format: 'voc', set: 'train' });
    assert.equal(config.model.backbone.weights, 'models/R-50.pkl');
    assert.deepEqual(notices, []);
    const { val } = read(S4, `PATHS_CATALOG=${path}`).config.data;
    assert.equal(val?.images, '/data/coco/val2014');
  });

  test('is told from the Python file of the original, and checked', () => {
    assert.match(
      problem(S4, 'PATHS_CATALOG=paths_catalog.py'),
      /^PATHS_CATALOG: paths_catalog\.py is a Python file, which is not run: write its names into a YAML file, \{root:/,
    );
    const missing = join(folder, 'none.yaml');
    assert.equal(problem(S4, `PATHS_CATALOG=${missing}`), `${missing}: not found: check the path`);
    const wrong = catalog('wrong.yaml', 'datasets:\n  mine: {images: photos}\n');
    assert.match(
      problem(S4, `PATHS_CATALOG=${wrong}`),
      /wrong\.yaml: datasets\.mine\.annotations: .*expected root, datasets and weights as in docs\/maskrcnn-benchmark\.md$/,
    );
    const broken = catalog('broken.yaml', 'datasets: [\n');
    assert.match(problem(S4, `PATHS_CATALOG=${broken}`), /broken\.yaml:\d+: /);
  });

  test('leaves what it does not know to the person', () => {
    const { config, notices } = read(
      S4,
      'DATASETS.TRAIN=("micr_train",)',
      'DATASETS.TEST=("coco_2014_val", "micr_val")',
    );
    assert.deepEqual([config.data.train, config.data.val], [undefined, undefined]);
    assert.deepEqual(notices, [
      "--set: DATASETS.TRAIN: 'micr_train' is not in the catalog: name it in a PATHS_CATALOG, or give the files with --set data.train.annotations=FILE --set data.train.images=FOLDER",
      "--set: DATASETS.TEST: 'micr_val' is not in the catalog: name it in a PATHS_CATALOG, or give the files with --set data.val.annotations=FILE --set data.val.images=FOLDER",
    ]);
  });
});
