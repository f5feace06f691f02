// The numbers of SOLOv2-Light with ResNet-18, computed by pytorch_solov2's own code (fixtures/README.md).
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  type Detection,
  gridMaskTaps,
  maskIou,
  placeInNetwork,
  type RgbImage,
  type Rle,
  rleFromCounts,
  rleToBbox,
} from '@goshawk/core';
import { noGrad, ops, scope, setThreads, type Tensor, tensor, withoutDraws } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { solov2State } from '../foreign/solov2/state-names.js';
import { imageBatchOf } from '../infer/network-batch.js';
import { Predictor, predictorOptions } from '../infer/predictor.js';
import { prepareBatch } from '../infer/prepare-batch.js';
import { BackboneWithNeck, buildModel, Solov2, type Targets, totalLoss } from '../models/index.js';
import { cellScores } from '../models/mask-heads/select-masks.js';
import { assertAllClose, normOf, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';

interface Runs {
  readonly size: readonly [number, number];
  readonly counts: readonly number[];
}

interface Facts {
  readonly parameter_count: number;
  readonly trainable_parameter_count: number;
  readonly detections: { readonly rles: readonly Runs[] };
  readonly training: {
    readonly ground_truth: readonly {
      readonly objects: readonly { readonly label: number; readonly box: readonly number[]; readonly mask: Runs }[];
    }[];
    readonly losses: readonly number[];
    readonly dice_terms: number;
    readonly total_grad_norm: number;
    readonly grad_norm_params: readonly string[];
    readonly grad_norms: readonly number[];
    readonly grad_sample_params: readonly string[];
  };
}

const CONFIG = `
model:
  type: solov2
  classes: 80
  backbone: { depth: 18, norm: fixed_statistics }
  maskFeatures: { outputs: 128 }
  head:
    channels: 256
    convolutions: 2
    scaleRanges: [[1, 56], [28, 112], [56, 224], [112, 448], [224, 896]]
    maxDetections: 30
preprocess:
  resize: { rule: mmdet, kernel: opencv, minSize: 192, maxSize: 288 }
  valueScale: 1
  mean: [123.675, 116.28, 103.53]
  std: [58.395, 57.12, 57.375]
`;

const config = parseConfig(CONFIG, { file: 'parity' });
const parity = new ParityCase<Facts>('solov2_light_r18');
const { facts } = parity;

const ourName = (name: string): string => [...solov2State(new Map([[name, 0]])).keys()][0]!;

/** Activations are of the size of one; float32 differs by 5e-6 at most. */
function checkSample(name: string, map: Tensor): void {
  const wanted = parity.numbers(`${name}.sample`);
  const values = map.contiguous().toFloat32Array();
  const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / wanted.length)]!);
  assertAllClose(name, picked, wanted, { relative: 1e-5, absolute: 2e-5 });
}

/** What the original's own float32 rounds by is 1.1e-6. */
const SCORES = { absolute: 3e-6 } as const;

const rleOf = ({ size, counts }: Runs): Rle => rleFromCounts(counts, size);

describe('SOLOv2-Light of pytorch_solov2', () => {
  let model: Solov2;
  let image: RgbImage;
  let other: RgbImage;

  before(async () => {
    setThreads(1);
    const built = withoutDraws(() => buildModel(config.model, { classes: 80 })).to({ memoryFormat: 'channels_last' });
    assert.ok(built instanceof Solov2);
    model = built;
    model.loadStateDict(solov2State(makeParityState(parity.state())));
    image = await parity.image('input.png');
    other = await parity.image('train_image_1.png');
  });

  test('has as many parameters, and as many that learn', () => {
    const count = (parameters: readonly Tensor[]): number => parameters.reduce((sum, { length }) => sum + length, 0);
    assert.equal(count(model.parameters()), facts.parameter_count);
    assert.equal(
      count(model.parameters().filter((parameter) => parameter.requiresGrad)),
      facts.trainable_parameter_count,
    );
  });

  test('prepares the picture to the same network input', () => {
    const input = imageBatchOf(prepareBatch([image], config.preprocess))
      .pixels.contiguous()
      .toFloat32Array();
    assertAllClose('network_input', input, parity.numbers('network_input'), { relative: 1e-6, absolute: 1e-6 });
  });

  test('gives the same features, class scores, kernels and mask features', () => {
    model.eval();
    noGrad(() =>
      scope(() => {
        const input = tensor(parity.numbers('network_input'), { shape: parity.shape('network_input') });
        const { backbone } = model;
        assert.ok(backbone instanceof BackboneWithNeck);
        for (const [i, map] of backbone.body.forward(input).entries()) checkSample(`feat.c${i + 2}`, map);
        const features = backbone.forward(input);
        for (const [i, map] of features.entries()) checkSample(`feat.p${i + 2}`, map);
        checkSample('mask_feat', model.maskFeatures.forward(features));
        const { logits, kernels } = model.head.forward(features);
        for (const [level, map] of logits.entries()) checkSample(`cate.level${level}`, cellScores(map));
        for (const [level, map] of kernels.entries()) checkSample(`kernel.level${level}`, map);
      }),
    );
  });

  const categories = Array.from({ length: 80 }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` }));
  // In float64: a pixel of a mask is 2.8e-6 from the mask's threshold, where float32 may put it on either side, and with it the mask's
  // score 9e-5 away. What float32 makes of the network is compared above.
  const detectorOf = (sets: readonly string[], dtype: 'float32' | 'float64' = 'float64') => {
    const other = parseConfig(CONFIG, { file: 'parity', sets });
    const own = buildModel(other.model, { classes: 80 });
    assert.ok(own instanceof Solov2);
    own.loadStateDict(new Map(model.stateDict()));
    own.to({ dtype, memoryFormat: 'channels_last' });
    return { own, predictor: new Predictor({ model: own, categories, ...predictorOptions(other) }) };
  };
  const detect = (...given: Parameters<typeof detectorOf>): readonly Detection[] =>
    detectorOf(...given).predictor.predict([image])[0]!;

  test('finds the same objects, with the same masks', () => {
    const found = detect([]);
    const labels = parity.integers('det.labels');
    assertAllClose(
      'scores',
      found.map(({ score }) => score),
      parity.numbers('det.scores'),
      SCORES,
    );
    assert.deepEqual(
      found.map(({ categoryId }) => categoryId - 1),
      labels,
    );
    found.forEach(({ segmentation, bbox }, index) => {
      assert.ok(segmentation?.kind === 'rle');
      const wanted = rleOf(facts.detections.rles[index]!);
      const iou = maskIou([segmentation.rle], [wanted], [false])[0]!;
      assert.ok(iou > 0.999, `mask ${index}: IoU ${iou}`);
      assert.deepEqual(bbox, rleToBbox(wanted));
    });
  });

  for (const [name, sets] of [
    ['det_linear', ['model.head.nms=linear']],
    [
      'det_b',
      [
        'model.head.preNmsTopN=40',
        'model.head.scoreThreshold=0.3',
        'model.head.maskThreshold=0.7',
        'model.head.minScore=0.2',
        'model.head.nmsSigma=3',
        'model.head.maxDetections=100',
      ],
    ],
  ] as const) {
    test(`finds the same objects: ${name}`, () => {
      const found = detect(sets);
      assertAllClose(
        name,
        found.map(({ score }) => score),
        parity.numbers(`${name}.scores`),
        SCORES,
      );
      assert.deepEqual(
        found.map(({ categoryId }) => categoryId - 1),
        parity.integers(`${name}.labels`),
      );
    });
  }

  // Both thresholds stand in the middle of the widest gap between the values that they divide, further from each than float32 moves
  // them (mask probabilities by 2e-5, means of them by a few 1e-6): what is found has to be the same to the pixel.
  test('finds in float32, with the convolutions of a prediction, what it finds in float64', () => {
    const scores = sortedScores(detectorOf([]).own, image);
    const [most, least] = [2, 7].map((rank) => scores[rank]!) as [number, number];
    const score = widestGap(scores, least, most);
    const shown = [
      `model.head.scoreThreshold=${score.middle}`,
      'model.head.minScore=0',
      'model.head.maxDetections=100',
    ];
    const values = maskValues(detectorOf([...shown, 'model.head.maskThreshold=0.05']).own, image);
    const mask = widestGap(values, 0.2, 0.8);
    assert.ok(mask.width > 1e-4 && score.width > 1e-4, `gaps of ${mask.width} and ${score.width}`);
    const sets = [...shown, `model.head.maskThreshold=${mask.middle}`];
    const [exact, found] = [detect(sets), detect(sets, 'float32')];
    assert.ok(exact.length > 2);
    const withoutScore = ({ score: _, ...rest }: Detection) => rest;
    assert.deepEqual(found.map(withoutScore), exact.map(withoutScore));
    assertAllClose('scores', found.map(scoreOf), exact.map(scoreOf), { absolute: 5e-6 });
  });

  test('gives the same losses and gradients', () => {
    model.train();
    scope(() => {
      const batch = imageBatchOf(prepareBatch([image, other], config.preprocess));
      const losses = model.loss(
        batch,
        facts.training.ground_truth.map(({ objects }) => targetsOf(objects)),
      );
      const total = totalLoss(losses);
      const own = [losses.loss_mask!, losses.loss_classification!, total].map((loss) => loss.item());
      assertAllClose('losses', own, facts.training.losses, { relative: 1e-6 });
      total.backward();
      const parameters = new Map(model.namedParameters());
      const gradient = (name: string): Tensor => parameters.get(ourName(name))!.grad!;
      const { grad_norm_params, grad_norms, grad_sample_params, total_grad_norm } = facts.training;
      assertAllClose(
        'gradient norms',
        grad_norm_params.map((name) => normOf(gradient(name))),
        grad_norms,
        {
          relative: 1e-4,
        },
      );
      const all = model.parameters().flatMap(({ grad }) => (grad ? [normOf(grad)] : []));
      assertAllClose('gradient norm', [Math.hypot(...all)], [total_grad_norm], { relative: 4e-6 });
      for (const name of grad_sample_params) {
        const wanted = parity.numbers(`train.grad.${name}.sample`);
        const values = gradient(name).contiguous().toFloat32Array();
        const picked = wanted.map((_, k) => values[Math.floor((k * values.length) / wanted.length)]!);
        const most = wanted.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
        assertAllClose(name, picked, wanted, { relative: 1e-4, absolute: 5e-5 * most });
      }
    });
    model.eval();
  });
});

const scoreOf = ({ score }: Detection): number => score;

const inDoubles = (image: RgbImage) => {
  const batch = imageBatchOf(prepareBatch([image], config.preprocess));
  return { ...batch, pixels: batch.pixels.to('float64') };
};

/** Of the cells that no neighbour exceeds, best first. */
function sortedScores(model: Solov2, image: RgbImage): number[] {
  return noGrad(() =>
    scope(() => {
      const { backbone, head } = model;
      assert.ok(backbone instanceof BackboneWithNeck);
      const { logits } = head.forward(backbone.forward(inDoubles(image).pixels));
      return logits.flatMap((map) => cellScores(map).toNumbers()).sort((a, b) => b - a);
    }),
  );
}

/** What a mask's threshold divides: the probabilities of all masks in their cells and in the picture's pixels. */
function maskValues(model: Solov2, image: RgbImage): number[] {
  return noGrad(() =>
    scope(() => {
      const [found] = model.predict(inDoubles(image));
      const { probabilities, stride } = found!.wholeMasks!;
      const [masks = 0, rows = 0, columns = 0] = probabilities.shape;
      const cells = probabilities.contiguous().toNumbers();
      const [place] = prepareBatch([image], config.preprocess).images;
      const network = placeInNetwork(place!);
      const { across, down } = gridMaskTaps({ rows, columns, stride, network, image });
      const values = [...cells];
      for (let mask = 0; mask < masks; mask++)
        for (let y = 0; y < image.height; y++)
          for (let x = 0; x < image.width; x++) {
            let value = 0;
            for (let i = 0; i < 9; i++) {
              const weight = down.weights[3 * y + Math.floor(i / 3)]! * across.weights[3 * x + (i % 3)]!;
              const [row, column] = [down.first[y]! + Math.floor(i / 3), across.first[x]! + (i % 3)];
              if (weight !== 0) value += weight * cells[(mask * rows + row) * columns + column]!;
            }
            values.push(value);
          }
      return values;
    }),
  );
}

/** Between values that lie next to one another, both from `low` to `high`. */
function widestGap(values: readonly number[], low: number, high: number): { middle: number; width: number } {
  const near = values.filter((value) => value >= low && value <= high).sort((a, b) => a - b);
  return near.slice(1).reduce(
    (widest, value, i) => {
      const width = value - near[i]!;
      return width > widest.width ? { middle: near[i]! + width / 2, width } : widest;
    },
    { middle: Number.NaN, width: 0 },
  );
}

/** Masks as they are, not cut out. */
function targetsOf(objects: Facts['training']['ground_truth'][number]['objects']): Targets {
  const masks = objects.map(({ mask }) => {
    const [height, width] = mask.size;
    const pixels = new Uint8Array(height * width);
    let at = 0;
    mask.counts.forEach((count, i) => {
      for (let k = 0; k < count; k++, at++)
        if (i % 2 === 1) pixels[(at % height) * width + Math.floor(at / height)] = 1;
    });
    return { pixels, height, width };
  });
  const rows = masks.map(({ height, width }, i) => [i * height * width, 0, 0, width, height]);
  return {
    boxes: tensor(
      objects.flatMap(({ box }) => [...box]),
      { shape: [objects.length, 4] },
    ),
    labels: tensor(
      objects.map(({ label }) => label),
      { dtype: 'int64' },
    ),
    masks: {
      pixels: ops.cat(masks.map(({ pixels }) => tensor(pixels))),
      crops: tensor(rows.flat(), { shape: [rows.length, 5], dtype: 'int64' }),
    },
  };
}
