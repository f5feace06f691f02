// The numbers of torchvision's RetinaNets on ResNet-50-FPN, version 1 and 2, computed by torchvision itself
// (fixtures/torchvision_retinanet/make_case.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { RgbImage } from '@goshawk/core';
import { assertClose, noGrad, scope, type Tensor, tensor, withoutDraws } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { imageBatchOf } from '../infer/network-batch.js';
import { postProcess } from '../infer/post-process.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { buildModel, RetinaNet, totalLoss } from '../models/index.js';
import { makeParityState } from './parity-weights.js';

interface ParityCase {
  readonly parameters: number;
  readonly features: readonly { readonly shape: number[]; readonly sample: number[] }[];
  readonly cls_logits: number[];
  readonly bbox_regression: number[];
  readonly detections: { readonly boxes: number[][]; readonly scores: number[]; readonly labels: number[] };
  readonly targets: readonly { readonly boxes: number[][]; readonly labels: number[] }[];
  readonly losses: { readonly classification: number; readonly bbox_regression: number };
  readonly gradient_norms: Record<string, number>;
}

const VERSIONS = [
  { version: 1, model: '', logitVariance: 0.2 },
  { version: 2, model: 'neck: { extraLevelsFrom: c5 }', logitVariance: 3, head: 'norm: group, boxLoss: giou,' },
] as const;

const CATEGORY_IDS = Array.from({ length: 90 }, (_, index) => index + 1);
// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/', import.meta.url));

for (const { version, model: parts, logitVariance, ...rest } of VERSIONS) {
  const head = 'head' in rest ? rest.head : '';
  const config = parseConfig(
    `
model:
  type: retinanet
  classes: 90
  backbone: { depth: 50, frozenStages: 2 }
  ${parts}
  head: { ${head} scoreThreshold: 0.3, preNmsTopN: 40, maxDetections: 500 }
preprocess: { resize: { minSize: 192, maxSize: 320 } }
`,
    { file: 'parity' },
  );
  const expected = JSON.parse(readFileSync(`${fixtures}torchvision_retinanet/v${version}.json`, 'utf8')) as ParityCase;

  describe(`RetinaNet version ${version} of torchvision`, () => {
    let model: RetinaNet;
    let images: RgbImage[];

    before(async () => {
      const built = withoutDraws(() => buildModel(config.model, { classes: 90 }));
      assert.ok(built instanceof RetinaNet);
      model = built.to({ memoryFormat: 'channels_last' });
      const entries = [...model.stateDict()].map(([name, { shape }]) => ({
        name,
        shape,
        dtype: 'float32' as const,
        rule: boundsOf(name, shape, logitVariance),
      }));
      model.loadStateDict(makeParityState(entries));
      const pictures = `${fixtures}torchvision_maskrcnn_r50_fpn/`;
      images = [await decodeImageFile(`${pictures}input.png`), await decodeImageFile(`${pictures}input2.png`)];
    });

    test('has as many parameters', () => {
      assert.equal(
        model.parameters().reduce((sum, parameter) => sum + parameter.length, 0),
        expected.parameters,
      );
    });

    test('gives the same features, logits and offsets', () => {
      model.eval();
      noGrad(() => {
        const features = model.backbone.forward(imageBatchOf(prepareBatch([images[0]!], config.preprocess)).pixels);
        const { logits, offsets } = model.head.forward(features);
        for (const [level, { shape, sample }] of expected.features.entries()) {
          assert.deepEqual(features[level]!.shape, shape);
          assertSample(features[level]!.contiguous().toFloat32Array(), sample);
        }
        assertSample(flattened(logits, 91), expected.cls_logits);
        assertSample(flattened(offsets, 4), expected.bbox_regression);
      });
    });

    test('finds the same objects', () => {
      model.eval();
      scope(() => {
        const prepared = prepareBatch([images[0]!], config.preprocess);
        const [found] = model.predict(imageBatchOf(prepared));
        const own = postProcess(found!, { ...prepared.images[0]!, imageId: 0 }, { categoryIds: CATEGORY_IDS });
        // torchvision also returns its background class, which training never makes likely.
        const wanted = expected.detections.labels.flatMap((label, i) => (label > 0 ? [i] : []));
        assert.equal(own.length, wanted.length);
        const left = new Set(own);
        for (const index of wanted) {
          const { boxes, scores, labels } = expected.detections;
          const match = [...left].find(({ bbox = [0, 0, 0, 0], score, categoryId }) => {
            const corners = [bbox[0], bbox[1], bbox[0] + bbox[2], bbox[1] + bbox[3]];
            return (
              categoryId === labels[index] &&
              Math.abs(score - scores[index]!) < 1e-4 &&
              corners.every((side, i) => Math.abs(side - boxes[index]![i]!) < 0.05)
            );
          });
          assert.ok(match, `detection ${index} (class ${labels[index]}, score ${scores[index]}) has no counterpart`);
          left.delete(match);
        }
      });
    });

    test('gives the same losses and gradients, with a picture without objects among them', () => {
      model.train();
      scope(() => {
        const batch = imageBatchOf(prepareBatch(images, config.preprocess));
        const targets = expected.targets.map(({ boxes, labels }, image) => {
          const { x, y } = batch.scales[image]!;
          const factors = [Math.fround(x), Math.fround(y)];
          return {
            boxes: tensor(
              boxes.flat().map((value, i) => value * factors[i % 2]!),
              { shape: [boxes.length, 4] },
            ),
            labels: tensor(BigInt64Array.from(labels, BigInt)),
          };
        });
        const losses = model.loss(batch, targets);
        assertClose(losses.loss_classification!, [expected.losses.classification], { relative: 1e-4 });
        assertClose(losses.loss_box_reg!, [expected.losses.bbox_regression], { relative: 1e-4 });
        totalLoss(losses).backward();
        const parameters = new Map(model.namedParameters());
        for (const [name, norm] of Object.entries(expected.gradient_norms)) {
          const gradient = parameters.get(name)!.grad!.contiguous().toFloat32Array();
          assertClose([Math.sqrt(gradient.reduce((sum, value) => sum + value * value, 0))], [norm], { relative: 2e-3 });
        }
      });
      model.eval();
    });
  });
}

/** The bounds of a tensor's values: the rule of make_case.py. */
function boundsOf(name: string, shape: readonly number[], logitVariance: number): { lo: number; hi: number } {
  if (name.endsWith('bn3.weight')) return { lo: 0.15, hi: 0.25 };
  if (name.endsWith('running_var') || (shape.length === 1 && name.endsWith('weight'))) return { lo: 0.8, hi: 1.2 };
  if (name.endsWith('cls_logits.bias')) return { lo: -4.7, hi: -4.5 };
  if (shape.length === 1) return { lo: -0.1, hi: 0.1 };
  const fanIn = shape.slice(1).reduce((product, side) => product * side, 1);
  const variance = name.includes('cls_logits')
    ? logitVariance
    : name.includes('bbox_reg')
      ? 0.04
      : name.includes('.fpn.')
        ? 1
        : 2;
  const bound = Math.sqrt((3 * variance) / fanIn);
  return { lo: -bound, hi: bound };
}

/** Levels of [1, A * K, H, W] in torchvision's order: level, cell, anchor, K. */
function flattened(levels: readonly Tensor[], perAnchor: number): Float32Array {
  return Float32Array.from(
    levels.flatMap((level) => {
      assert.equal(level.size(1) % perAnchor, 0);
      return [...level.permute([0, 2, 3, 1]).contiguous().toFloat32Array()];
    }),
  );
}

/** Every 64th part of the values. */
function assertSample(values: Float32Array, wanted: readonly number[]): void {
  const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / 64)]!);
  const scale = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
  assertClose(picked, [...wanted], { relative: 1e-4, absolute: 1e-4 * scale });
}
