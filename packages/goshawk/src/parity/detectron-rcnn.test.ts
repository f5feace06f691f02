// The numbers of Detectron.pytorch's Mask R-CNN and Keypoint R-CNN with R-50-FPN, computed by its own code
// (fixtures/README.md), from its own configs; the weights come from its checkpoints and from Detectron's blobs.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { maskIou, type RgbImage, rleFromString } from '@goshawk/core';
import { noGrad, scope, type TensorData, tensor, withoutDraws, writePth } from '@goshawk/torch';
import { detectronConfigs } from '../foreign/detectron/config.js';
import { shippedConfigs } from '../foreign/detectron/fixtures/shipped-configs.js';
import { recogniseState } from '../foreign/weights.js';
import { loadWeights, readWeights } from '../infer/detector-file.js';
import { imageBatchOf, targetsOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { BackboneWithNeck, buildModel, evenDraws, type Rcnn, totalLoss } from '../models/index.js';
import { assertAllClose, matchDetections, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';
import { writePickledBlobs } from './pickled-blobs.js';

interface Facts {
  readonly config: string;
  readonly num_classes: number;
  readonly overrides: Readonly<Record<string, number | readonly number[]>>;
  readonly score_thresh_override: number;
  readonly parameters: number;
  readonly trainable_parameters: number;
  readonly detectron_blob_names: Readonly<Record<string, string | null>>;
  readonly detection_masks_rle: readonly { size: [number, number]; counts: number[] | string }[] | null;
  readonly training: {
    readonly targets: readonly {
      boxes: number[][];
      labels: number[];
      polygons?: number[][][];
      keypoints?: [number, number, number][][];
    }[];
    readonly losses: Record<string, number>;
    readonly gradient_norms: Record<string, number>;
  };
}

for (const name of ['detectron_maskrcnn_R50_FPN', 'detectron_keypoint_R50_FPN']) {
  describe(name, () => {
    const parity = new ParityCase<Facts>(name);
    const { facts } = parity;
    const config = configOf(facts);
    const folder = mkdtempSync(join(tmpdir(), 'goshawk-parity-'));
    let original: ReadonlyMap<string, TensorData>;
    let model: Rcnn;
    let images: RgbImage[];

    before(async () => {
      images = [await parity.image('input.png'), await parity.image('input2.png')];
      original = makeParityState(parity.state());
      const checkpoint = join(folder, 'model_step.pth');
      writePth(checkpoint, original);
      model = build();
      const report = loadWeights(model, readWeights(checkpoint), checkpoint);
      assert.equal(report.dialect, 'Detectron.pytorch');
    });
    after(() => rmSync(folder, { recursive: true, force: true }));

    const build = (): Rcnn =>
      withoutDraws(() => buildModel(config.model, { classes: facts.num_classes - 1, draws: evenDraws })).to({
        memoryFormat: 'channels_last',
      }) as Rcnn;

    test('has as many parameters, and as many that learn', () => {
      const count = (of: readonly { length: number }[]): number => of.reduce((sum, { length }) => sum + length, 0);
      const parameters = model.parameters();
      assert.equal(count(parameters), facts.parameters);
      assert.equal(count(parameters.filter((parameter) => parameter.requiresGrad)), facts.trainable_parameters);
    });

    test('takes the same weights from a .pkl of blobs', () => {
      const blobs = new Map<string, TensorData>();
      for (const [own, value] of original) {
        const blob = facts.detectron_blob_names[own];
        if (blob) blobs.set(blob, value);
      }
      const path = join(folder, 'model_final.pkl');
      writePickledBlobs(path, blobs);
      const other = build();
      const report = loadWeights(other, readWeights(path), path);
      assert.equal(report.dialect, 'Detectron');
      const state = other.stateDict();
      for (const [key, value] of model.stateDict()) assert.deepEqual(state.get(key)!.toBytes(), value.toBytes(), key);
    });

    test('prepares the picture to the same network input', () => {
      const input = imageBatchOf(prepareBatch([images[0]!], config.preprocess))
        .pixels.contiguous()
        .toFloat32Array();
      // OpenCV resizes floats with weights of its own rounding: core's resizer is within 0.006 grey levels of it.
      assertAllClose('network_input', input, parity.numbers('network_input'), { relative: 1e-5, absolute: 0.006 });
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
        for (const [at, map] of body.entries()) parity.checkSample(`res${at + 2}`, map);
        for (const [at, map] of levels.entries()) parity.checkSample(`P${at + 2}`, map);
        for (const [at, map] of logits.entries()) parity.checkSample(`rpn_logits_P${at + 2}`, map);
        for (const [at, map] of offsets.entries()) parity.checkSample(`rpn_deltas_P${at + 2}`, map);
        const batch = { ...imageBatchOf(prepareBatch([images[0]!], config.preprocess)), pixels };
        const [boxes] = rpn.forward(batch, levels).boxes;
        const rows = (flat: ArrayLike<number>, width: number): number[][] =>
          Array.from({ length: flat.length / width }, (_, i) => Array.from(flat).slice(i * width, (i + 1) * width));
        const own = rows(boxes!.toFloat32Array(), 4);
        const wanted = rows(parity.numbers('proposals/rois'), 5).map((row) => row.slice(1));
        assert.equal(own.length, wanted.length);
        for (const box of wanted)
          assert.ok(
            own.some((other) => other.every((value, i) => Math.abs(value - box[i]!) < 0.05)),
            `proposal ${box} is missing`,
          );
      });
    });

    test('finds the same objects', () => {
      const categories = Array.from({ length: facts.num_classes - 1 }, (_, i) => ({
        id: i + 1,
        name: `class ${i + 1}`,
      }));
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
      for (const [index, wanted] of facts.detection_masks_rle?.entries() ?? []) {
        const counts =
          typeof wanted.counts === 'string' ? rleFromString(wanted.counts, wanted.size).counts : wanted.counts;
        const truth = { size: wanted.size, counts: Uint32Array.from(counts) };
        const own = matches[index]!.segmentation;
        assert.ok(own?.kind === 'rle');
        const iou = maskIou([own.rle], [truth], [false])[0]!;
        const isEmpty = [own.rle, truth].every((rle) => rle.counts.length === 1);
        assert.ok(iou > 0.99 || isEmpty, `mask ${index} has IoU ${iou}`);
      }
      if (facts.detection_masks_rle) return;
      const keypoints = parity.numbers('det/keypoints');
      for (const [index, match] of matches.entries()) {
        const own = match.keypoints!;
        for (let point = 0; point < 17; point++) {
          const wanted = [0, 1].map((axis) => keypoints[(index * 4 + axis) * 17 + point]!);
          assertAllClose(`keypoint ${point} of ${index}`, own.slice(point * 3, point * 3 + 2), wanted, {
            absolute: 0.05,
          });
        }
      }
    });

    test('gives the same losses and gradients', () => {
      model.train();
      scope(() => {
        const prepared = prepareBatch(images, config.preprocess);
        const losses = model.loss(imageBatchOf(prepared), targetsOf({ targets: trainingTargets(facts, prepared) }));
        // What the resized input's last digits leave: 1e-6 seen of losses, 8e-5 of gradients.
        for (const [loss, value] of Object.entries(expectedLosses(facts.training.losses)))
          assertAllClose(loss, [losses[loss]!.item()], [value], { relative: 1e-5, absolute: 1e-7 });
        totalLoss(losses).backward();
        const parameters = new Map(model.namedParameters());
        for (const [original, norm] of Object.entries(facts.training.gradient_norms)) {
          const [own = ''] = [
            ...recogniseState(
              new Map([
                [MARK, 0],
                [original, 0],
              ]),
            ).state.keys(),
          ].slice(-1);
          const gradient = parameters.get(own)?.grad;
          assert.ok(gradient, `${original} -> ${own} has no gradient`);
          assertAllClose(original, [normOf(gradient)], [norm], { relative: 5e-4 });
        }
      });
      model.eval();
    });
  });
}

/** A name by which a state is recognised as Detectron.pytorch's. */
const MARK = 'Box_Outs.cls_score.bias';

/** The original's config with the case's overrides as `--set` takes them. */
function configOf({ config, overrides, score_thresh_override }: Facts) {
  const name = config.replace(/^configs\//, '').replace(/\.yaml$/, '');
  const { text } = shippedConfigs.find((shipped) => shipped.name === name) ?? assert.fail(`no config ${name}`);
  const sets = Object.entries({ ...overrides, 'TEST.SCORE_THRESH': score_thresh_override }).map(
    ([key, value]) => `${key}=${Array.isArray(value) ? `(${value.join(',')},)` : value}`,
  );
  return detectronConfigs.read(text, { file: config, sets }).config;
}

/** The first stage's losses are sums over the levels there. */
function expectedLosses(losses: Record<string, number>): Record<string, number> {
  const sum = (prefix: string): number =>
    Object.entries(losses).reduce((total, [name, value]) => total + (name.startsWith(prefix) ? value : 0), 0);
  return {
    loss_objectness: sum('loss_rpn_cls'),
    loss_rpn_box_reg: sum('loss_rpn_bbox'),
    loss_classifier: losses.loss_cls!,
    loss_box_reg: losses.loss_bbox!,
    ...(losses.loss_mask === undefined ? {} : { loss_mask: losses.loss_mask }),
    ...(losses.loss_kps === undefined ? {} : { loss_keypoint: losses.loss_kps }),
  };
}

function trainingTargets({ training }: Facts, { images }: ReturnType<typeof prepareBatch>) {
  return training.targets.map(({ boxes, labels, polygons, keypoints }, image) => {
    const scale = images[image]!.scaleX;
    return {
      boxes: Float32Array.from(boxes.flat(), (value) => value * scale),
      classes: Int32Array.from(labels),
      areas: new Float32Array(labels.length),
      annotationIds: labels.map((_, index) => index),
      ...(polygons && {
        polygons: polygons.map((parts) => parts.map((part) => Float64Array.from(part, (value) => value * scale))),
      }),
      ...(keypoints && {
        keypoints: Float32Array.from(keypoints.flat().flatMap(([x, y, visible]) => [x * scale, y * scale, visible])),
      }),
    };
  });
}
