// The numbers of SpineNet-Pytorch's SpineNet-49S RetinaNet in mmdetection 1.1, computed by that code (fixtures/README.md).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RgbImage } from '@goshawk/core';
import {
  assertClose,
  noGrad,
  openSafetensors,
  type SafetensorsFile,
  scope,
  setThreads,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { mmdetectionState } from '../foreign/mmdetection/names.js';
import { imageBatchOf } from '../infer/network-batch.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { buildModel, RetinaNet, SpineNet, totalLoss } from '../models/index.js';
import { makeParityState, type StateEntry } from './parity-weights.js';

interface ParityCase {
  readonly parameters: number;
  readonly training: {
    readonly targets: readonly { boxes: number[][]; labels: number[] }[];
    readonly losses: { loss_cls: { total: number }; loss_bbox: { total: number }; loss: number };
    readonly gradient_norms: Record<string, number>;
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

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const folder = fileURLToPath(new URL('../../src/parity/fixtures/spinenet49S_retinanet/', import.meta.url));
const config = parseConfig(CONFIG, { file: 'parity' });
const expectedCase = JSON.parse(readFileSync(`${folder}case.json`, 'utf8')) as ParityCase;
const LEVELS = ['P3', 'P4', 'P5', 'P6', 'P7'];

describe('SpineNet-49S RetinaNet of mmdetection', () => {
  let expected: SafetensorsFile;
  let model: RetinaNet;
  let backbone: SpineNet;
  let images: RgbImage[];
  const entries = JSON.parse(readFileSync(`${folder}state.json`, 'utf8')) as StateEntry[];
  const numbers = (name: string): Float32Array => {
    const { data } = expected.read(name);
    return new Float32Array(data.buffer, data.byteOffset, data.byteLength / 4);
  };
  const load = (): void => {
    model.loadStateDict(mmdetectionState(makeParityState(entries)));
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
    expected = openSafetensors(`${folder}expected.safetensors`);
    const built = buildModel(config.model, { classes: 80 }).to({ memoryFormat: 'channels_last' });
    assert.ok(built instanceof RetinaNet && built.backbone instanceof SpineNet);
    model = built;
    backbone = built.backbone;
    load();
    images = [await decodeImageFile(`${folder}input.png`), await decodeImageFile(`${folder}input2.png`)];
  });
  after(() => expected.close());

  test('has as many parameters', () => {
    assert.equal(
      model.parameters().reduce((sum, parameter) => sum + parameter.length, 0),
      expectedCase.parameters,
    );
  });

  test('prepares the picture to the same network input', () => {
    const input = imageBatchOf(prepareBatch([images[0]!], config.preprocess)).pixels;
    assertClose(input, [...numbers('network_input')], { relative: 1e-5, absolute: 1e-5 });
  });

  test('gives the same block outputs, features, logits and offsets', () => {
    model.eval();
    noGrad(() => {
      const input = tensor(numbers('network_input'), { shape: expected.info('network_input').shape });
      const { stem, blocks } = backbone.trace(input);
      checkSample('stem_maxpool', stem);
      checkSample('init_block1', blocks[0]!);
      checkSample('init_block2', blocks[1]!);
      for (const block of [2, 3, 6, 9, 12]) checkSample(`block_${block}`, blocks[block]!);
      const features = backbone.forward(input);
      const { logits, offsets } = model.head.forward(features);
      for (const [i, level] of LEVELS.entries()) {
        checkSample(level, features[i]!);
        checkSample(`cls_logits_${level}`, logits[i]!);
        checkSample(`bbox_deltas_${level}`, offsets[i]!);
      }
    });
  });

  test('finds the same objects', () => {
    model.eval();
    scope(() => {
      const [found] = model.predict(imageBatchOf(prepareBatch([images[0]!], config.preprocess)));
      assert.equal(found!.pixels, 'image');
      const scores = numbers('det/scores');
      const boxes = numbers('det/boxes');
      const labels = new BigInt64Array(expected.read('det/labels').data.buffer);
      const ownBoxes = found!.boxes.toFloat32Array();
      const ownScores = found!.scores.toFloat32Array();
      const ownLabels = found!.labels.toNumbers();
      assert.equal(ownScores.length, scores.length);
      const left = new Set(ownScores.keys());
      scores.forEach((score, index) => {
        const match = [...left].find(
          (own) =>
            ownLabels[own] === Number(labels[index]) + 1 &&
            Math.abs(ownScores[own]! - score) < 1e-4 &&
            [0, 1, 2, 3].every((side) => Math.abs(ownBoxes[own * 4 + side]! - boxes[index * 4 + side]!) < 0.02),
        );
        assert.ok(
          match !== undefined,
          `detection ${index} (class ${labels[index]}, score ${score}) has no counterpart`,
        );
        left.delete(match);
      });
      assert.ok(ownScores.every((score, i) => i === 0 || score <= ownScores[i - 1]!));
    });
  });

  test('gives the same losses, gradients and running statistics', () => {
    load();
    model.train();
    scope(() => {
      const batch = imageBatchOf(prepareBatch(images, config.preprocess));
      const losses = model.loss(batch, trainingTargets(batch.scales, batch.sizes));
      const { loss_cls, loss_bbox, loss } = expectedCase.training.losses;
      assertClose(losses.loss_classification!, [loss_cls.total], { relative: 1e-3 });
      assertClose(losses.loss_box_reg!, [loss_bbox.total], { relative: 1e-3 });
      const total = totalLoss(losses);
      assertClose(total, [loss], { relative: 1e-3 });
      total.backward();
      const parameters = new Map(model.namedParameters());
      for (const [name, norm] of Object.entries(expectedCase.training.gradient_norms)) {
        const gradient = parameters.get(ourName(name))!.grad!.contiguous().toFloat32Array();
        // Batch statistics over few pixels amplify rounding: the case itself differs by a hundredth between precisions.
        assertClose([Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0))], [norm], { relative: 5e-2 });
      }
      const state = model.stateDict();
      for (const name of expected.names.filter((each) => each.startsWith('bn_after/'))) {
        const own = state.get(ourName(name.slice('bn_after/'.length)))!;
        assertClose(own, [...numbers(name)], { relative: 1e-3, absolute: 1e-4 });
      }
    });
    model.eval();
  });

  /** Boxes scaled by the factor and cut to the last pixel, as mmdetection's pipeline does. */
  function trainingTargets(scales: readonly { x: number; y: number }[], sizes: readonly (readonly [number, number])[]) {
    return expectedCase.training.targets.map(({ boxes, labels }, image) => {
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

  function checkSample(name: string, map: Tensor): void {
    const values = map.contiguous().toFloat32Array();
    const wanted = numbers(`sample/${name}`);
    const picked = wanted.map((_, k) => values[values.length <= 512 ? k : Math.floor((k * values.length) / 512)]!);
    const scale = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    assertClose([...picked], [...wanted], { relative: 1e-4, absolute: 1e-4 * scale });
  }
});

/** A name by which a state is known to be SpineNet's. */
const SPINENET_MARK = 'backbone.scale_permuted_blocks.0.0.conv1.weight';
