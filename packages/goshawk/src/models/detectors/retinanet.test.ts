import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  AdamW,
  assertClose,
  autocast,
  Conv2d,
  liveTensors,
  manualSeed,
  ops,
  randn,
  scope,
  setThreads,
  tensor,
} from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import { buildModel } from '../build.js';
import { modelComplexity } from '../complexity.js';
import { withShapesAlone } from '../shapes-alone.js';
import { type ImageBatch, type Targets, unscaledBatch } from '../structures.js';
import { totalLoss } from './rcnn.js';
import { RetinaNet } from './retinanet.js';
import { retinaClasses } from './retinanet-kind.js';

setThreads(1);

const SPINENET = `
model:
  type: retinanet
  conventions: mmdetection
  backbone: { type: spinenet, widthScale: 0.12, endpointChannels: 16, normMomentum: 0.5 }
  anchors: { octaveBaseScale: 3 }
  head: { convolutions: 2, norm: batch_per_level, normMomentum: 0.5, backgroundIou: 0.5, boxLoss: smooth_l1 }
`;

const RESNET = `
model:
  type: retinanet
  backbone: { depth: 18, width: 8, norm: batch, frozenStages: 0 }
  neck: { channels: 16 }
  anchors: { octaveBaseScale: 3 }
  head: { convolutions: 2 }
`;

const configOf = (text: string) => {
  const { model } = parseConfig(text, { file: 'test' });
  return model.type === 'retinanet' ? model : assert.fail(model.type);
};

const build = (text: string, classes = 2): RetinaNet => {
  manualSeed(0);
  const model = buildModel(configOf(text), { classes });
  return model instanceof RetinaNet ? model : assert.fail();
};

const SQUARES = [
  [8, 8, 40, 40],
  [70, 60, 110, 100],
] as const;

/** Grey noise with bright squares, each of its own colour and class. */
function batchOf(objects: readonly (readonly (readonly number[])[])[]): ImageBatch {
  manualSeed(1);
  const pixels = ops.mul(randn([objects.length, 3, 128, 128]), 0.2);
  objects.forEach((boxes, image) => {
    boxes.forEach(([x1 = 0, y1 = 0, x2 = 0, y2 = 0], object) => {
      const square = ops.narrow(ops.narrow(ops.select(pixels, 0, image), 1, y1, y2 - y1), 2, x1, x2 - x1);
      ops.add_(ops.select(square, 0, object % 3), tensor(2));
    });
  });
  return unscaledBatch(
    pixels.to({ memoryFormat: 'channels_last' }),
    objects.map(() => [128, 128] as const),
  );
}

const targets = (boxes: readonly (readonly number[])[]): Targets => ({
  boxes: tensor(boxes.flat(), { shape: [boxes.length, 4] }),
  labels: tensor(
    BigInt64Array.from(boxes, (_, i) => BigInt(1 + (i % 2))),
    { shape: [boxes.length] },
  ),
});

describe('RetinaNet on a Res2Net', () => {
  for (const strideIn1x1 of [false, true])
    test(`learns in all of its splits, the stride in its ${strideIn1x1 ? '1x1' : '3x3'} convolutions`, () => {
      const splits = `depth: 50, width: 8, widthPerGroup: 3, scale: 4, strideIn1x1: ${strideIn1x1}`;
      const model = build(RESNET.replace('depth: 18, width: 8', splits));
      model.train();
      scope(() => totalLoss(model.loss(batchOf([SQUARES]), [targets(SQUARES)])).backward());
      for (const [name, parameter] of model.namedParameters())
        if (/layer[1-4]\.\d\.convs\./.test(name))
          assert.ok(
            parameter.grad?.toNumbers().some((value) => value !== 0),
            `nothing reaches ${name}`,
          );
    });
});

describe('RetinaNet with ResNet-50-FPN', () => {
  test("has torchvision's number of parameters for COCO's 91 classes", () => {
    // Printed on torchvision's model card of retinanet_resnet50_fpn; the second version's counts frozen norms in.
    const count = (text: string): number =>
      withShapesAlone(() =>
        scope(() =>
          build(text, 90)
            .parameters()
            .reduce((sum, { length }) => sum + length, 0),
        ),
      );
    assert.equal(count('model: { type: retinanet }'), 34_014_999);
    const second = 'model: { type: retinanet, neck: { extraLevelsFrom: c5 }, head: { norm: group } }';
    assert.equal(count(second), 38_198_935 - 53_120);
  });
});

for (const [name, text] of [
  ['SpineNet', SPINENET],
  ['a ResNet with a pyramid', RESNET],
] as const) {
  describe(`RetinaNet on ${name}`, () => {
    test('learns two squares and finds them, without keeping tensors', () => {
      const model = build(text).train();
      const optimizer = new AdamW(model.namedParameters(), { lr: 0.003 });
      const history: number[] = [];
      let alive = 0;
      for (let step = 0; step < 60; step++) {
        scope(() => {
          const total = totalLoss(
            model.loss(
              batchOf([SQUARES, SQUARES, SQUARES, SQUARES]),
              [SQUARES, SQUARES, SQUARES, SQUARES].map(targets),
            ),
          );
          history.push(total.item());
          total.backward();
        });
        optimizer.step();
        optimizer.zeroGrad();
        if (step === 1) alive = liveTensors();
      }
      assert.ok(history.every(Number.isFinite), history.join(' '));
      assert.ok(history.at(-1)! < history[0]! * 0.3, `from ${history[0]} to ${history.at(-1)}`);
      assert.equal(liveTensors(), alive, 'tensors alive after step 2 and after step 60');
      scope(() => {
        const [found] = model.eval().predict(batchOf([SQUARES]));
        const labels = found!.labels.toNumbers();
        for (const [i, square] of SQUARES.entries()) {
          const at = labels.indexOf(i + 1);
          assert.ok(at >= 0, `no object of class ${i + 1}`);
          assertClose(found!.boxes.select(0, at), square, { absolute: 6 });
        }
      });
    });

    test('has finite losses and gradients for images without objects', () =>
      scope(() => {
        const model = build(text).to({ memoryFormat: 'channels_last' }).train();
        const losses = model.loss(batchOf([[], []]), [targets([]), targets([])]);
        assert.deepEqual(Object.keys(losses).toSorted(), ['loss_box_reg', 'loss_classification']);
        totalLoss(losses).backward();
        for (const [parameter, { grad }] of model.namedParameters())
          assert.ok(grad?.toNumbers().every(Number.isFinite), `${parameter} has ${grad ?? 'no gradient'}`);
      }));

    test('gives losses in float32 under bfloat16, near those of float32', () =>
      scope(() => {
        const model = build(text).train();
        const batch = batchOf([SQUARES, SQUARES]);
        const run = () => model.loss(batch, [targets(SQUARES), targets(SQUARES)]);
        const single = run();
        const half = autocast('bfloat16', run);
        for (const [loss, value] of Object.entries(half)) {
          assert.equal(value.dtype, 'float32', loss);
          assertClose(value, [single[loss]!.item()], { relative: 0.1 });
        }
        totalLoss(half).backward();
        for (const [parameter, { grad }] of model.namedParameters()) assert.equal(grad?.dtype, 'float32', parameter);
      }));

    test('runs every convolution when it is counted', () => {
      const model = build(text);
      const { macs, children } = modelComplexity(() => build(text), [128, 128]);
      assert.ok(macs > 0);
      const convolutions = model.modules().filter((module) => module instanceof Conv2d).length;
      let counted = 0;
      const visit = (part: (typeof children)[number]): void => {
        if (part.children.length === 0 && part.macs > 0) counted++;
        part.children.forEach(visit);
      };
      children.forEach(visit);
      assert.equal(counted, convolutions);
    });

    test('tells from its weights how many classes it has', () => {
      const logits = build(text, 5).stateDict().get('head.classification_head.cls_logits.bias')!.shape[0]!;
      assert.equal(retinaClasses(configOf(text), logits), 6);
    });
  });
}

describe('the config of a RetinaNet', () => {
  const refused = (text: string, message: RegExp) =>
    assert.throws(() => parseConfig(text, { file: 'c.yaml' }), message);

  test('refuses a pyramid beside SpineNet', () =>
    refused(
      'model: { type: retinanet, backbone: { type: spinenet }, neck: {} }',
      /model\.neck: is given, but SpineNet needs none/,
    ));

  test('refuses thresholds in the wrong order, and groups that do not divide', () => {
    refused('model: { type: retinanet, head: { backgroundIou: 0.6 } }', /backgroundIou: is above head\.foregroundIou/);
    refused('model: { type: retinanet, head: { norm: group, channels: 40 } }', /take a multiple of 32/);
  });

  test('builds the plan of blocks that it names, or says which block is wrong', () => {
    const plan = (parents: string) => `
model:
  type: retinanet
  conventions: mmdetection
  backbone:
    type: spinenet
    widthScale: 0.1
    endpointChannels: 8
    blocks:
      - { level: 3, block: bottleneck, parents: [0, 1], output: true }
      - { level: 4, block: basic, parents: [0, 2], output: true }
      - { level: 5, block: bottleneck, parents: ${parents}, output: true }
      - { level: 6, block: basic, parents: [2, 4], output: true }
      - { level: 7, block: basic, parents: [4, 5], output: true }
`;
    scope(() => {
      const features = build(plan('[2, 3]'))
        .eval()
        .backbone.forward(randn([1, 3, 128, 128]));
      assert.deepEqual(
        features.map(({ shape }) => shape[3]),
        [16, 8, 4, 2, 1],
      );
    });
    assert.throws(() => build(plan('[2, 6]')), /model\.backbone\.blocks\[2\] \(block 4\): parent 6 comes after it/);
  });
});
