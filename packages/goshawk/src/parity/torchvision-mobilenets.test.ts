// torchvision's MobileNets: files of the classifiers load as they are, and give the same features and gradients in every layer that
// a neck reads by default. The numbers are torchvision's own in float64 (fixtures/torchvision_models/make_models.py, make_mobilenets).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { noGrad, ops, scope } from '@goshawk/torch';
import { loadConfig, type MobilenetConfig, parseConfig, type RunConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { recogniseState } from '../foreign/weights.js';
import { loadWeights } from '../infer/detector-file.js';
import { imageBatchOf } from '../infer/network-batch.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { MobileNet } from '../models/backbones/mobilenet.js';
import { buildModel } from '../models/index.js';
import { assertAllClose, assertSamples, normOf } from './parity-case.js';
import { torchvisionWeights } from './torchvision-weights.js';

type NamedShape = readonly [name: string, shape: readonly number[]];

interface Facts {
  readonly width: number;
  /** Of the whole file, the classifier included. */
  readonly entries: number;
  readonly checksum: number;
  readonly classifier: readonly NamedShape[];
  /** Without the classifier. */
  readonly parameters: number;
  readonly features: readonly (readonly number[])[];
  /** Of every ninth parameter, for the sum of the levels' mean squares, with fixed statistics. */
  readonly gradient_norms: Readonly<Record<string, number>>;
}

const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/', import.meta.url));
const all = JSON.parse(readFileSync(`${fixtures}torchvision_models/mobilenets.json`, 'utf8')) as Record<string, Facts>;

const VARIANTS = { mobilenet_v2: 'v2', mobilenet_v3_large: 'v3_large', mobilenet_v3_small: 'v3_small' } as const;
// The classifiers' norms (torchvision/models/mobilenetv3.py).
const NORM_EPS = { v2: 1e-5, v3_large: 1e-3, v3_small: 1e-3 } as const;

/** Of a value and a level's root mean square. V2 makes of float32's rounding 2e-5, torchvision's as well; the numbers have 12 digits. */
const SINGLE = 6e-5;
const DOUBLE = 2e-11;

function configOf(sets: readonly string[]): RunConfig {
  const text = 'model: { type: retinanet, backbone: { type: mobilenet, norm: batch, frozenStages: 0 } }';
  return parseConfig(text, { file: 'mobilenet', sets });
}

for (const [name, facts] of Object.entries(all)) {
  describe(`${name} of torchvision`, () => {
    const variant = VARIANTS[name.replace(/_[\d.]+$/, '') as keyof typeof VARIANTS];
    const sets = [
      `model.backbone.variant=${variant}`,
      `model.backbone.widthFactor=${facts.width}`,
      `model.backbone.normEps=${NORM_EPS[variant]}`,
    ];
    const config = configOf(sets);
    const make = () => new MobileNet(config.model.backbone as MobilenetConfig);
    const shapes = scope((): NamedShape[] => [
      ...[...make().stateDict()].map(([own, { shape }]): NamedShape => [`features.${own}`, shape]),
      ...facts.classifier,
    ]);

    test('has the same names and shapes, and as many parameters', () =>
      scope(() => {
        const lines = shapes.map(([own, shape]) => `${own} ${shape.join('x')}`).toSorted();
        assert.equal(lines.length, facts.entries);
        assert.equal(crc32(lines.join('\n')), facts.checksum);
        const parameters = make().parameters();
        assert.equal(
          parameters.reduce((sum, { length }) => sum + length, 0),
          facts.parameters,
        );
      }));

    test('gives the same features and gradients', async () => {
      const picture = await decodeImageFile(`${fixtures}torchvision_maskrcnn_r50_fpn/input.png`);
      const { preprocess } = loadConfig(configFile, ['preprocess.resize.rule=none']).config;
      scope(() => {
        const backbone = make();
        const { state } = recogniseState(torchvisionWeights(shapes));
        backbone.loadStateDict(new Map([...state].map(([own, value]) => [own.slice('backbone.body.'.length), value])), {
          strict: true,
        });
        backbone.eval().to({ memoryFormat: 'channels_last' });
        const cut = { width: 96, height: 64, data: cornerOf(picture.data, picture.width) };
        const { pixels } = imageBatchOf(prepareBatch([cut], { ...preprocess, mean: [0, 0, 0], std: [1, 1, 1] }));
        // Without gradients norms are folded into convolutions, and activations overwrite their input.
        noGrad(() => assertSamples(backbone.forward(pixels), facts.features, SINGLE));
        assertSamples(backbone.forward(pixels), facts.features, SINGLE);
        // In float64: one activation that rounding takes across 0 moves a gradient of float32 by a thousandth.
        backbone.to({ dtype: 'float64' });
        const levels = backbone.forward(pixels.to('float64'));
        assertSamples(levels, facts.features, DOUBLE);
        noGrad(() => assertSamples(backbone.forward(pixels.to('float64')), facts.features, DOUBLE));
        const loss = levels.map((level) => ops.mean(ops.square(level))).reduce((sum, one) => ops.add(sum, one));
        loss.backward();
        const parameters = new Map(backbone.namedParameters());
        for (const [own, norm] of Object.entries(facts.gradient_norms))
          assertAllClose(own, [normOf(parameters.get(own.slice('features.'.length))!.grad!)], [norm], {
            relative: DOUBLE,
          });
      });
    });
  });
}

const configFile = fileURLToPath(new URL('../../../../configs/torchvision/faster_rcnn_r50_fpn.yaml', import.meta.url));

describe("a classifier's file", () => {
  test('fills the body of a detector, and its classifier is left out', () =>
    scope(() => {
      const model = buildModel(configOf(['model.backbone.variant=v3_small']).model, { classes: 2 });
      const body = [...model.stateDict()].filter(([own]) => own.startsWith('backbone.body.'));
      const shapes = body.map(([own, { shape }]): NamedShape => [own.replace('backbone.body', 'features'), shape]);
      const state = torchvisionWeights([...shapes, ['classifier.0.weight', [4, 4]]]);
      const report = loadWeights(model, state, 'mobilenet_v3_small.pth', { partial: true });
      assert.deepEqual([report.dialect, report.loaded.length], ['MobileNet', body.length]);
      assert.deepEqual([report.orphans, report.unexpected], [['classifier.0.weight'], []]);
    }));
});

function cornerOf(data: Uint8Array, width: number): Uint8Array {
  const rows = Array.from({ length: 64 }, (_, row) => [...data.subarray(row * width * 3, row * width * 3 + 96 * 3)]);
  return Uint8Array.from(rows.flat());
}
