import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AdamW,
  assertClose,
  autocast,
  BatchNorm2d,
  liveTensors,
  manualSeed,
  ops,
  randn,
  scope,
  setThreads,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import { buildModel } from '../build.js';
import { modelComplexity } from '../complexity.js';
import { detectorKind } from '../kinds.js';
import { type ImageBatch, type Targets, unscaledBatch } from '../structures.js';
import { totalLoss } from './rcnn.js';
import { DecoupledSolo, Solov2 } from './solo.js';

setThreads(1);

const SMALL = `
  head:
    channels: 32
    convolutions: 1
    grids: [12, 10, 8, 6, 4]
    scaleRanges: [[1, 40], [20, 80], [40, 120], [80, 200], [160, 400]]
`;

const SOLOV2 = `
model:
  type: solov2
  backbone: { depth: 18, width: 8, norm: batch, frozenStages: 0 }
  neck: { channels: 32 }
  maskFeatures: { channels: 32, outputs: 32 }
${SMALL}`;

const DECOUPLED = `
model:
  type: decoupled_solo
  backbone: { depth: 18, width: 8, norm: batch, frozenStages: 0 }
  neck: { channels: 32 }
${SMALL}`;

const LIGHT = (depth: number): string => `
model:
  type: solov2
  backbone: { depth: ${depth}, norm: fixed_statistics }
  maskFeatures: { outputs: 128 }
  head: { channels: 256, convolutions: 2 }
`;

const configOf = (text: string) => {
  const { model } = parseConfig(text, { file: 'test' });
  return model.type === 'solov2' || model.type === 'decoupled_solo' ? model : assert.fail(model.type);
};

const build = (text: string, classes = 2): Solov2 | DecoupledSolo => {
  manualSeed(0);
  const model = buildModel(configOf(text), { classes });
  return model instanceof Solov2 || model instanceof DecoupledSolo ? model : assert.fail();
};

const lengths = (parameters: readonly Tensor[]): number => parameters.reduce((sum, { length }) => sum + length, 0);

type Box = readonly [x1: number, y1: number, x2: number, y2: number];
const SQUARES: readonly Box[] = [
  [8, 8, 40, 40],
  [70, 60, 110, 100],
];

/** Grey noise with bright squares, each of its own colour and class. */
function batchOf(objects: readonly (readonly Box[])[], side = 128): ImageBatch {
  manualSeed(1);
  const pixels = ops.mul(randn([objects.length, 3, side, side]), 0.2);
  objects.forEach((boxes, image) => {
    boxes.forEach(([x1, y1, x2, y2], object) => {
      const square = ops.narrow(ops.narrow(ops.select(pixels, 0, image), 1, y1, y2 - y1), 2, x1, x2 - x1);
      ops.add_(ops.select(square, 0, object % 3), tensor(2));
    });
  });
  return unscaledBatch(
    pixels.to({ memoryFormat: 'channels_last' }),
    objects.map(() => [side, side] as const),
  );
}

function targetsOf(boxes: readonly Box[], classes = 2): Targets {
  let offset = 0;
  const crops = boxes.map(([x1, y1, x2, y2]) => {
    offset += (x2 - x1) * (y2 - y1);
    return [offset - (x2 - x1) * (y2 - y1), x1, y1, x2 - x1, y2 - y1];
  });
  return {
    boxes: tensor(boxes.flat(), { shape: [boxes.length, 4] }),
    labels: tensor(
      BigInt64Array.from(boxes, (_, i) => BigInt(1 + (i % classes))),
      { shape: [boxes.length] },
    ),
    masks: {
      pixels: tensor(new Uint8Array(offset).fill(1)),
      crops: tensor(crops.flat(), { shape: [boxes.length, 5], dtype: 'int64' }),
    },
  };
}

describe('SOLOv2-Light', () => {
  test('has the parameters of pytorch_solov2 with ResNet-34', () => {
    const model = build(LIGHT(34), 80);
    assert.equal(lengths(model.parameters()), 28_379_920);
    assert.equal(lengths(model.parameters().filter((parameter) => parameter.requiresGrad)), 28_148_432);
  });

  test('keeps the statistics of its norms in training, and moves their factors', () => {
    const model = build(LIGHT(18).replace('depth: 18', 'depth: 18, width: 32'), 2).train();
    const norms = model.modules().filter((module) => module instanceof BatchNorm2d);
    assert.equal(norms.length, 20);
    assert.ok(norms.every((norm) => !norm.training));
    scope(() => {
      totalLoss(model.loss(batchOf([SQUARES]), [targetsOf(SQUARES)])).backward();
      // The first layer and the first stage are frozen.
      assert.equal(norms.filter((norm) => norm.weight.grad !== undefined).length, 20 - 5);
      for (const norm of norms) assertClose(norm.runningMean, new Array<number>(norm.runningMean.length).fill(0));
    });
  });
});

test('the computations of SOLOv2 with ResNet-50 are counted', () => {
  const config = configOf('model: { type: solov2 }');
  const { parameters, macs } = modelComplexity(() => buildModel(config, { classes: 80 }), [800, 1344]);
  // 23.5 M of the backbone (its norms are counted apart), 3.3 M of the pyramid, 1.7 M mask features, 17.8 M head.
  assert.ok(parameters > 46e6 && parameters < 47e6, `${parameters}`);
  assert.ok(macs > 200e9 && macs < 300e9, `${macs}`);
});

for (const [name, text] of [
  ['SOLOv2', SOLOV2],
  ['decoupled SOLO', DECOUPLED],
] as const) {
  describe(name, () => {
    test('learns two squares and finds them, without keeping tensors', () => {
      const model = build(text).train();
      const optimizer = new AdamW(model.namedParameters(), { lr: 0.001 });
      const images = [SQUARES, SQUARES];
      let alive = 0;
      for (let step = 0; step < 60; step++) {
        scope(() =>
          totalLoss(
            model.loss(
              batchOf(images),
              images.map((boxes) => targetsOf(boxes)),
            ),
          ).backward(),
        );
        optimizer.step();
        optimizer.zeroGrad();
        if (step === 1) alive = liveTensors();
      }
      assert.ok(liveTensors() <= alive);
      scope(() => {
        const [found] = model.eval().predict(batchOf([SQUARES]));
        const best = found!.scores.toNumbers().flatMap((score, i) => (score > 0.4 ? [i] : []));
        const boxes = found!.boxes.toNumbers();
        for (const [object, square] of SQUARES.entries()) {
          const isFound = best.some(
            (i) =>
              found!.labels.toNumbers()[i] === object + 1 &&
              square.every((side, corner) => Math.abs(boxes[4 * i + corner]! - side) <= 6),
          );
          assert.ok(
            isFound,
            `square ${object}: ${found!.scores.toNumbers().slice(0, 6)}, ${found!.labels.toNumbers().slice(0, 6)}, ${boxes.slice(0, 24)}`,
          );
        }
      });
    });

    test('learns from pictures without objects, alone and among others', () =>
      scope(() => {
        const model = build(text).train();
        const alone = model.loss(batchOf([[], []]), [targetsOf([]), targetsOf([])]);
        assert.equal(alone.loss_mask!.item(), 0);
        assert.ok(alone.loss_classification!.item() > 0);
        totalLoss(alone).backward();
        for (const [parameter, { grad }] of model.namedParameters())
          if (grad) assert.ok(grad.toNumbers().every(Number.isFinite), parameter);
        const mixed = model.loss(batchOf([[], SQUARES]), [targetsOf([]), targetsOf(SQUARES)]);
        assert.ok(Number.isFinite(totalLoss(mixed).item()) && mixed.loss_mask!.item() > 0);
      }));

    test('tells its classes by its weights, for one and for many', () => {
      for (const classes of [1, 91]) {
        const model = build(text, classes);
        assert.equal(detectorKind(configOf(text)).classesIn(model.stateDict()), classes + 1);
        scope(() => {
          const losses = model.train().loss(batchOf([SQUARES]), [targetsOf(SQUARES, classes)]);
          assert.ok(Number.isFinite(totalLoss(losses).item()));
        });
      }
    });

    test('computes in half precision, its losses in float32', () =>
      scope(() => {
        const model = build(text).train();
        const losses = autocast('bfloat16', () => model.loss(batchOf([SQUARES]), [targetsOf(SQUARES)]));
        const exact = model.loss(batchOf([SQUARES]), [targetsOf(SQUARES)]);
        for (const [part, loss] of Object.entries(losses)) {
          assert.equal(loss.dtype, 'float32');
          assertClose(loss, exact[part]!, { relative: 0.05 });
        }
        totalLoss(losses).backward();
        autocast('bfloat16', () => model.eval().predict(batchOf([SQUARES])));
      }));

    for (const backbone of [
      '{ depth: 50, width: 8, norm: fixed_statistics }',
      '{ depth: 50, width: 8, scale: 4, widthPerGroup: 4, stem: deep, shortcut: average }',
      '{ depth: 50, width: 32, norm: group }',
    ])
      test(`runs on ${backbone}`, () => runsOn(text, backbone));

    test('runs under another neck', () =>
      runsOn(
        text.replace('neck: { channels: 32 }', 'neck: { type: bifpn, channels: 32, repeats: 1, norm: group }'),
        '{ depth: 18, width: 8 }',
      ));

    test('runs on a MobileNet', () => runsOn(text, '{ type: mobilenet }'));

    test('runs on SpineNet', () =>
      runsOn(
        text.replace('neck: { channels: 32 }', 'neck: { type: none }'),
        '{ type: spinenet, widthScale: 0.1, endpointChannels: 32, norm: frozen_batch }',
      ));
  });
}

function runsOn(text: string, backbone: string): void {
  scope(() => {
    const model = build(text.replace(/backbone: \{.*\}/, `backbone: ${backbone}`));
    const losses = model.train().loss(batchOf([SQUARES]), [targetsOf(SQUARES)]);
    totalLoss(losses).backward();
    assert.ok(losses.loss_mask!.item() > 0);
    model.eval().predict(batchOf([SQUARES]));
  });
}

test('a cell that two objects claim learns both masks in SOLOv2, the last one in decoupled SOLO', () =>
  scope(() => {
    // The same place, twice: the second object takes the class of every cell.
    const twice: readonly Box[] = [SQUARES[0]!, SQUARES[0]!];
    for (const text of [SOLOV2, DECOUPLED]) {
      const model = build(text).eval();
      const lossOf = (boxes: readonly Box[], labels: readonly number[]) => {
        const targets = { ...targetsOf(boxes), labels: tensor([...labels], { dtype: 'int64' }) };
        return model.loss(batchOf([SQUARES]), [targets]);
      };
      const [both, last] = [lossOf(twice, [1, 2]), lossOf([twice[1]!], [2])];
      assertClose(both.loss_classification!, last.loss_classification!);
      // The mean of equal losses.
      assertClose(both.loss_mask!, last.loss_mask!);
    }
  }));
