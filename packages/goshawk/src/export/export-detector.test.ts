import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { manualSeed, noGrad, ops, setThreads } from '@goshawk/torch';
import { parseConfig, type RunConfig } from '../config/index.js';
import type { Detector } from '../models/detector.js';
import {
  agreementOf,
  CLASS_NAMES,
  foundByModel,
  iouOf,
  type Limits,
  noisePictures,
  openExported,
  openOnnxRuntime,
  SKIPPED,
  singleOf,
  wideModel,
} from '../testing/exported-detector.js';
import { overlapThreshold } from './emit-suppression.js';
import { onnxOf } from './export-detector.js';
import { withHalvedWeights } from './halved-weights.js';

setThreads(1);
const ort = await openOnnxRuntime();

/** Heads of fresh weights say nothing: theirs are multiplied until some boxes are sure. */
function excited(model: Detector, factor: number): Detector {
  const pattern =
    /(cls_logits|bbox_reg|bbox_pred|cls_score|mask_fcn_logits|categories|kernels|columns\.\d|rows\.\d)\.weight/;
  noGrad(() => {
    for (const [name, tensor] of model.stateDict()) if (pattern.test(name)) ops.mul_(tensor, factor);
  });
  return model;
}

const RETINA = `
model:
  type: retinanet
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  head: { prior: 0.1, convolutions: 1, preNmsTopN: 200, maxDetections: 60 }
`;

const RCNN = `
model:
  type: mask_rcnn
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  anchors: { sizes: [[12], [24], [48], [96], [192]] }
  rpn: { preNmsTopN: { test: 60 }, postNmsTopN: { test: 40 } }
  boxHead: { hiddenSize: 32, maxDetections: 20, scoreThreshold: 0.05 }
  maskHead: { channels: [16] }
`;

const SPARSE = `
model:
  type: sparse_rcnn
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  proposals: 12
  head: { stages: 2, attentionHeads: 4, dynamicChannels: 8, feedforwardSize: 24, prior: 0.1 }
`;

const SOLO = `
model:
  type: solov2
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 32 }
  head: { channels: 32, convolutions: 1, grids: [10, 8, 6, 5, 4], prior: 0.2, scoreThreshold: 0.1, minScore: 0.05, maxDetections: 20 }
  maskFeatures: { channels: 32, outputs: 32 }
`;

/** Pictures of three sizes in one batch. */
const THREE = [
  [100, 150],
  [128, 96],
  [64, 180],
] as const;

const CASES = [
  ...['torchvision', 'mmdetection', 'maskrcnn_benchmark'].map((conventions) => ({
    name: `RetinaNet by the conventions of ${conventions}`,
    text: RETINA,
    factor: 30,
    sets: [`model.conventions=${conventions}`],
  })),
  ...['torchvision', 'detectron', 'mmdetection', 'maskrcnn_benchmark'].map((conventions) => ({
    name: `Mask R-CNN by the conventions of ${conventions}`,
    text: RCNN,
    factor: 3,
    sets: [`model.conventions=${conventions}`],
  })),
  ...['torchvision', 'mmdetection'].map((conventions) => ({
    name: `Mask R-CNN without the finest level by the conventions of ${conventions}`,
    text: RCNN,
    factor: 3,
    sets: [
      `model.conventions=${conventions}`,
      'model.neck.finestStride=8',
      'model.anchors.sizes=[[24], [48], [96], [192]]',
    ],
  })),
  {
    name: 'Keypoint R-CNN',
    text: RCNN,
    factor: 3,
    // The head of COCO, eight layers of 512 channels, would take all the time of this file.
    sets: ['model.type=keypoint_rcnn', 'model.maskHead=null', 'model.keypointHead.channels=[16, 16]'],
  },
  {
    name: 'Mask R-CNN on the fourth stage',
    text: RCNN,
    factor: 0.1,
    sets: [
      'model.conventions=detectron',
      'model.backbone.depth=50',
      'model.neck={"type":"none","stage":4}',
      'model.anchors.sizes=[[12,24,48]]',
      'model.boxHead.kind=stage5',
      'model.boxHead.poolSize=14',
      'model.maskHead.kind=stage5_shared',
    ],
  },
  {
    name: 'Mask R-CNN on a Res2Net',
    text: RCNN,
    factor: 0.3,
    sets: [
      'model.backbone.depth=50',
      'model.backbone.scale=4',
      'model.backbone.widthPerGroup=4',
      'model.backbone.stem=deep',
    ],
  },
  { name: 'Sparse R-CNN', text: SPARSE, factor: 3, sets: [] },
  { name: 'SOLOv2', text: SOLO, factor: 30, sets: [] },
  {
    name: 'decoupled SOLO',
    text: SOLO,
    factor: 30,
    sets: [
      'model.type=decoupled_solo',
      'model.maskFeatures=null',
      'model.head.maskThreshold=0.1',
      'model.head.minScore=0.01',
    ],
  },
];

describe('exportDetector', { skip: ort ? false : SKIPPED }, () => {
  for (const { name, text, factor, sets } of CASES)
    test(`${name}: ONNX Runtime finds what the model finds`, async () => {
      const config = parseConfig(text, { file: name, sets });
      const model = excited(wideModel(config, 3), factor);
      const exported = await openExported(ort!, model, config);
      const batch = noisePictures(THREE, 32, 1.5);
      const own = foundByModel(model, batch);
      const other = await exported.run(batch);
      const singles = await Promise.all(THREE.map((_, image) => exported.run(singleOf(batch, image))));
      own.forEach((objects, image) => {
        const agreement = agreementOf(objects, other[image]!);
        assert.ok(agreement.objects > 3);
        assert.equal(agreement.unmatched, 0);
        assert.ok(agreement.leastIou > 0.999);
        assert.ok(agreement.scoreDifference < 1e-5);
        assert.ok(agreement.maskDifference < 3e-4);
        const alone = agreementOf(other[image]!, singles[image]![0]!);
        assert.equal(alone.unmatched, 0);
        assert.ok(alone.leastIou > 0.999 && alone.scoreDifference < 1e-5);
      });
    });

  for (const { name, text, sets = [] } of [
    { name: 'RetinaNet', text: RETINA },
    { name: 'RetinaNet of mmdetection', text: RETINA, sets: ['model.conventions=mmdetection'] },
    { name: 'Mask R-CNN', text: RCNN },
    { name: 'Mask R-CNN of Detectron', text: RCNN, sets: ['model.conventions=detectron'] },
    { name: 'Sparse R-CNN', text: SPARSE },
    { name: 'SOLOv2', text: SOLO },
  ])
    test(`${name}: of candidates with the same score both take the same, in the same order`, async () => {
      const config = parseConfig(text, { file: name, sets });
      const model = excited(wideModel(config, 3), 1);
      // What a class is told by is its bias alone.
      noGrad(() => {
        for (const [key, tensor] of model.stateDict()) {
          if (/(cls_logits|cls_score|categories|class_logits)(\.\d)?\.weight/.test(key)) ops.zero_(tensor);
          if (/(cls_score|categories)\.bias/.test(key)) ops.fill_(tensor, 0.5);
        }
      });
      const exported = await openExported(ort!, model, config);
      const batch = noisePictures(THREE, 32);
      const [own, other] = [foundByModel(model, batch), await exported.run(batch)];
      own.forEach((objects, image) => {
        assert.ok(objects.length > 3);
        assert.equal(other[image]!.length, objects.length);
        objects.forEach((object, i) => {
          const { label, score, box } = other[image]![i]!;
          assert.equal(label, object.label);
          assert.ok(Math.abs(score - object.score) < 2e-6);
          assert.ok(iouOf(box, object.box) > 0.9999);
        });
        const scores = new Set(objects.map(({ score }) => score));
        assert.ok(name === 'SOLOv2' || scores.size < objects.length);
      });
    });

  for (const { name, text, factor, sets, limits } of [
    {
      ...{ name: 'RetinaNet', text: RETINA, factor: 30 },
      sets: ['model.head.scoreThreshold=0.4', 'model.head.nmsThreshold=0.2', 'model.head.maxDetections=9'],
      limits: { score_threshold: 0.4, nms_threshold: 0.2, max_detections: 9 },
    },
    {
      ...{ name: 'Mask R-CNN', text: RCNN, factor: 3 },
      sets: ['model.boxHead.scoreThreshold=0.4', 'model.boxHead.nmsThreshold=0.2', 'model.boxHead.maxDetections=5'],
      limits: { score_threshold: 0.4, nms_threshold: 0.2, max_detections: 5 },
    },
    {
      ...{ name: 'Sparse R-CNN', text: SPARSE, factor: 3 },
      sets: ['model.head.scoreThreshold=0.4', 'model.head.maxDetections=5'],
      limits: { score_threshold: 0.4, max_detections: 5 },
    },
    {
      ...{ name: 'SOLOv2', text: SOLO, factor: 30 },
      sets: ['model.head.scoreThreshold=0.5', 'model.head.maxDetections=4'],
      limits: { score_threshold: 0.5, max_detections: 4 },
    },
  ] as const)
    test(`${name}: limits are inputs that stand at the model's own, and do what other limits of the model do`, async () => {
      const config = parseConfig(text, { file: name });
      const other = parseConfig(text, { file: name, sets });
      const model = excited(wideModel(config, 3), factor);
      const names = Object.keys(limits) as (keyof Limits)[];
      const held = new Map(limitsOf(model, config));
      assert.deepEqual([...held.keys()].sort(), [...names].sort());
      for (const limit of names) assert.equal(held.get(limit), limitInConfig(config, limit));
      const exported = await openExported(ort!, model, config, { limits });
      const batch = noisePictures(THREE, 32, 1.5);
      const own = foundByModel(excited(wideModel(other, 3), factor), batch);
      const found = await exported.run(batch);
      const isLimited = foundByModel(model, batch).some((objects, image) => objects.length > own[image]!.length);
      assert.ok(isLimited);
      own.forEach((objects, image) => {
        const { unmatched, leastIou, scoreDifference } = agreementOf(objects, found[image]!);
        assert.equal(unmatched, 0);
        assert.ok(leastIou > 0.999 && scoreDifference < 1e-5);
      });
    });

  for (const { name, text, factor, sets } of CASES.filter((each) => !/mmdetection|maskrcnn_benchmark/.test(each.name)))
    test(`${name}: a file of halves computes what the engine does with the same halves`, async () => {
      const config = parseConfig(text, { file: name, sets });
      const model = excited(wideModel(config, 3), factor);
      const exported = await openExported(ort!, model, config, { weights: 'float16' });
      // Noise in which no cell of a mask lies at its threshold to the last digits: it alone moves SOLOv2's score by a thousandth.
      manualSeed(2);
      const batch = noisePictures(THREE, 32, 1.5);
      const whole = foundByModel(model, batch);
      const own = withHalvedWeights(model, () => foundByModel(model, batch));
      const found = await exported.run(batch);
      let moved = 0;
      own.forEach((objects, image) => {
        const { unmatched, leastIou, scoreDifference, maskDifference } = agreementOf(objects, found[image]!);
        assert.equal(unmatched, 0);
        assert.ok(leastIou > 0.999 && scoreDifference < 1e-5 && maskDifference < 3e-4);
        moved = Math.max(moved, agreementOf(objects, whole[image]!).scoreDifference);
      });
      // Rounding shows, or this would compare nothing.
      assert.ok(moved > 1e-6);
    });
});

/** Inputs that nobody has to set, with what they stand at. */
function limitsOf(model: Detector, config: RunConfig): [string, number][] {
  const { inputs, initializers } = onnxOf(model, { config, categories: CLASS_NAMES }).onnx;
  return inputs.flatMap(({ name, dtype, shape }) => {
    const held = initializers.get(name);
    if (!held) return [];
    assert.deepEqual(shape, [1]);
    const { buffer } = held.data;
    return [[name, dtype === 'int64' ? Number(new BigInt64Array(buffer)[0]) : new Float32Array(buffer)[0]!]];
  });
}

function limitInConfig({ model }: RunConfig, limit: keyof Limits): number | undefined {
  const keys = {
    score_threshold: 'scoreThreshold',
    nms_threshold: 'nmsThreshold',
    max_detections: 'maxDetections',
  } as const;
  const head = ('boxHead' in model ? model.boxHead : 'head' in model ? model.head : {}) as Readonly<
    Record<string, number>
  >;
  const value = head[keys[limit]] ?? ('proposals' in model ? Number(model.proposals) : undefined);
  if (value === undefined || limit === 'max_detections') return value;
  return limit === 'nms_threshold' ? overlapThreshold(value, 'continuous', limit) : Math.fround(value);
}
