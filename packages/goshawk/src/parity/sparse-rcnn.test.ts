// The numbers of liangheming/sparse_rcnnv1's Sparse R-CNN with ResNet-50, computed by its own code (fixtures/README.md), from its own
// config; the weights come in its checkpoint's names and file.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { noGrad, ops, scope, type Tensor, tensor, withoutDraws, writePth } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { recogniseState } from '../foreign/weights.js';
import { loadWeights, readWeights } from '../infer/detector-file.js';
import { BackboneWithNeck, buildModel, type SparseRcnn, totalLoss, unscaledBatch } from '../models/index.js';
import { assertAllClose, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';

interface Facts {
  readonly parameter_count: number;
  readonly training: {
    readonly ground_truth: readonly { readonly rows_label_xyxy: readonly number[][] }[];
    readonly grad_norm_params: readonly string[];
    readonly grad_sample_params: readonly string[];
  };
}

const CLASSES = 80;
const PROPOSALS = 128;

describe('sparse_rcnn_r50', () => {
  const parity = new ParityCase<Facts>('sparse_rcnn_r50');
  const { facts } = parity;
  const config = parseConfig(
    `model:
  type: sparse_rcnn
  backbone: { depth: 50, frozenStages: 0 }
  neck: { type: fpn, extraLevel: none, biases: false, upsampling: bilinear }
  proposals: 128
  matching: { classCost: 1, l1Cost: 1, iouCost: 1 }
`,
    { file: 'sparse' },
  );
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-parity-'));
  let model: SparseRcnn;

  before(() => {
    const checkpoint = join(folder, 'sparse_rcnn_resnet50_last.pth');
    writePth(checkpoint, makeParityState(parity.state()));
    const built = withoutDraws(() => buildModel(config.model, { classes: CLASSES }));
    model = built.to({ memoryFormat: 'channels_last' }) as SparseRcnn;
    const report = loadWeights(model, readWeights(checkpoint), checkpoint);
    assert.equal(report.dialect, 'sparse_rcnnv1');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const input = (): Tensor => {
    const pixels = tensor(parity.numbers('network_input'), { shape: parity.shape('network_input') });
    return pixels.to({ memoryFormat: 'channels_last' });
  };

  test('has as many parameters', () => {
    assert.equal(
      model.parameters().reduce((sum, { length }) => sum + length, 0),
      facts.parameter_count,
    );
  });

  test('gives the same features, and the same boxes and logits in every stage', () => {
    model.eval();
    noGrad(() => {
      const pixels = input();
      const { backbone } = model;
      assert.ok(backbone instanceof BackboneWithNeck);
      const body = backbone.body.forward(pixels);
      const levels = backbone.fpn.forward(body);
      for (const [at, map] of body.entries()) checkSample(parity, `feat.c${at + 2}`, map);
      for (const [at, map] of levels.entries()) checkSample(parity, `feat.p${at + 2}`, map);
      const { logits, boxes } = model.stagePredictions(unscaledBatch(pixels, [[192, 192]]));
      const wanted = parity.numbers('stage_boxes');
      for (const [stage, own] of boxes.entries()) {
        const values = own.toFloat32Array();
        assertAllClose(
          `boxes of stage ${stage}`,
          values,
          wanted.subarray(stage * values.length, (stage + 1) * values.length),
          {
            absolute: 0.006,
            relative: 2e-5,
          },
        );
      }
      for (const [stage, own] of logits.slice(0, -1).entries()) checkSample(parity, `logits.stage${stage}`, own, 4e-4);
      assertAllClose('logits of stage 5', logits[5]!.toFloat32Array(), parity.numbers('logits.stage5'), {
        absolute: 6e-4,
      });
    });
  });

  test('finds the same objects', () => {
    const [found] = model.predict(unscaledBatch(input(), [[192, 192]]));
    const own = rowsOf(found!.boxes.toFloat32Array());
    const labels = found!.labels.toNumbers();
    const scores = found!.scores.toFloat32Array();
    const boxes = rowsOf(parity.numbers('det.boxes'));
    const wantedScores = parity.numbers('det.scores');
    assert.equal(own.length, PROPOSALS);
    const left = new Set(own.keys());
    for (const [at, label] of parity.integers('det.labels').entries()) {
      const match = [...left].find(
        (other) =>
          labels[other] === label + 1 &&
          Math.abs(scores[other]! - wantedScores[at]!) < 6e-5 &&
          own[other]!.every((value, i) => Math.abs(value - boxes[at]![i]!) < 0.006),
      );
      assert.ok(match !== undefined, `detection ${at} has no counterpart`);
      left.delete(match);
    }
    assert.deepEqual(
      [...scores],
      [...scores].toSorted((a, b) => b - a),
    );
  });

  test('gives the same losses and gradients', () => {
    model.train();
    scope(() => {
      const pixels = input();
      const both = ops.cat([pixels, ops.flip(pixels, [3])]).to({ memoryFormat: 'channels_last' });
      const sizes = [[192, 192] as const, [192, 192] as const];
      const losses = model.loss(unscaledBatch(both, sizes), trainingTargets(facts));
      const total = totalLoss(losses);
      const [classification, iou, l1, sum] = parity.numbers('train.losses');
      for (const [name, own, wanted] of [
        ['classification', losses.classification!, classification!],
        ['overlap', losses.box_iou!, iou!],
        ['distance', losses.box_l1!, l1!],
        ['sum', total, sum!],
      ] as const)
        assertAllClose(name, [own.item()], [wanted], { relative: 5e-6 });
      total.backward();
      const parameters = new Map(model.namedParameters());
      const gradientOf = (original: string): Tensor => parameters.get(ownName(original))!.grad!;
      const norms = parity.numbers('train.grad_norms');
      for (const [at, original] of facts.training.grad_norm_params.entries())
        assertAllClose(original, [normOf(gradientOf(original))], [norms[at]!], { relative: 1.2e-3 });
      for (const original of facts.training.grad_sample_params) {
        const values = gradientOf(original).contiguous().toFloat32Array();
        const wanted = parity.numbers(`train.grad.${original}.sample`);
        const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / wanted.length)]!);
        const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
        assertAllClose(original, picked, wanted, { relative: 2e-3, absolute: 2e-3 * largest });
      }
    });
    model.zeroGrad();
  });
});

const rowsOf = (flat: Float32Array): number[][] =>
  Array.from({ length: flat.length / 4 }, (_, i) => Array.from(flat.subarray(i * 4, i * 4 + 4)));

function checkSample(parity: ParityCase<Facts>, name: string, map: Tensor, absolute = 5e-5): void {
  const values = map.contiguous().toFloat32Array();
  const wanted = parity.numbers(`${name}.sample`);
  const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / wanted.length)]!);
  assertAllClose(name, picked, wanted, { absolute, relative: 3e-5 });
}

/** Beside names by which a state is recognised. */
function ownName(original: string): string {
  const marks = ['init_proposal_boxes.weight', 'head.heads.0.class_logits.bias'];
  const state = new Map([...marks, original].map((name) => [name, name]));
  return [...recogniseState(state).state].find(([, from]) => from === original)![0];
}

function trainingTargets({ training }: Facts) {
  return training.ground_truth.map(({ rows_label_xyxy: rows }) => ({
    boxes: tensor(Float32Array.from(rows.flatMap((row) => row.slice(1))), { shape: [rows.length, 4] }),
    labels: tensor(
      BigInt64Array.from(rows, (row) => BigInt(row[0]! + 1)),
      { shape: [rows.length] },
    ),
  }));
}
