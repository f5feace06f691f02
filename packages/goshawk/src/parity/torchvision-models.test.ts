// Every builder of torchvision's R-CNNs and RetinaNets, by the config that comes with the toolbox: the names and
// shapes of its checkpoint, what it finds, a step's losses and gradients; and the other backbones of resnet_fpn_backbone. The
// numbers are torchvision's own (fixtures/torchvision_models/make_models.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import {
  type Detection,
  encodeMask,
  InputError,
  maskIou,
  nearestMaskCrop,
  type RgbImage,
  rleFromString,
} from '@goshawk/core';
import { noGrad, scope, type Tensor, type TensorData, withoutDraws } from '@goshawk/torch';
import { loadConfig, type RunConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { torchvisionState } from '../foreign/torchvision/state-names.js';
import { loadWeights, outputsIn } from '../infer/detector-file.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { type FeatureExtractor, makeFeatureExtractor } from '../models/feature-extractor.js';
import { buildModel, type Detector, Rcnn, RetinaNet, totalLoss } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { assertAllClose, assertSamples, matchDetections, normOf } from './parity-case.js';
import { torchvisionWeights } from './torchvision-weights.js';

type NamedShape = readonly [name: string, shape: readonly number[]];

interface StateFacts {
  readonly parameters: number;
  readonly entries: number;
  /** CRC-32 of the sorted lines `name 1x2x3`. */
  readonly checksum: number;
}

interface ModelFacts extends StateFacts {
  /** What is not in backbone.body, whose names are ours. */
  readonly heads: readonly NamedShape[];
  readonly features: readonly (readonly number[])[];
  readonly detections: {
    readonly boxes: number[][];
    readonly scores: number[];
    readonly labels: number[];
    readonly masks?: string[];
    readonly keypoints?: number[][];
    readonly keypoints_scores?: number[][];
  };
  readonly targets: readonly { boxes: number[][]; labels: number[]; keypoints?: number[][] }[];
  readonly losses: Record<string, number>;
  readonly gradient_norms: Record<string, number>;
}

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/', import.meta.url));
const configs = fileURLToPath(new URL('../../../../configs/torchvision/', import.meta.url));

function readFacts<Facts>(name: string): Facts {
  return JSON.parse(readFileSync(`${fixtures}torchvision_models/${name}.json`, 'utf8')) as Facts;
}

const SIZES = ['preprocess.resize.minSize=192', 'preprocess.resize.maxSize=320'];
const RCNN_SETS = [
  ...SIZES,
  'model.rpn.preNmsTopN={train: 60, test: 60}',
  'model.rpn.postNmsTopN={train: 40, test: 60}',
  // More than there are: nothing is drawn.
  'model.rpn.batchSizePerImage=1000000',
  'model.boxHead.batchSizePerImage=1000000',
  'model.boxHead.scoreThreshold=0.2',
  'model.boxHead.maxDetections=40',
];
const RETINA_SETS = [
  ...SIZES,
  'model.head.scoreThreshold=0.3',
  'model.head.preNmsTopN=40',
  'model.head.maxDetections=100',
];

// The builders were called without pretrained weights: then they freeze nothing, and have batch norms that learn.
const LEARNS_ALL = 'model.backbone.frozenStages=0';
const BUILDERS = [
  {
    builder: 'fasterrcnn_resnet50_fpn',
    config: 'faster_rcnn_r50_fpn',
    sets: [...RCNN_SETS, 'model.backbone.norm=batch'],
    stepOf: 'maskrcnn_resnet50_fpn',
  },
  {
    builder: 'fasterrcnn_resnet50_fpn_v2',
    config: 'faster_rcnn_r50_fpn_v2',
    sets: RCNN_SETS,
    stepOf: 'maskrcnn_resnet50_fpn_v2',
  },
  {
    builder: 'maskrcnn_resnet50_fpn',
    config: 'mask_rcnn_r50_fpn',
    sets: [...RCNN_SETS, 'model.backbone.norm=batch'],
    // In torchvision-mask-rcnn.test.ts, by the same config.
    stepOf: 'itself',
  },
  { builder: 'maskrcnn_resnet50_fpn_v2', config: 'mask_rcnn_r50_fpn_v2', sets: RCNN_SETS },
  {
    builder: 'keypointrcnn_resnet50_fpn',
    config: 'keypoint_rcnn_r50_fpn',
    sets: [...RCNN_SETS, 'model.backbone.norm=batch'],
  },
  {
    builder: 'retinanet_resnet50_fpn',
    config: 'retinanet_r50_fpn',
    sets: [...RETINA_SETS, 'model.backbone.norm=batch'],
    stepOf: 'retinanet_resnet50_fpn_v2',
  },
  { builder: 'retinanet_resnet50_fpn_v2', config: 'retinanet_r50_fpn_v2', sets: RETINA_SETS },
  {
    builder: 'fasterrcnn_mobilenet_v3_large_fpn',
    config: 'faster_rcnn_mobilenet_v3_large_fpn',
    sets: [...RCNN_SETS, 'model.backbone.norm=batch'],
  },
] as const;

/** Of a value and a level's root mean square: both sides round in float32; the backbones' numbers are of float64, with 12 digits. */
const SINGLE = 6e-5;
const BACKBONE_SINGLE = 1.5e-5;
const DOUBLE = 2e-11;

/** Of RetinaNet, by torchvision's names. */
const RETINA_LOSSES: Readonly<Record<string, string>> = {
  classification: 'loss_classification',
  bbox_regression: 'loss_box_reg',
};

const categories = Array.from({ length: 90 }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));

for (const { builder, config: file, sets, ...rest } of BUILDERS) {
  describe(`${builder} of torchvision`, () => {
    const facts = readFacts<ModelFacts>(builder);
    const { config } = loadConfig(`${configs}${file}.yaml`, [...sets, LEARNS_ALL]);
    let model: Detector;
    let images: [RgbImage, RgbImage];

    before(async () => {
      const state = torchvisionWeights(shapesOf(config, facts));
      model = buildFor(config, state);
      loadWeights(model, state, `${builder}.pth`);
      model.to({ memoryFormat: 'channels_last' });
      const pictures = `${fixtures}torchvision_maskrcnn_r50_fpn/`;
      images = [await decodeImageFile(`${pictures}input.png`), await decodeImageFile(`${pictures}input2.png`)];
    });

    test('loads under the names and shapes of its checkpoint, and has as many parameters', () => {
      assertState(shapesOf(config, facts), facts);
      assert.equal(parametersOf(model), facts.parameters);
    });

    test('gives the same features', () => {
      model.eval();
      assert.ok(model instanceof Rcnn || model instanceof RetinaNet);
      const { backbone } = model;
      noGrad(() => {
        const { pixels } = imageBatchOf(prepareBatch([images[0]], config.preprocess));
        assertSamples(backbone.forward(pixels), facts.features, SINGLE);
      });
    });

    test('finds the same objects', () => {
      const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
      const [found = []] = predictor.predict([images[0]]);
      const { boxes, scores, labels, masks, keypoints, keypoints_scores: logits } = facts.detections;
      // torchvision's RetinaNet also returns its background class, which training never makes likely.
      const wanted = labels.flatMap((label, index) =>
        label > 0 ? [{ index, label, score: scores[index]!, box: boxes[index]! }] : [],
      );
      for (const [at, match] of matchDetections(found, wanted).entries()) {
        const { index } = wanted[at]!;
        if (masks) assertMask(match, masks[index]!, images[0]);
        if (keypoints && logits) assertKeypoints(match, keypoints[index]!, logits[index]!);
      }
    });

    // One step is enough for parts that two builders share.
    if ('stepOf' in rest) return;
    test('gives the same losses and gradients', () => {
      model.train();
      scope(() => {
        const batch = prepareBatch(images, config.preprocess);
        const targets = targetsOf({
          targets: facts.targets.map((target, i) => targetOf(target, batch.images[i]!, config)),
        });
        const losses = model.loss(imageBatchOf(batch), targets);
        for (const [name, value] of Object.entries(facts.losses)) {
          const own = losses[RETINA_LOSSES[name] ?? name]!;
          assertAllClose(name, [own.item()], [value], { relative: 1e-4, absolute: 1e-6 });
        }
        totalLoss(losses).backward();
        const parameters = new Map(model.namedParameters());
        for (const [name, norm] of torchvisionState(new Map(Object.entries(facts.gradient_norms))))
          assertAllClose(name, [normOf(parameters.get(name)!.grad!)], [norm], { relative: 2e-3, absolute: 1e-7 });
      });
      model.eval();
    });
  });
}

const BACKBONES = {
  resnet18: { depth: 18 },
  resnet34: { depth: 34 },
  resnet50: { depth: 50 },
  resnet101: { depth: 101 },
  resnet152: { depth: 152 },
  resnext50_32x4d: { depth: 50, groups: 32, widthPerGroup: 4 },
  resnext101_32x8d: { depth: 101, groups: 32, widthPerGroup: 8 },
  wide_resnet50_2: { depth: 50, widthPerGroup: 128 },
  wide_resnet101_2: { depth: 101, widthPerGroup: 128 },
} as const;

describe('resnet_fpn_backbone of torchvision', () => {
  interface BackboneFacts extends StateFacts {
    /** Of the smaller ones. */
    readonly features?: readonly (readonly number[])[];
  }
  const facts = readFacts<Record<keyof typeof BACKBONES, BackboneFacts>>('backbones');
  const configOf = (sets: readonly string[]): RunConfig =>
    loadConfig(`${configs}faster_rcnn_r50_fpn.yaml`, sets).config;
  const build = (name: keyof typeof BACKBONES): FeatureExtractor => {
    const sets = Object.entries(BACKBONES[name]).map(([key, value]) => `model.backbone.${key}=${value}`);
    const { model } = configOf(sets);
    assert.ok(model.type === 'faster_rcnn');
    return makeFeatureExtractor(model.backbone, model.neck);
  };
  const shapesOf = (backbone: FeatureExtractor): NamedShape[] =>
    [...backbone.stateDict()].map(([name, { shape }]) => [`backbone.${name}`, shape]);

  for (const name of Object.keys(BACKBONES) as (keyof typeof BACKBONES)[]) {
    test(`${name} has the same names and shapes, and as many parameters`, () =>
      withShapesAlone(() =>
        scope(() => {
          const backbone = build(name);
          assertState(shapesOf(backbone), facts[name]);
          assert.equal(parametersOf(backbone), facts[name].parameters);
        }),
      ));

    const { features } = facts[name];
    if (features === undefined) continue;
    test(`${name} gives the same features`, async () => {
      const picture = await decodeImageFile(`${fixtures}torchvision_maskrcnn_r50_fpn/input.png`);
      const { preprocess } = configOf(['preprocess.resize.rule=none']);
      scope(() => {
        const backbone = withoutDraws(() => build(name));
        const state = torchvisionWeights(shapesOf(backbone));
        backbone.loadStateDict(new Map([...state].map(([own, value]) => [own.slice('backbone.'.length), value])));
        backbone.eval().to({ memoryFormat: 'channels_last' });
        const batch = prepareBatch([corner(picture, 96, 64)], { ...preprocess, mean: [0, 0, 0], std: [1, 1, 1] });
        const { pixels } = imageBatchOf(batch);
        noGrad(() => assertSamples(backbone.forward(pixels), features, BACKBONE_SINGLE));
        backbone.to({ dtype: 'float64' });
        noGrad(() => assertSamples(backbone.forward(pixels.to('float64')), features, DOUBLE));
      });
    });
  }
});

describe('a model of torchvision that has no counterpart', () => {
  for (const [what, name] of [
    ['the detector FCOS', 'head.regression_head.bbox_ctrness.weight'],
    ['the detector SSD', 'head.classification_head.module_list.0.weight'],
  ] as const) {
    test(`is refused by the name of ${what}`, () => {
      const { config } = loadConfig(`${configs}faster_rcnn_r50_fpn.yaml`, ['model.backbone.depth=18']);
      const state = torchvisionWeights([[name, [4, 4, 1, 1]]]);
      assert.throws(
        () => loadWeights(buildModel(config.model, { classes: 1 }), state, 'mobile.pth', { partial: true }),
        (error) =>
          error instanceof InputError &&
          error.message.startsWith(`mobile.pth: needs torchvision's ${what}, which is not supported yet: take a`),
      );
    });
  }
});

/** The checkpoint of a builder: its names in the body of the backbone are ours, the others its own. */
function shapesOf({ model: options }: RunConfig, { heads }: ModelFacts): NamedShape[] {
  return withShapesAlone(() =>
    scope(() => {
      const state = [...buildModel(options, { classes: 1 }).stateDict()];
      const body = state.filter(([name]) => name.startsWith('backbone.body.'));
      return [...body.map(([name, { shape }]): NamedShape => [name, shape]), ...heads];
    }),
  );
}

function buildFor({ model: options }: RunConfig, state: ReadonlyMap<string, TensorData>): Detector {
  const { classes, keypoints } = outputsIn(state, options);
  return withoutDraws(() => buildModel(options, { classes: classes! - 1, keypoints }));
}

function assertState(state: readonly NamedShape[], { entries, checksum }: StateFacts): void {
  const lines = state.map(([name, shape]) => `${name} ${shape.join('x')}`).toSorted();
  assert.equal(lines.length, entries);
  assert.equal(crc32(lines.join('\n')), checksum);
}

function parametersOf(model: { parameters(): readonly Tensor[] }): number {
  return model.parameters().reduce((sum, parameter) => sum + parameter.length, 0);
}

function assertMask({ segmentation }: Detection, counts: string, { width, height }: RgbImage): void {
  const own = segmentation?.kind === 'rle' ? segmentation.rle : assert.fail('no mask');
  const wanted = rleFromString(counts, [height, width]);
  const isEmpty = [own, wanted].every((rle) => rle.counts.length <= 1);
  assert.ok(isEmpty || maskIou([own], [wanted], [false])[0]! > 0.99);
}

function assertKeypoints(found: Detection, places: readonly number[], logits: readonly number[]): void {
  const own = found.keypoints!.filter((_, i) => i % 3 < 2);
  assertAllClose('keypoints', own, places, { absolute: 0.05 });
  assertAllClose('keypoint logits', found.keypointLogits!, logits, { relative: 1e-3, absolute: 1e-3 });
}

/** The objects of a picture in network pixels, with the masks of make_models.py: an L in each box. */
function targetOf(
  { boxes, labels, keypoints }: ModelFacts['targets'][number],
  size: { width: number; height: number; originalWidth: number; originalHeight: number },
  { model }: RunConfig,
) {
  const { width, height, originalWidth, originalHeight } = size;
  const scale = [Math.fround(width / originalWidth), Math.fround(height / originalHeight)];
  return {
    boxes: Float32Array.from(boxes.flat(), (value, index) => value * scale[index % 2]!),
    classes: Int32Array.from(labels),
    areas: new Float32Array(labels.length),
    annotationIds: labels.map((_, index) => index),
    ...(keypoints && {
      keypoints: Float32Array.from(keypoints.flat(), (value, i) => (i % 3 < 2 ? value * scale[i % 3]! : value)),
    }),
    ...(model.type === 'mask_rcnn' && {
      masks: boxes.map(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => {
        const inside = (x: number, y: number): boolean =>
          x >= x1 && x < x2 && y >= y1 && y < y2 && (x < Math.floor((x1 + x2) / 2) || y < Math.floor((y1 + y2) / 2));
        const data = Uint8Array.from({ length: originalWidth * originalHeight }, (_, i) =>
          inside(i % originalWidth, Math.floor(i / originalWidth)) ? 1 : 0,
        );
        return nearestMaskCrop(encodeMask(data, [originalHeight, originalWidth]), width, height);
      }),
    }),
  };
}

/** The upper left corner of a picture. */
function corner({ width, data }: RgbImage, columns: number, rows: number): RgbImage {
  const rowsOfPixels = Array.from({ length: rows }, (_, row) =>
    data.subarray(row * width * 3, row * width * 3 + columns * 3),
  );
  return { width: columns, height: rows, data: Uint8Array.from(rowsOfPixels.flatMap((row) => [...row])) };
}
