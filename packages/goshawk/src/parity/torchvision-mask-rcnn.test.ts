// The numbers of torchvision 0.29's maskrcnn_resnet50_fpn, computed by torchvision itself (fixtures/README.md).
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { maskIou, nearestMaskCrop, polygonsToRle, type RgbImage, rleFromString } from '@goshawk/core';
import { manualSeed, noGrad, scope, setThreads, tensor } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { buildModel, type Rcnn, ResNetFpn, totalLoss } from '../models/index.js';
import { assertAllClose, matchDetections, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';

interface Facts {
  readonly parameters: number;
  readonly detection_masks_rle: readonly { size: [number, number]; counts: string }[];
  readonly training: {
    readonly targets: readonly { boxes: number[][]; labels: number[]; polygons: number[][][] }[];
    readonly losses: Record<string, number>;
    readonly gradient_norms: Record<string, number>;
  };
}

const CONFIG = `
model:
  type: mask_rcnn
  classes: 90
  backbone: { norm: batch, frozenStages: 0 }
  rpn: { batchSizePerImage: 1000000 }
  boxHead: { batchSizePerImage: 1000000, scoreThreshold: 0.3, maxDetections: 60 }
preprocess: { resize: { minSize: 192, maxSize: 320 } }
`;

const config = parseConfig(CONFIG, { file: 'parity' });
const parity = new ParityCase<Facts>('torchvision_maskrcnn_r50_fpn');
const { facts } = parity;
const categories = Array.from({ length: 90 }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));

describe('maskrcnn_resnet50_fpn of torchvision', () => {
  let model: Rcnn;
  let images: [RgbImage, RgbImage];

  before(async () => {
    manualSeed(0);
    model = (buildModel(config.model, { classes: 90 }) as Rcnn).to({ memoryFormat: 'channels_last' });
    model.loadStateDict(makeParityState(parity.state()));
    images = [await parity.image('input.png'), await parity.image('input2.png')];
  });

  test('has as many parameters', () => {
    assert.equal(
      model.parameters().reduce((sum, parameter) => sum + parameter.length, 0),
      facts.parameters,
    );
  });

  test('prepares the picture to the same network input', () => {
    const input = imageBatchOf(prepareBatch([images[0]], config.preprocess)).pixels;
    assertAllClose('network_input', input.contiguous().toFloat32Array(), parity.numbers('network_input'), {
      relative: 1e-5,
      absolute: 1e-5,
    });
  });

  test('gives the same features and head outputs', () => {
    model.eval();
    noGrad(() => {
      const input = tensor(parity.numbers('network_input'), { shape: parity.shape('network_input') });
      const { backbone, rpn } = model;
      assert.ok(backbone instanceof ResNetFpn && rpn);
      const body = backbone.body.forward(input);
      const features = backbone.fpn.forward(body);
      const { logits, offsets } = rpn.head.forward(features);
      const levels = ['0', '1', '2', '3', 'pool'];
      for (const [level, map] of body.entries()) parity.checkSample(`body_${level}`, map);
      for (const [level, map] of features.entries()) parity.checkSample(`feature_${levels[level]}`, map);
      for (const [level, map] of logits.entries()) parity.checkSample(`rpn_logits_${level}`, map);
      for (const [level, map] of offsets.entries()) parity.checkSample(`rpn_deltas_${level}`, map);
    });
  });

  test('finds the same objects with the same masks', () => {
    const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
    const [found = []] = predictor.predict([images[0]]);
    const boxes = parity.numbers('det/boxes');
    const labels = parity.integers('det/labels');
    const expected = Array.from(parity.numbers('det/scores'), (score, index) => ({
      label: labels[index]!,
      score,
      box: boxes.subarray(index * 4, index * 4 + 4),
    }));
    for (const [index, match] of matchDetections(found, expected).entries()) {
      const { size, counts } = facts.detection_masks_rle[index]!;
      const wanted = rleFromString(counts, size);
      const own = match.segmentation?.kind === 'rle' ? match.segmentation.rle : assert.fail('no mask');
      const areas = [own, wanted].map(({ counts: runs }) => runs.reduce((sum, run, at) => sum + (at % 2 ? run : 0), 0));
      const iou = maskIou([own], [wanted], [false])[0]!;
      assert.ok(iou > 0.99 || areas.every((area) => area === 0), `mask ${index} has IoU ${iou}`);
    }
  });

  // One proposal overlaps another by a rounding more or less than the NMS threshold: sums that change with the number of
  // threads would let it stay or go.
  test('gives the same losses on one thread and on two, and the same gradients', () => {
    model.train();
    scope(() => {
      const lossesOn = (threads: number) => {
        setThreads(threads);
        const losses = model.loss(imageBatchOf(prepareBatch(images, config.preprocess)), trainingTargets());
        for (const [name, value] of Object.entries(facts.training.losses)) {
          assertAllClose(name, [losses[name]!.item()], [value], { relative: 1e-4, absolute: 1e-6 });
        }
        return losses;
      };
      noGrad(() => lossesOn(2));
      totalLoss(lossesOn(1)).backward();
      const parameters = new Map(model.namedParameters());
      for (const [name, norm] of Object.entries(facts.training.gradient_norms)) {
        // The specification of the cases: gradient norms agree to a hundredth.
        assertAllClose(name, [normOf(parameters.get(name)!.grad!)], [norm], { relative: 1e-2 });
      }
    });
    model.eval();
  });

  /** Boxes scaled as torchvision scales them, masks drawn at the picture's size and resized to the nearest pixel. */
  function trainingTargets() {
    const { images: sizes } = prepareBatch(images, config.preprocess);
    const targets = facts.training.targets.map(({ boxes, labels, polygons }, image) => {
      const { width, height, originalWidth, originalHeight } = sizes[image]!;
      const scale = [Math.fround(width / originalWidth), Math.fround(height / originalHeight)];
      return {
        boxes: Float32Array.from(boxes.flat(), (value, index) => value * scale[index % 2]!),
        classes: Int32Array.from(labels),
        masks: polygons.map((parts) =>
          nearestMaskCrop(polygonsToRle(parts, [originalHeight, originalWidth]), width, height),
        ),
        areas: new Float32Array(labels.length),
        annotationIds: labels.map((_, index) => index),
      };
    });
    return targetsOf({ targets });
  }
});
