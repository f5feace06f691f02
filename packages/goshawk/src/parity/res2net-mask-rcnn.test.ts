// The numbers of Res2Net-maskrcnn's Mask R-CNN with Res2Net-50 26w x 4s and FPN, computed by its own code (fixtures/README.md),
// from its own config; the weights come in its checkpoint's names.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { maskIou, type RgbImage } from '@goshawk/core';
import { noGrad, scope, type Tensor, tensor, withoutDraws, writePth } from '@goshawk/torch';
import { maskrcnnConfigs } from '../foreign/maskrcnn-benchmark/config.js';
import { shippedConfigs } from '../foreign/maskrcnn-benchmark/fixtures/shipped-configs.js';
import { recogniseState } from '../foreign/weights.js';
import { loadWeights, readWeights } from '../infer/detector-file.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { BackboneWithNeck, buildModel, type Rcnn, totalLoss } from '../models/index.js';
import { assertAllClose, matchDetections, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';

interface Facts {
  readonly overrides: Readonly<Record<string, number | string>>;
  readonly inference: { readonly score_thresh: number };
  readonly parameters: number;
  readonly anchors: { readonly cell_anchors_xyxy_per_level: readonly number[][][] };
  readonly detection_masks_rle: readonly { size: [number, number]; counts: number[] }[];
  readonly training: {
    readonly targets: readonly { boxes: number[][]; labels: number[]; polygons: number[][][] }[];
    readonly losses: Record<string, number>;
    readonly gradient_norms: Record<string, number>;
  };
}

const CLASSES = 80;

describe('res2net50_26w4s_maskrcnn_fpn', () => {
  const parity = new ParityCase<Facts>('res2net50_26w4s_maskrcnn_fpn');
  const { facts } = parity;
  const { text } = shippedConfigs.find(({ name }) => name === 'pytorch_mask_rcnn_R2_50_s4_FPN_2x')!;
  const sets = Object.entries({ ...facts.overrides, 'MODEL.ROI_HEADS.SCORE_THRESH': facts.inference.score_thresh }).map(
    ([key, value]) => `${key}=${value}`,
  );
  const { config } = maskrcnnConfigs.read(text, { file: 'R2_50_s4.yaml', sets });
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-parity-'));
  let model: Rcnn;
  let images: RgbImage[];

  before(async () => {
    images = [await parity.image('input.png'), await parity.image('input2.png')];
    const checkpoint = join(folder, 'model_final.pth');
    writePth(checkpoint, makeParityState(parity.state()));
    const built = withoutDraws(() => buildModel(config.model, { classes: CLASSES }));
    model = built.to({ memoryFormat: 'channels_last' }) as Rcnn;
    const report = loadWeights(model, readWeights(checkpoint), checkpoint);
    assert.equal(report.dialect, 'maskrcnn-benchmark');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('has as many parameters', () => {
    assert.equal(
      model.parameters().reduce((sum, { length }) => sum + length, 0),
      facts.parameters,
    );
  });

  test('prepares the picture to the same network input', () => {
    const { pixels } = imageBatchOf(prepareBatch([images[0]!], config.preprocess));
    assert.deepEqual(pixels.shape, parity.shape('network_input'));
    assertAllClose('network_input', pixels.contiguous().toFloat32Array(), parity.numbers('network_input'), {
      absolute: 2e-6,
    });
  });

  test('gives the same features, head outputs and proposals', () => {
    model.eval();
    noGrad(() => {
      const pixels = tensor(parity.numbers('network_input'), { shape: parity.shape('network_input') });
      const { backbone, rpn } = model;
      assert.ok(backbone instanceof BackboneWithNeck && rpn);
      const body = backbone.body.forward(pixels);
      const levels = backbone.fpn.forward(body);
      const { logits, offsets } = rpn.head.forward(levels);
      for (const [at, map] of body.entries()) parity.checkSample(`layer${at + 1}`, map);
      for (const [at, map] of levels.entries()) parity.checkSample(`P${at + 2}`, map);
      for (const [at, map] of logits.entries()) parity.checkSample(`rpn_logits_P${at + 2}`, map);
      for (const [at, map] of offsets.entries()) parity.checkSample(`rpn_deltas_P${at + 2}`, map);
      const batch = { ...imageBatchOf(prepareBatch([images[0]!], config.preprocess)), pixels };
      const found = rpn.forward(batch, levels);
      const own = rowsOf(found.boxes[0]!.toFloat32Array());
      const wanted = rowsOf(parity.numbers('proposals/boxes'));
      assert.equal(own.length, wanted.length);
      for (const box of wanted)
        assert.ok(
          own.some((other) => other.every((value, i) => Math.abs(value - box[i]!) < 0.004)),
          `proposal ${box} is missing`,
        );
      const scores = found.scores[0]!.toFloat32Array().toSorted();
      assertAllClose('objectness', scores, parity.numbers('proposals/objectness').toSorted(), { absolute: 1e-6 });
    });
  });

  test('finds the same objects', () => {
    const categories = Array.from({ length: CLASSES }, (_, i) => ({ id: i + 1, name: `class ${i + 1}` }));
    const predictor = new Predictor({ model, categories, ...predictorOptions(config) });
    const [found = []] = predictor.predict([images[0]!]);
    const boxes = parity.numbers('det/boxes');
    const labels = parity.integers('det/labels');
    const expected = Array.from(parity.numbers('det/scores'), (score, index) => ({
      label: labels[index]!,
      score,
      box: boxes.subarray(index * 4, index * 4 + 4),
    }));
    const matches = matchDetections(found, expected);
    for (const [index, { size, counts }] of facts.detection_masks_rle.entries()) {
      const own = matches[index]!.segmentation;
      assert.ok(own?.kind === 'rle');
      const truth = { size, counts: Uint32Array.from(counts) };
      const isEmpty = [own.rle, truth].every((rle) => rle.counts.length === 1);
      const iou = maskIou([own.rle], [truth], [false])[0]!;
      assert.ok(isEmpty || iou > 0.99, `mask ${index} has IoU ${iou}`);
    }
  });

  test('gives the same losses and gradients', () => {
    model.train();
    scope(() => {
      const prepared = prepareBatch(images, config.preprocess);
      const losses = model.loss(imageBatchOf(prepared), targetsOf({ targets: trainingTargets(facts, prepared) }));
      const total = totalLoss(losses);
      const all: Record<string, Tensor> = { ...losses, loss: total };
      for (const [name, value] of Object.entries(facts.training.losses))
        assertAllClose(name, [all[name]!.item()], [value], { relative: 2e-6 });
      total.backward();
      const parameters = new Map(model.namedParameters());
      const gradientOf = (original: string): Tensor =>
        parameters.get(ownName(original))?.grad ?? assert.fail(`${original} has no gradient`);
      for (const [original, norm] of Object.entries(facts.training.gradient_norms))
        assertAllClose(original, [normOf(gradientOf(original))], [norm], { relative: 1.5e-4 });
      const sampled = parity.names().filter((name) => name.startsWith('grad/'));
      assert.ok(sampled.length > 0);
      for (const name of sampled) {
        const values = gradientOf(name.slice('grad/'.length)).contiguous().toFloat32Array();
        const wanted = parity.numbers(name);
        const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / wanted.length)]!);
        const rootMeanSquare = Math.sqrt(values.reduce((sum, value) => sum + value * value, 0) / values.length);
        assertAllClose(name, picked, wanted, { relative: 2e-3, absolute: 2e-3 * rootMeanSquare });
      }
      for (const name of ['backbone.body.conv1.weight', 'backbone.body.layer1.2.convs.1.weight'])
        assert.equal(parameters.get(name)!.grad, undefined, name);
    });
    model.eval();
  });
});

const rowsOf = (flat: Float32Array): number[][] =>
  Array.from({ length: flat.length / 4 }, (_, i) => Array.from(flat.subarray(i * 4, i * 4 + 4)));

/** Beside names by which a state is recognised as one with splits. */
function ownName(original: string): string {
  const marks = ['backbone.fpn.fpn_inner1.bias', 'backbone.body.layer1.0.convs.1.weight'];
  const state = new Map([...marks, original].map((name) => [name, name]));
  return [...recogniseState(state).state].find(([, from]) => from === original)![0];
}

/**
 * The case gives every object the polygons of its image's second one: the original selects the objects it keeps by a mask,
 * which it knows as one by its type uint8; under the torch that the case was computed with it is bool, and polygons[True], which
 * is polygons[1], is taken for each. Its losses and gradients are those of these targets.
 */
function trainingTargets({ training }: Facts, { images }: ReturnType<typeof prepareBatch>) {
  return training.targets.map(({ boxes, labels, polygons }, image) => {
    const scale = images[image]!.scaleX;
    return {
      boxes: Float32Array.from(boxes.flat(), (value) => value * scale),
      classes: Int32Array.from(labels),
      areas: new Float32Array(labels.length),
      annotationIds: labels.map((_, index) => index),
      polygons: polygons.map(() => polygons[1]!.map((part) => Float64Array.from(part, (value) => value * scale))),
    };
  });
}
