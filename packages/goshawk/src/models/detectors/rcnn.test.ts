import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { before, describe, test } from 'node:test';
import {
  assertClose,
  autocast,
  liveTensors,
  manualSeed,
  ops,
  randn,
  SGD,
  scope,
  setThreads,
  type Tensor,
  tensor,
} from '@goshawk/torch';
import { parseConfig } from '../../config/index.js';
import { FASTER_RCNN, tinyDetector } from '../../testing/tiny-detector.js';
import { SQUARES, type Square, squareTargets } from '../../testing/tiny-targets.js';
import { buildModel } from '../build.js';
import { withShapesAlone } from '../shapes-alone.js';
import { type Detections, type ImageBatch, type Losses, unscaledBatch } from '../structures.js';
import type { Rcnn } from './rcnn.js';
import { totalLoss } from './rcnn.js';

// More threads only wait for one another on models this small.
before(() => setThreads(1));

const [HEIGHT, WIDTH] = [64, 96];

// dist/models/detectors/ -> src/models/detectors/: fixtures are not compiled.
const fixture = new URL('../../../src/models/detectors/fixtures/maskrcnn-resnet50-fpn-state.json', import.meta.url);

/** Grey noise with bright squares where the objects are. */
function batchOf(objects: readonly (readonly Square[])[], seed = 1): ImageBatch {
  manualSeed(seed);
  const pixels = ops.mul(randn([objects.length, 3, HEIGHT, WIDTH]), 0.2);
  objects.forEach((boxes, image) => {
    boxes.forEach(([x1, y1, x2, y2], object) => {
      const square = ops.narrow(ops.narrow(ops.select(pixels, 0, image), 1, y1, y2 - y1), 2, x1, x2 - x1);
      ops.add_(ops.select(square, 0, object % 3), tensor(2));
    });
  });
  return unscaledBatch(
    pixels.to({ memoryFormat: 'channels_last' }),
    objects.map(() => [HEIGHT, WIDTH] as const),
  );
}

const values = (losses: Losses): Record<string, number> =>
  Object.fromEntries(Object.entries(losses).map(([name, loss]) => [name, loss.item()]));

function plain({ boxes, scores, labels, masks }: Detections) {
  return {
    boxes: boxes.toNumbers(),
    scores: scores.toNumbers(),
    labels: labels.toNumbers(),
    masks: masks?.toNumbers(),
  };
}

describe('Mask R-CNN and Faster R-CNN with ResNet-50-FPN', () => {
  const build = (type: string): Rcnn =>
    buildModel(parseConfig(`model: { type: ${type} }`, { file: type }).model, { classes: 90 }) as Rcnn;
  const countOf = (model: Rcnn): number => model.parameters().reduce((sum, { length }) => sum + length, 0);

  test("have torchvision's number of parameters for COCO's 91 classes, and its state dict", () =>
    withShapesAlone(() =>
      scope(() => {
        const faster = build('faster_rcnn');
        const mask = build('mask_rcnn');
        // Printed on torchvision's model cards: 41,755,286 and 44,401,393.
        assert.deepEqual([countOf(faster), countOf(mask)], [41_755_286, 44_401_393]);
        const expected = JSON.parse(readFileSync(fixture, 'utf8')) as Record<string, number[]>;
        assert.deepEqual(Object.fromEntries([...mask.stateDict()].map(([name, { shape }]) => [name, shape])), expected);
        const box = Object.keys(expected).filter((name) => !name.startsWith('roi_heads.mask'));
        assert.deepEqual([...faster.stateDict().keys()].toSorted(), box.toSorted());
      }),
    ));
});

describe('Rcnn.loss', () => {
  const names = ['loss_box_reg', 'loss_classifier', 'loss_mask', 'loss_objectness', 'loss_rpn_box_reg'];

  test("has torchvision's terms", () =>
    scope(() => {
      const batch = batchOf([SQUARES]);
      assert.deepEqual(Object.keys(tinyDetector().loss(batch, [squareTargets(SQUARES)])).toSorted(), names);
      const faster = tinyDetector({ sets: FASTER_RCNN }).loss(batch, [squareTargets(SQUARES)]);
      assert.deepEqual(
        Object.keys(faster).toSorted(),
        names.filter((name) => name !== 'loss_mask'),
      );
    }));

  for (const [what, objects] of [
    ['only images without objects', [[], []]],
    ['one image with objects and one without', [[], SQUARES]],
  ] as const) {
    test(`is finite, and so are the gradients, for ${what}`, () =>
      scope(() => {
        // As it is trained, with weights in channels_last.
        const model = tinyDetector().to({ memoryFormat: 'channels_last' });
        const losses = model.loss(
          batchOf(objects),
          objects.map((boxes) => squareTargets(boxes)),
        );
        for (const [name, value] of Object.entries(values(losses))) assert.ok(Number.isFinite(value), name);
        totalLoss(losses).backward();
        for (const [name, parameter] of model.namedParameters())
          assert.ok(
            parameter.grad?.toNumbers().every(Number.isFinite),
            `${name} has ${parameter.grad ?? 'no gradient'}`,
          );
      }));
  }

  test('falls in 20 steps on one batch, every term of it finite', () => {
    const model = tinyDetector();
    const optimizer = new SGD(model.namedParameters(), { lr: 0.02, momentum: 0.9 });
    const history: number[] = [];
    let alive = 0;
    for (let step = 0; step < 20; step++) {
      scope(() => {
        const losses = model.loss(batchOf([SQUARES]), [squareTargets(SQUARES)]);
        const total = totalLoss(losses);
        history.push(total.item());
        total.backward();
      });
      optimizer.step();
      optimizer.zeroGrad();
      if (step === 1) alive = liveTensors();
    }
    assert.ok(history.every(Number.isFinite), history.join(' '));
    assert.ok(history.at(-1)! < history[0]! * 0.5, `from ${history[0]} to ${history.at(-1)}`);
    assert.equal(liveTensors(), alive, 'tensors alive after step 2 and after step 20');
  });

  test('comes out in float32 under bfloat16, near the one of float32', () =>
    scope(() => {
      const model = tinyDetector();
      const batch = batchOf([SQUARES]);
      const run = (body: (run: () => Losses) => Losses): Losses =>
        body(() => {
          manualSeed(5);
          return model.loss(batch, [squareTargets(SQUARES)]);
        });
      const single = run((losses) => losses());
      const half = run((losses) => autocast('bfloat16', losses));
      for (const [name, loss] of Object.entries(half)) {
        assert.equal(loss.dtype, 'float32', name);
        assertClose([loss.item()], [single[name]!.item()], { relative: 0.1, absolute: 0.05 });
      }
      totalLoss(half).backward();
      for (const [name, parameter] of model.namedParameters()) {
        assert.equal(parameter.grad?.dtype, 'float32', name);
        assert.ok(parameter.grad?.toNumbers().every(Number.isFinite), name);
      }
    }));
});

describe('Rcnn.predict', () => {
  /** Has seen the squares, so that its scores are not all alike. */
  let trained: Rcnn;
  before(() => {
    trained = tinyDetector({ sets: ['model.boxHead.scoreThreshold=0.02'] });
    const optimizer = new SGD(trained.namedParameters(), { lr: 0.005, momentum: 0.9 });
    for (let step = 0; step < 80; step++) {
      scope(() => totalLoss(trained.loss(batchOf([SQUARES]), [squareTargets(SQUARES)])).backward());
      optimizer.step();
      optimizer.zeroGrad();
    }
    trained.eval();
  });

  test('finds the objects that it was trained on, with masks as probabilities', () =>
    scope(() => {
      const [found] = trained.predict(batchOf([SQUARES]));
      const { boxes, labels, masks, scores } = plain(found!);
      assert.ok(labels.length > 0 && labels.length <= 10);
      assert.ok(labels.every((label) => label === 1 || label === 2));
      assert.ok(scores.every((score, i) => score > 0.02 && score <= (scores[i - 1] ?? 1)));
      boxes.forEach((side, i) => {
        assert.ok(side >= 0 && side <= (i % 2 === 0 ? WIDTH : HEIGHT));
      });
      assert.deepEqual(found!.masks!.shape, [labels.length, 28, 28]);
      assert.ok(masks!.every((probability) => probability >= 0 && probability <= 1));
    }));

  test('finds the same in a batch as in each image alone', () =>
    scope(() => {
      const objects = [SQUARES, SQUARES.slice(1), []];
      const all = batchOf(objects);
      const together = trained.predict(all).map(plain);
      const alone = objects.map((_, image) => {
        const one: Tensor = ops.narrow(all.pixels, 0, image, 1);
        return plain(trained.predict(unscaledBatch(one, [all.sizes[image]!]))[0]!);
      });
      assert.ok(together[0]!.labels.length > 0);
      for (const [image, found] of together.entries()) {
        assert.deepEqual(found.labels, alone[image]!.labels);
        assertClose(found.boxes, alone[image]!.boxes, { absolute: 1e-2 });
        assertClose(found.scores, alone[image]!.scores, { absolute: 1e-4 });
        assertClose(found.masks!, alone[image]!.masks!, { absolute: 1e-3 });
      }
    }));

  for (const memoryFormat of ['contiguous_format', 'channels_last'] as const) {
    test(`finds nothing, masks included, where no score passes (${memoryFormat})`, () =>
      scope(() => {
        const model = tinyDetector({ sets: ['model.boxHead.scoreThreshold=1'] })
          .to({ memoryFormat })
          .eval();
        const found = model.predict(batchOf([SQUARES, []]));
        for (const { boxes, scores, labels, masks } of found)
          assert.deepEqual([boxes.shape, scores.shape, labels.shape, masks!.shape], [[0, 4], [0], [0], [0, 28, 28]]);
      }));
  }

  test('gives no masks without a mask head', () =>
    scope(() => {
      const [found] = tinyDetector({ sets: FASTER_RCNN })
        .eval()
        .predict(batchOf([SQUARES]));
      assert.equal(found!.masks, undefined);
    }));

  test('runs in bfloat16 and gives float32', () =>
    scope(() => {
      const [found] = autocast('bfloat16', () => trained.predict(batchOf([SQUARES])));
      assert.deepEqual(
        [found!.boxes.dtype, found!.scores.dtype, found!.masks!.dtype],
        ['float32', 'float32', 'float32'],
      );
      assert.ok(found!.scores.length > 0);
    }));

  test('leaves no tensors behind', () => {
    const model = tinyDetector({ sets: ['model.boxHead.scoreThreshold=0'] }).eval();
    const predict = () => scope(() => void model.predict(batchOf([SQUARES])));
    predict();
    const alive = liveTensors();
    for (let time = 0; time < 5; time++) predict();
    assert.equal(liveTensors(), alive);
  });
});
