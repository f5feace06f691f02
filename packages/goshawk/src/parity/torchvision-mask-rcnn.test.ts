// The numbers of torchvision 0.29's maskrcnn_resnet50_fpn, computed by torchvision itself (fixtures/README.md).
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { maskIou, type RgbImage, rleFromString } from '@goshawk/core';
import { noGrad, scope, setThreads, tensor, withoutDraws } from '@goshawk/torch';
import { imageBatchOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { BackboneWithNeck, buildModel, type Rcnn, totalLoss } from '../models/index.js';
import { assertAllClose, matchDetections, normOf } from './parity-case.js';
import { makeParityState } from './parity-weights.js';
import {
  expectedDetections,
  numberedCategories,
  TORCHVISION_MASK_RCNN,
  trainingTargets,
} from './torchvision-mask-rcnn-case.js';

const { config, parity } = TORCHVISION_MASK_RCNN;
const { facts } = parity;

describe('maskrcnn_resnet50_fpn of torchvision', () => {
  let model: Rcnn;
  let images: [RgbImage, RgbImage];

  before(async () => {
    const built = withoutDraws(() => buildModel(config.model, { classes: 90 }));
    model = built.to({ memoryFormat: 'channels_last' }) as Rcnn;
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
      assert.ok(backbone instanceof BackboneWithNeck && rpn);
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
    const predictor = new Predictor({ model, categories: numberedCategories(90), ...predictorOptions(config) });
    const [found = []] = predictor.predict([images[0]]);
    const expected = expectedDetections(parity);
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
        const losses = model.loss(imageBatchOf(prepareBatch(images, config.preprocess)), trainingTargets(images));
        for (const [name, value] of Object.entries(facts.training.losses)) {
          // Means of float32: 1.5e-7 seen.
          assertAllClose(name, [losses[name]!.item()], [value], { relative: 2e-6 });
        }
        return losses;
      };
      noGrad(() => lossesOn(2));
      totalLoss(lossesOn(1)).backward();
      const parameters = new Map(model.namedParameters());
      for (const [name, norm] of Object.entries(facts.training.gradient_norms)) {
        // The specification of the cases: gradient norms agree to a hundredth.
        assertAllClose(name, [normOf(parameters.get(name)!.grad!)], [norm], { relative: 2e-3 });
      }
    });
    model.eval();
  });
});
