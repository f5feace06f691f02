import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { parseConfig, type RunConfig } from '../../config/index.js';
import { inputErrorOf } from '../../testing/input-error.js';
import { isDetectronConfig, readDetectronConfig } from './config.js';
import { ownName, shippedConfigs } from './fixtures/shipped-configs.js';

const MASK = shipped('baselines/e2e_mask_rcnn_R-50-FPN_1x');
const C4 = shipped('baselines/e2e_mask_rcnn_R-50-C4_1x');
const KEYPOINTS = shipped('baselines/e2e_keypoint_rcnn_R-50-FPN_1x');

function shipped(name: string): string {
  return shippedConfigs.find((config) => config.name === name)!.text;
}

function read(text: string, ...sets: string[]): { config: RunConfig; notices: readonly string[] } {
  return readDetectronConfig(text, { file: 'a.yaml', sets });
}

function problem(text: string, ...sets: string[]): string {
  return inputErrorOf(() => read(text, ...sets));
}

/** The model, which is known to have heads on boxes. */
function withHeads(text: string, ...sets: string[]) {
  const { model } = read(text, ...sets).config;
  assert.ok(model.type === 'mask_rcnn' || model.type === 'faster_rcnn' || model.type === 'keypoint_rcnn');
  return model;
}

function resnetOf(text: string, ...sets: string[]) {
  const { backbone } = withHeads(text, ...sets);
  assert.ok(backbone.type === 'resnet');
  return backbone;
}

describe('the 40 configs of Detectron.pytorch', () => {
  test('are recognised by their content', () => {
    for (const { text } of shippedConfigs) assert.equal(isDetectronConfig('x', text), true);
    assert.equal(isDetectronConfig('x', 'model: {type: mask_rcnn}\ntrain: {batchSize: 2}\n'), false);
    assert.equal(isDetectronConfig('x', 'MODEL:\n  META_ARCHITECTURE: GeneralizedRCNN\nINPUT: {}\n'), false);
  });

  test('are 38 that translate and two that are no YAML', () => {
    const broken = shippedConfigs.filter(({ isBroken }) => isBroken);
    assert.equal(shippedConfigs.length, 40);
    assert.deepEqual(
      broken.map(({ name }) => name),
      ['baselines/e2e_faster_rcnn_X-101-64x4d-FPN_1x', 'gn_baselines/e2e_mask_rcnn_R-101-FPN_2x_gn'],
    );
    for (const { text } of broken) {
      const line = text.split('\n').findIndex((content) => content.startsWith('IMAGENET_')) + 1;
      assert.equal(
        problem(text),
        `a.yaml:${line}: not valid YAML: IMAGENET_PRETRAINED_WEIGHTS stands outside RESNETS, the group that it belongs to: indent it by two spaces, like the line below it`,
      );
    }
    for (const { text, isBroken } of shippedConfigs) if (!isBroken) read(text);
  });

  test('give six notices of an old name and two of frozen random layers, and no others', () => {
    const notices = shippedConfigs.flatMap(({ name, text, isBroken }) =>
      isBroken ? [] : read(text).notices.map((notice) => ({ name, notice })),
    );
    const stale = notices.filter(({ notice }) => notice.includes('head_builder'));
    assert.equal(stale.length, 6);
    for (const { name, notice } of stale) {
      assert.match(name, /keypoint_rcnn_(R|X)-101/);
      assert.match(
        notice,
        /^a\.yaml:\d+: FAST_RCNN\.ROI_BOX_HEAD: 'head_builder\.roi_2mlp_head' is an old name: taken as fast_rcnn_heads\.roi_2mlp_head$/,
      );
    }
    const others = notices.filter((notice) => !stale.includes(notice));
    assert.deepEqual(
      others.map(({ name }) => name),
      ['R-50', 'R-101'].map((body) => `gn_baselines/scratch_e2e_mask_rcnn_${body}-FPN_3x_gn`),
    );
  });

  for (const { name, text, isBroken } of shippedConfigs) {
    test(`${name} is configs/detectron/${ownName(name)}.yaml`, () => {
      const file = new URL(`../../../../../configs/detectron/${ownName(name)}.yaml`, import.meta.url);
      const own = parseConfig(readFileSync(file, 'utf8'), { file: ownName(name) });
      assert.deepEqual(read(isBroken ? text.replace(/^IMAGENET_/m, '  IMAGENET_') : text).config, own);
    });
  }
});

// Defaults: Detectron.pytorch's lib/core/config.py.
describe('a translated config', () => {
  test('has the defaults of the original', () => {
    const { config } = read(
      'MODEL:\n  CONV_BODY: ResNet.ResNet50_conv4_body\n  FASTER_RCNN: True\nFAST_RCNN:\n  ROI_BOX_HEAD: ResNet.ResNet_roi_conv5_head\n',
    );
    const { model, preprocess, train } = config;
    assert.ok(model.type === 'faster_rcnn');
    assert.equal(model.boxHead.pooling, 'pool');
    assert.equal(model.boxHead.poolSize, 14);
    assert.equal(model.boxHead.nmsThreshold, 0.3);
    assert.equal(model.boxHead.batchSizePerImage, 64);
    assert.deepEqual(model.rpn.preNmsTopN, { train: 12000, test: 12000 });
    assert.deepEqual(model.anchors.sizes, [[64, 128, 256, 512]]);
    assert.deepEqual([preprocess.resize.minSize, preprocess.resize.maxSize], [600, 1000]);
    assert.equal(preprocess.padMultiple, 1);
    // SOLVER: 0.001, step policy of 30000 in 40000; one GPU of two images.
    assert.deepEqual([train.optimizer.lr, train.iterations, train.batchSize], [0.001, 40000, 2]);
    assert.deepEqual(train.schedule.steps, [30000]);
    assert.equal(train.optimizer.weightDecay, 0.0005);
  });

  test('reads grey levels in BGR, less the mean, in multiples of 32 with FPN', () => {
    const { preprocess } = read(MASK).config;
    assert.deepEqual(
      [preprocess.channels, preprocess.valueScale, preprocess.mean, preprocess.std, preprocess.padMultiple],
      ['bgr', 1, [102.9801, 115.9465, 122.7717], [1, 1, 1], 32],
    );
    assert.equal(preprocess.resize.rule, 'detectron');
    assert.equal(read(C4).config.preprocess.padMultiple, 1);
  });

  test('trains at other sizes than it tests at where the file says so', () => {
    const { resize } = read(MASK, 'TRAIN.SCALES=(400, 500)', 'TRAIN.MAX_SIZE=700').config.preprocess;
    assert.deepEqual(
      [resize.trainMinSizes, resize.trainMaxSize, resize.minSize, resize.maxSize],
      [[400, 500], 700, 800, 1333],
    );
    assert.deepEqual(read(KEYPOINTS).config.preprocess.resize.trainMinSizes, [640, 672, 704, 736, 768, 800]);
  });

  test('has the batch of all GPUs as the one that the schedule is for', () => {
    const { train } = read(C4, 'NUM_GPUS=4').config;
    assert.deepEqual([train.batchSize, train.referenceBatchSize], [4, 4]);
  });

  test('shares stage 5 between box and mask head of a C4 model', () => {
    const model = withHeads(C4);
    assert.ok(model.type === 'mask_rcnn');
    assert.deepEqual([model.neck.type, model.boxHead.kind, model.maskHead.kind], ['none', 'stage5', 'stage5_shared']);
    assert.deepEqual(model.anchors.sizes, [[32, 64, 128, 256, 512]]);
  });

  test('of a finest-level pyramid has one level of anchors', () => {
    const { neck, anchors } = withHeads(
      MASK,
      'MODEL.CONV_BODY=FPN.fpn_ResNet50_conv5_P2only_body',
      'FPN.MULTILEVEL_ROIS=False',
      'FPN.MULTILEVEL_RPN=False',
    );
    assert.ok(neck.type === 'fpn');
    assert.equal(neck.finestOnly, true);
    assert.deepEqual(anchors.sizes, [[64, 128, 256, 512]]);
  });

  test('proposes only, or takes stored proposals', () => {
    const rpn = read(C4, 'MODEL.RPN_ONLY=True').config.model;
    assert.equal(rpn.type, 'rpn');
    const fast = read(C4, 'MODEL.FASTER_RCNN=False', "TRAIN.PROPOSAL_FILES=('train.pkl',)").config;
    assert.ok(fast.model.type === 'mask_rcnn');
    assert.equal(fast.model.proposals, 'stored');
    assert.equal(fast.data.train?.proposals, 'train.pkl');
    assert.deepEqual([fast.data.train?.proposalCrowdShare, fast.data.val?.proposalLimit], [0.7, 2000]);
    assert.deepEqual([fast.data.train?.proposalsDistinct, fast.data.train?.proposalMinSize], [true, 2]);
    const two = read(C4, 'MODEL.FASTER_RCNN=False', "TRAIN.PROPOSAL_FILES=('train.pkl', 'valminusminival.pkl')");
    assert.deepEqual(two.config.data.train?.proposals, ['train.pkl', 'valminusminival.pkl']);
    assert.deepEqual(two.notices, []);
    const all = read(C4, 'MODEL.FASTER_RCNN=False', 'TRAIN.CROWD_FILTER_THRESH=0', 'TEST.PROPOSAL_LIMIT=-1');
    assert.deepEqual(
      [all.config.data.train?.proposalCrowdShare, all.config.data.val?.proposalLimit],
      [undefined, undefined],
    );
    assert.deepEqual(all.notices, []);
    assert.deepEqual(read(C4, 'TRAIN.CROWD_FILTER_THRESH=0.5').notices, [
      'a.yaml: without effect here: TRAIN.CROWD_FILTER_THRESH',
    ]);
  });

  // As in Detectron's configs/12_2017_baselines: rpn_R-50-FPN_1x.yaml and fast_rcnn_R-50-FPN_1x.yaml.
  test('needs of FPN only what its network has, and finds proposals by their address', () => {
    const common = 'MODEL:\n  TYPE: generalized_rcnn\n  CONV_BODY: FPN.add_fpn_ResNet50_conv5_body\n';
    const rpn = read(`${common}  RPN_ONLY: True\nFPN: {FPN_ON: True, MULTILEVEL_RPN: True}\n`);
    assert.equal(rpn.config.model.type, 'rpn');
    const address = 'https://host/detectron/35998814/output/test/coco_2014_train/generalized_rcnn/rpn_proposals.pkl';
    const fast = read(
      `${common}FPN: {FPN_ON: True, MULTILEVEL_ROIS: True}\nFAST_RCNN: {ROI_BOX_HEAD: fast_rcnn_heads.add_roi_2mlp_head}\nTRAIN: {PROPOSAL_FILES: ['${address}']}\n`,
    );
    assert.equal(fast.config.data.train?.proposals, 'data/proposals/coco_2014_train/rpn_proposals.pkl');
    assert.match(
      fast.notices.join('\n'),
      /^a\.yaml:6: TRAIN\.PROPOSAL_FILES is an address: proposals are read from data\/proposals\/coco_2014_train\/rpn_proposals\.pkl; put the file there$/,
    );
  });

  test('has the options of the RPN, of the box head and of testing', () => {
    const model = withHeads(
      C4,
      'RPN.OUT_DIM_AS_IN_DIM=False',
      'RPN.CLS_ACTIVATION=softmax',
      'MODEL.CLS_AGNOSTIC_BBOX_REG=True',
      'FAST_RCNN.ROI_XFORM_METHOD=RoICrop',
      'TEST.SOFT_NMS.ENABLED=True',
      'TEST.SOFT_NMS.METHOD=gaussian',
      'TRAIN.RPN_STRADDLE_THRESH=-1',
    );
    assert.deepEqual([model.rpn.hiddenChannels, model.rpn.activation, model.rpn.straddle], [512, 'softmax', undefined]);
    assert.deepEqual([model.boxHead.classAgnostic, model.boxHead.pooling], [true, 'crop']);
    assert.deepEqual(model.boxHead.softNms, { method: 'gaussian', sigma: 0.5, minScore: 1e-4 });
  });

  test('leaves out pictures without keypoints, and counts pictures of persons alone', () => {
    const { data } = read(KEYPOINTS).config;
    assert.equal(data.requireKeypoints, true);
    assert.equal(data.train?.annotations, 'data/coco/annotations/person_keypoints_train2017.json');
  });
});

// The seven steps of the document that make a file of Detectron.pytorch out of one of Detectron.
describe("Detectron's own config", () => {
  const text = `MODEL:
  TYPE: generalized_rcnn
  CONV_BODY: FPN.add_fpn_ResNet50_conv5_body
  NUM_CLASSES: 81
  FASTER_RCNN: True
  MASK_ON: True
NUM_GPUS: 8
SOLVER: {WEIGHT_DECAY: 0.0001, LR_POLICY: steps_with_decay, BASE_LR: 0.02, MAX_ITER: 90000, STEPS: [0, 60000, 80000]}
FPN: {FPN_ON: True, MULTILEVEL_ROIS: True, MULTILEVEL_RPN: True, USE_GN: True}
RESNETS:
  STRIDE_1X1: False
  TRANS_FUNC: bottleneck_gn_transformation
  STEM_FUNC: basic_gn_stem
  SHORTCUT_FUNC: basic_gn_shortcut
FAST_RCNN: {ROI_BOX_HEAD: fast_rcnn_heads.add_roi_Xconv1fc_gn_head, ROI_XFORM_METHOD: RoIAlign, ROI_XFORM_RESOLUTION: 7}
MRCNN: {ROI_MASK_HEAD: mask_rcnn_heads.mask_rcnn_fcn_head_v1up4convs_gn, RESOLUTION: 28, ROI_XFORM_RESOLUTION: 14, DILATION: 1}
TRAIN:
  WEIGHTS: https://example.org/ImageNetPretrained/47261647/R-50-GN.pkl
  DATASETS: ('coco_2014_train', 'coco_2014_valminusminival')
  SCALES: (800,)
  MAX_SIZE: 1333
TEST: {DATASETS: "('coco_2014_minival',)", SCALE: 800, MAX_SIZE: 1333}
OUTPUT_DIR: .
`;

  test('becomes the same model, with group norm and its weights from where they are to lie', () => {
    const { config, notices } = read(text);
    const backbone = resnetOf(text);
    assert.equal(backbone.norm, 'group');
    assert.equal(backbone.weights, 'data/pretrained_model/R-50-GN.pkl');
    assert.equal(config.model.type, 'mask_rcnn');
    assert.equal(notices.length, 2);
    assert.match(
      notices[0]!,
      /^a\.yaml:18: TRAIN\.WEIGHTS is an address: training starts from data\/pretrained_model\/R-50-GN\.pkl/,
    );
    assert.equal(notices[1], 'a.yaml: without effect here: OUTPUT_DIR');
  });

  test('has learned levels beyond the fifth, and masks beside keypoints', () => {
    const levels = read(MASK, 'FPN.EXTRA_CONV_LEVELS=True', 'FPN.RPN_MAX_LEVEL=7').config.model;
    assert.ok(levels.type === 'mask_rcnn' && levels.neck.type === 'fpn');
    assert.deepEqual([levels.neck.extraLevel, levels.neck.extraConvolutions], ['convolutions', 2]);
    assert.deepEqual(levels.anchors.sizes.flat(), [32, 64, 128, 256, 512, 1024]);
    assert.match(
      problem(MASK, 'FPN.RPN_MAX_LEVEL=7'),
      /FPN\.RPN_MAX_LEVEL: is 7, expected 5 to 6: correct it, or set FPN\.EXTRA_CONV_LEVELS to True$/,
    );
    const both = read(
      MASK,
      'MODEL.KEYPOINTS_ON=True',
      'KRCNN.ROI_KEYPOINTS_HEAD=keypoint_rcnn_heads.roi_pose_head_v1convX',
    ).config.model;
    assert.ok(both.type === 'keypoint_rcnn');
    assert.deepEqual(both.maskHead?.channels, [256, 256, 256, 256]);
  });

  test('has a heatmap from two deconvolutions, each of which doubles it', () => {
    const sets = ['KRCNN.USE_DECONV=True', 'KRCNN.USE_DECONV_OUTPUT=True', 'KRCNN.DECONV_DIM=64'];
    const { model } = read(KEYPOINTS, ...sets, 'KRCNN.HEATMAP_SIZE=112').config;
    assert.ok(model.type === 'keypoint_rcnn');
    assert.deepEqual([model.keypointHead.output, model.keypointHead.hiddenChannels], ['two_deconvolutions', 64]);
    assert.match(
      problem(KEYPOINTS, ...sets),
      /HEATMAP_SIZE: is 56, but the head makes 112 x 112 cells: set it to 112$/,
    );
  });

  test('has masks of one fully connected layer, where the file asks for it', () => {
    const { model } = read(MASK, 'MRCNN.USE_FC_OUTPUT=True', 'MRCNN.CLS_SPECIFIC_MASK=False').config;
    assert.ok(model.type === 'mask_rcnn');
    assert.deepEqual([model.maskHead.output, model.maskHead.classAgnostic], ['fully_connected', true]);
  });

  test('has rates that the file names one by one', () => {
    const { optimizer, schedule } = read(
      text.replace('steps_with_decay', 'steps_with_lrs'),
      'SOLVER.LRS=(0.01, 0.005, 0.0001)',
    ).config.train;
    assert.deepEqual([optimizer.lr, schedule.steps, schedule.factors], [0.01, [60000, 80000], [0.5, 0.01]]);
  });

  test('names the union of two sets that is a third, and one set in texts', () => {
    const { data } = read(text).config;
    assert.equal(data.train?.annotations, 'data/coco/annotations/instances_train2017.json');
    assert.deepEqual(data.val, {
      ...data.val,
      annotations: 'data/coco/annotations/instances_minival2014.json',
      images: 'data/coco/images/val2014',
    });
  });

  test('leaves the classes to the data unless --set names them', () => {
    assert.equal(read(text).config.model.classes, 'from-data');
    assert.equal(read(text, 'MODEL.NUM_CLASSES=4').config.model.classes, 3);
  });
});

describe('keys without effect', () => {
  test('are named once, in one line', () => {
    assert.deepEqual(
      read(MASK, 'VIS=True', 'TRAIN.BBOX_THRESH=0.5', 'KRCNN.NUM_KEYPOINTS=5', 'MRCNN.CONV_INIT=GaussianFill').notices,
      ['a.yaml: without effect here: MRCNN.CONV_INIT, KRCNN.NUM_KEYPOINTS, TRAIN.BBOX_THRESH, VIS'],
    );
    assert.deepEqual(read(MASK).notices, []);
  });
});

describe('--set on a Detectron config', () => {
  test('takes Python literals, and our keys afterwards', () => {
    const { config } = read(
      MASK,
      'TEST.SCALE=200',
      'data.train.limit=8',
      'train.batchSize=2',
      'MODEL.LOAD_IMAGENET_PRETRAINED_WEIGHTS=False',
      'RESNETS.FREEZE_AT=0',
    );
    assert.equal(config.preprocess.resize.minSize, 200);
    assert.equal(config.data.train?.limit, 8);
    assert.equal(config.train.batchSize, 2);
    assert.ok(config.model.backbone.type === 'resnet');
    assert.deepEqual([config.model.backbone.weights, config.model.backbone.frozenStages], [undefined, 0]);
  });

  test('says what it does not know', () => {
    assert.equal(problem(MASK, 'TEST.SCALES=200'), '--set TEST.SCALES: unknown key: did you mean TEST.SCALE?');
    assert.equal(problem(MASK, 'TEST=200'), '--set TEST: is a group of keys: name one of them, such as TEST.WEIGHTS');
    assert.equal(
      problem(MASK, 'TEST.NMS'),
      '--set TEST.NMS: has no value: write --set TEST.NMS VALUE or --set TEST.NMS=VALUE',
    );
    assert.match(
      problem(MASK, 'data.workerz=2'),
      /^--set data\.workerz=2: data\.workerz: unknown key: did you mean workers\?/,
    );
  });
});

describe('a mistake in a Detectron config is one line that says', () => {
  test('the line, the key and the nearest one', () => {
    assert.equal(
      problem(MASK.replace('BASE_LR', 'BASE_RL')),
      `a.yaml:${lineOf(MASK, 'BASE_LR')}: SOLVER.BASE_RL: unknown key: did you mean SOLVER.BASE_LR?`,
    );
    assert.equal(
      problem(`${MASK}NMS: 0.3\n`).replace(/:\d+:/, ':N:'),
      'a.yaml:N: NMS: unknown key: did you mean TEST.NMS?',
    );
  });

  test('what stands there and what was expected', () => {
    assert.match(
      problem(MASK.replace('(800,)', '800')),
      /: TRAIN\.SCALES: got 800, expected a list of whole numbers such as \(400, 800\): write \(800,\)$/,
    );
    assert.match(
      problem(MASK.replace('MASK_ON: True', 'MASK_ON: 1')),
      /: MODEL\.MASK_ON: got 1, expected True or False$/,
    );
    assert.match(
      problem(MASK.replace('steps_with_decay', 'steps_with_lr')),
      /'steps_with_lr' is not supported: take step, steps_with_decay, steps_with_lrs$/,
    );
    assert.match(
      problem(MASK.replace('steps_with_decay', 'steps_with_lrs'), 'SOLVER.LRS=(0.02, 0.002)'),
      /SOLVER\.LRS: is \(0\.02, 0\.002\), expected a rate above 0 for each of the 3 SOLVER\.STEPS: correct it$/,
    );
  });

  test('which keys do not go together', () => {
    assert.match(
      problem(MASK, 'MRCNN.RESOLUTION=14'),
      /^--set MRCNN\.RESOLUTION: is 14, but the head makes 28 x 28 cells: set it to 28$/,
    );
    assert.match(
      problem(MASK, 'FPN.FPN_ON=False'),
      /MODEL\.CONV_BODY: FPN\.fpn_ResNet50_conv5_body is an FPN body, which needs FPN\.FPN_ON: True$/,
    );
    assert.equal(read(MASK, 'SOLVER.WARM_UP_METHOD=constant').config.train.schedule.warmup, 'constant');
    assert.match(problem(MASK, 'SOLVER.WARM_UP_METHOD=gaussian'), /is not supported: take linear, constant$/);
    assert.match(problem(MASK, 'SOLVER.STEPS=[10, 20]'), /expected it to begin with 0: write \(0, 10, 20\)$/);
    assert.match(
      problem(MASK, 'RESNETS.STEM_FUNC=basic_gn_stem'),
      /RESNETS\.STEM_FUNC: is basic_gn_stem; without group norm it is basic_bn_stem: set it so$/,
    );
  });

  test('which networks there are', () => {
    assert.match(
      problem(MASK, 'MODEL.CONV_BODY=FPN.fpn_ResNet51_conv5_body'),
      /did you mean FPN\.fpn_ResNet5?1?0?1?_conv5_body\?$/,
    );
    assert.match(
      problem(MASK, 'MODEL.CONV_BODY='),
      /MODEL\.CONV_BODY: missing: add it, for example FPN\.fpn_ResNet50_conv5_body$/,
    );
  });

  test('which values are not supported', () => {
    assert.match(
      problem(MASK, 'FPN.RPN_MIN_LEVEL=3'),
      /^--set FPN\.RPN_MIN_LEVEL: 3 is not supported, only 2 \(pyramids begin with level 2\): remove it$/,
    );
  });
});

function lineOf(text: string, part: string): number {
  return text.split('\n').findIndex((line) => line.includes(part)) + 1;
}
