// The numbers of SpineNet-Pytorch's SpineNet-49S RetinaNet in mmdetection 1.1, computed by that code (fixtures/README.md).
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import type { RgbImage } from '@goshawk/core';
import { noGrad, ops, scope, setThreads, tensor, withoutDraws } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { mmdetectionState } from '../foreign/mmdetection/state-names.js';
import { imageBatchOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { buildModel, RetinaNet, SpineNet, totalLoss } from '../models/index.js';
import { assertAllClose, matchDetections, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';

interface Facts {
  readonly parameters: number;
  readonly training: {
    readonly targets: readonly { boxes: number[][]; labels: number[] }[];
    readonly losses: { loss_cls: { total: number }; loss_bbox: { total: number }; loss: number };
    readonly gradient_norms: Record<string, number>;
    readonly fp64_rerun: { readonly loss: number; readonly gradient_norms: Readonly<Record<string, number>> };
  };
}

const CONFIG = `
model:
  type: retinanet
  conventions: mmdetection
  classes: 80
  backbone: { type: spinenet, variant: 49S }
  anchors: { octaveBaseScale: 3 }
  head:
    norm: batch_per_level
    normEps: 0.001
    normMomentum: 0.01
    foregroundIou: 0.5
    backgroundIou: 0.5
    boxLoss: smooth_l1
    scoreThreshold: 0.7755
    maxDetections: 100
preprocess:
  resize: { rule: mmdet, kernel: opencv, minSize: 256, maxSize: 256 }
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
  padMultiple: 128
`;

const config = parseConfig(CONFIG, { file: 'parity' });
const parity = new ParityCase<Facts>('spinenet49S_retinanet');
const { facts } = parity;
/** What the last digit of the network's input, which is float32, leaves of either (1.3e-7 and 5.5e-4 seen). */
const IN_DOUBLES = { loss: { relative: 5e-7 }, norm: { relative: 2e-3 } } as const;
const LEVELS = ['P3', 'P4', 'P5', 'P6', 'P7'];

describe('SpineNet-49S RetinaNet of mmdetection', () => {
  let model: RetinaNet;
  let backbone: SpineNet;
  let images: RgbImage[];
  const load = (): void => {
    model.loadStateDict(mmdetectionState(makeParityState(parity.state())));
  };
  const ourName = (name: string): string =>
    [
      ...mmdetectionState(
        new Map([
          [SPINENET_MARK, 0],
          [name, 0],
        ]),
      ).keys(),
    ][1]!;

  before(async () => {
    setThreads(1);
    const built = withoutDraws(() => buildModel(config.model, { classes: 80 })).to({ memoryFormat: 'channels_last' });
    assert.ok(built instanceof RetinaNet && built.backbone instanceof SpineNet);
    model = built;
    backbone = built.backbone;
    load();
    images = [await parity.image('input.png'), await parity.image('input2.png')];
  });

  test('has as many parameters', () => {
    assert.equal(
      model.parameters().reduce((sum, parameter) => sum + parameter.length, 0),
      facts.parameters,
    );
  });

  test('prepares the picture to the same network input', () => {
    const input = imageBatchOf(prepareBatch([images[0]!], config.preprocess))
      .pixels.contiguous()
      .toFloat32Array();
    assertAllClose('network_input', input, parity.numbers('network_input'), { relative: 1e-5, absolute: 1e-5 });
  });

  test('gives the same block outputs, features, logits and offsets', () => {
    model.eval();
    noGrad(() => {
      const input = tensor(parity.numbers('network_input'), { shape: parity.shape('network_input') });
      const { stem, blocks } = backbone.trace(input);
      parity.checkSample('stem_maxpool', stem);
      parity.checkSample('init_block1', blocks[0]!);
      parity.checkSample('init_block2', blocks[1]!);
      for (const block of [2, 3, 6, 9, 12]) parity.checkSample(`block_${block}`, blocks[block]!);
      const features = backbone.forward(input);
      const { logits, offsets } = model.head.forward(features);
      for (const [i, level] of LEVELS.entries()) {
        parity.checkSample(level, features[i]!);
        parity.checkSample(`cls_logits_${level}`, logits[i]!);
        parity.checkSample(`bbox_deltas_${level}`, offsets[i]!);
      }
    });
  });

  test('finds the same objects', () => {
    const categories = Array.from({ length: 80 }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));
    const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
    const [found = []] = predictor.predict([images[0]!]);
    const boxes = parity.numbers('det/boxes');
    const labels = parity.integers('det/labels');
    const expected = Array.from(parity.numbers('det/scores'), (score, index) => ({
      label: labels[index]! + 1,
      score,
      box: boxes.subarray(index * 4, index * 4 + 4),
    }));
    matchDetections(found, expected);
    assert.ok(found.every(({ score }, i) => i === 0 || score <= found[i - 1]!.score));
  });

  // Batch norms over few values make ten thousand times as much of a rounding in single gradients.
  test('gives in float64 the loss and gradients that the original gives in it', () => {
    const double = buildModel(config.model, { classes: 80 });
    assert.ok(double instanceof RetinaNet);
    load();
    double.loadStateDict(new Map(model.stateDict()));
    double.to({ dtype: 'float64' }).train();
    scope(() => {
      const batch = imageBatchOf(prepareBatch(images, config.preprocess));
      const targets = trainingTargets(batch.scales, batch.sizes);
      const total = totalLoss(double.loss({ ...batch, pixels: batch.pixels.to('float64') }, targets));
      total.backward();
      const { loss, gradient_norms } = facts.training.fp64_rerun;
      assertAllClose('loss', [total.item()], [loss], IN_DOUBLES.loss);
      const parameters = new Map(double.namedParameters());
      for (const [name, norm] of Object.entries(gradient_norms)) {
        const gradient = parameters.get(ourName(name))!.grad!;
        assertAllClose(name, [ops.linalg_vector_norm(gradient).item()], [norm], IN_DOUBLES.norm);
      }
    });
  });

  test('gives the same losses, gradients and running statistics', () => {
    load();
    model.train();
    scope(() => {
      const batch = imageBatchOf(prepareBatch(images, config.preprocess));
      const losses = model.loss(batch, trainingTargets(batch.scales, batch.sizes));
      const { losses: wanted, gradient_norms, fp64_rerun } = facts.training;
      const { loss_cls, loss_bbox, loss } = wanted;
      const total = totalLoss(losses);
      const own = [losses.loss_classification!, losses.loss_box_reg!, total].map((each) => each.item());
      assertAllClose('losses', own, [loss_cls.total, loss_bbox.total, loss], { relative: 1e-4 });
      assertAllClose('loss in float64', [total.item()], [fp64_rerun.loss], { relative: 2e-5 });
      total.backward();
      const parameters = new Map(model.namedParameters());
      for (const [name, norm] of Object.entries(gradient_norms)) {
        assertAllClose(name, [normOf(parameters.get(ourName(name))!.grad!)], [norm], { relative: 5e-3 });
      }
      const state = model.stateDict();
      for (const name of parity.names().filter((each) => each.startsWith('bn_after/'))) {
        const statistics = state.get(ourName(name.slice('bn_after/'.length)))!.toNumbers();
        assertAllClose(name, statistics, parity.numbers(name), { relative: 1e-5, absolute: 1e-6 });
      }
    });
    model.eval();
  });

  /** Boxes scaled by the factor and cut to the last pixel, as mmdetection's pipeline does. */
  function trainingTargets(scales: readonly { x: number; y: number }[], sizes: readonly (readonly [number, number])[]) {
    return facts.training.targets.map(({ boxes, labels }, image) => {
      const { x, y } = scales[image]!;
      const [height, width] = sizes[image]!;
      const scaled = boxes.flatMap(([x1 = 0, y1 = 0, x2 = 0, y2 = 0]) => [
        Math.min(x1 * x, width - 1),
        Math.min(y1 * y, height - 1),
        Math.min(x2 * x, width - 1),
        Math.min(y2 * y, height - 1),
      ]);
      return {
        boxes: tensor(scaled, { shape: [boxes.length, 4] }),
        labels: tensor(labels, { dtype: 'int64' }),
      };
    });
  }
});

/** A name by which a state is known to be SpineNet's. */
const SPINENET_MARK = 'backbone.scale_permuted_blocks.0.0.conv1.weight';
