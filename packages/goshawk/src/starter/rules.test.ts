// The rules by what they promise, on facts of made-up data sets.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { parseConfig } from '../config/index.js';
import { packagedWeights } from '../infer/packaged-weights.js';
import type { DataFacts } from './data-facts.js';
import {
  chooseAnchors,
  chooseBoxCounts,
  chooseCopySize,
  chooseFlip,
  chooseFreezing,
  chooseLength,
  chooseLevels,
  chooseModel,
  chooseOptimization,
  choosePictureSize,
  chooseSize,
  chooseVariation,
  chooseWeights,
  fitPictureSize,
  type ModelKind,
  modelKinds,
  networkSizes,
  type Start,
  validationShare,
  widths,
} from './rules.js';
import { starterText } from './write-starter.js';

const photos: DataFacts = {
  pictures: 160,
  objects: 180,
  classes: ['owl'],
  rarest: { name: 'owl', objects: 180 },
  side: { low: 0.2, median: 0.4, high: 0.7 },
  smallestClass: 0.2,
  aspect: { low: 0.8, median: 1.2, high: 1.8 },
  longSide: { low: 400, median: 500, high: 600 },
  shortShare: 0.7,
  crowded: 2,
  masks: 0,
  keypoints: 0,
};
const random: Start = { kind: 'random' };
const frozen: Start = { kind: 'detector', model: 'mask_rcnn', norms: 'frozen' };
const twoCores = { processors: 2, device: 'cpu' } as const;

describe('a model', () => {
  test('is what the annotations can teach, unless another is asked for', () => {
    const chosen = (facts: Partial<DataFacts>) => chooseModel({ ...photos, ...facts }, { minutes: 10 }, random).value;
    assert.equal(chosen({}), 'faster_rcnn');
    assert.equal(chosen({ masks: 1 }), 'mask_rcnn');
    assert.equal(chosen({ masks: 0.5 }), 'faster_rcnn');
    assert.equal(chosen({ masks: 1, keypoints: 0.9 }), 'keypoint_rcnn');
    assert.equal(chooseModel(photos, { minutes: 10, model: 'retinanet' }, random).value, 'retinanet');
  });

  test('is that of the weights at the start', () => {
    assert.equal(chooseModel(photos, { minutes: 10 }, frozen).value, 'mask_rcnn');
  });

  test('is larger where there is more time or a card', () => {
    const size = (minutes: number, device: 'cpu' | 'cuda' = 'cpu') =>
      chooseSize({ minutes }, { processors: 2, device }, random).value;
    assert.deepEqual([size(10), size(300), size(10, 'cuda'), size(300, 'cuda')], ['tiny', 'small', 'small', 'full']);
  });
});

describe('nothing random is frozen', () => {
  test('neither stages nor norms, and weights that have learned keep theirs', () => {
    assert.deepEqual(chooseFreezing(random).value, { norm: 'batch', frozenStages: 0 });
    assert.equal(chooseFreezing({ kind: 'backbone' }).value.norm, 'frozen_batch');
  });

  test('batch norm that learns gets eight pictures a step, or four that are full of objects', () => {
    assert.equal(chooseOptimization(random, 'tiny', twoCores, photos).value.batchSize, 8);
    assert.equal(chooseOptimization(random, 'tiny', twoCores, { objects: 2000, pictures: 160 }).value.batchSize, 4);
    const learning: Start = { kind: 'detector', model: 'mask_rcnn', norms: 'learn' };
    assert.ok(chooseOptimization(learning, 'full', twoCores, photos).value.batchSize >= 8);
  });

  test('the tiny network starts from what comes with the package, unless random ones are asked for', () => {
    assert.equal(chooseWeights('tiny', false).value, 'shapes_resnet18_tiny');
    for (const { value } of [chooseWeights('tiny', true), chooseWeights('small', false), chooseWeights('full', false)])
      assert.equal(value, undefined);
    const [own] = packagedWeights;
    assert.deepEqual(own!.backbone, { depth: widths.tiny.depth, width: widths.tiny.width });
  });

  test('published weights go on with their own rate for the batch', () => {
    const { batchSize, lr, type } = chooseOptimization(frozen, 'full', twoCores, photos).value;
    assert.deepEqual([type, lr / batchSize], ['sgd', 0.0025 / 2]);
  });
});

describe('pictures', () => {
  test('are larger where objects are smaller', () => {
    const size = (low: number, median: number, smallestClass = low) =>
      choosePictureSize({ ...photos, side: { low, median, high: 0.5 }, smallestClass }, 'tiny').value;
    assert.ok(size(0.2, 0.4) < size(0.05, 0.1));
    assert.ok(size(0.05, 0.1) * 0.05 >= 12 || size(0.05, 0.1) === 384);
    // Few objects of a class of small ones, among many large ones.
    assert.equal(size(0.2, 0.4, 0.05), 256);
  });

  test('become smaller only where the time is too short, and larger where it is ample and the photos are', () => {
    const fit = (seconds: number, facts = photos) =>
      fitPictureSize(256, facts, random, { seconds, available: 600 }).value;
    assert.equal(fit(0.1), 256);
    assert.ok(fit(0.25) < 256);
    assert.equal(fit(10), 160);
    assert.equal(fit(0.02), 384);
    assert.equal(fit(0.02, { ...photos, longSide: { low: 200, median: 300, high: 400 } }), 256);
    assert.equal(fit(0.25, { ...photos, pictures: 15 }), 256, 'passes over few photos are many');
    assert.equal(fitPictureSize(512, photos, frozen, { seconds: 0.001, available: 600 }).value, 512);
  });

  test('are copied small where they are much larger than needed', () => {
    const copies = (median: number, pictures = 160) =>
      chooseCopySize({ ...photos, pictures, longSide: { low: 1, median, high: 1 } }, 192, { minutes: 10 })?.value;
    assert.equal(copies(300), undefined);
    assert.equal(copies(4000), 307);
    assert.equal(copies(4000, 50_000), undefined, 'each is shown once at most');
  });

  test('are not mirrored where names have sides or are signs', () => {
    const flip = (...classes: string[]) => chooseFlip({ ...photos, classes }).value;
    assert.equal(flip('owl', 'left wing'), 0);
    assert.equal(flip('0', '1'), 0);
    assert.equal(flip('turn_right'), 0);
    assert.equal(flip('owl', 'bright light', 'A380 plane'), 0.5);
  });

  test('differ in more than their colours where they are shown often', () => {
    assert.equal(chooseVariation(photos, 15 * photos.pictures).value, 'colours');
    assert.equal(chooseVariation(photos, 40 * photos.pictures).value, 'colours, parts and sizes');
  });

  test('of a fifth is kept for validation, and at most some hundred', () => {
    assert.equal(validationShare(160), 0.2);
    assert.ok(validationShare(10_000) * 10_000 <= 500);
  });
});

describe('levels', () => {
  const finest = (smallestClass: number, model: ModelKind = 'faster_rcnn', start: Start = random) =>
    chooseLevels({ ...photos, smallestClass }, 256, model, start).value.strides[0];

  test('leave out the finest where every class is large, boxes alone are learned, and nothing knows it yet', () => {
    assert.equal(finest(0.2), 8);
    assert.equal(finest(0.1), 4);
    assert.equal(finest(0.2, 'mask_rcnn'), 4);
    assert.equal(finest(0.2, 'retinanet'), 4);
    assert.equal(finest(0.2, 'faster_rcnn', { kind: 'backbone' }), 4);
  });
});

describe('anchors', () => {
  const everyLevel = chooseLevels({ ...photos, smallestClass: 0 }, 192, 'faster_rcnn', random).value;
  const side = fc.tuple(fc.double({ min: 0.01, max: 0.9, noNaN: true }), fc.double({ min: 1, max: 10, noNaN: true }));

  test('reach from the small objects to the large ones, and rise, on either choice of levels', () => {
    fc.assert(
      fc.property(side, fc.constantFrom(160, 256, 384), ([low, factor], size) => {
        const high = Math.min(1, low * factor);
        const facts = { ...photos, side: { low, median: low, high }, smallestClass: low };
        const levels = chooseLevels(facts, size, 'faster_rcnn', random).value;
        const { sizes } = chooseAnchors(facts, size, levels).value;
        assert.equal(sizes.length, levels.strides.length);
        const all = sizes.flat();
        assert.ok(all.every((one, i) => i === 0 || one >= all[i - 1]!));
        assert.ok(all[0]! <= Math.max(9, low * size) && all.at(-1)! >= high * size * 0.99);
      }),
    );
  });

  test('have the shapes of the boxes, near ones only once', () => {
    const ratios = (low: number, median: number, high: number) =>
      chooseAnchors({ ...photos, aspect: { low, median, high } }, 192, everyLevel).value.ratios;
    assert.deepEqual(ratios(0.5, 1, 2), [0.5, 1, 2]);
    assert.deepEqual(ratios(2, 3, 5), [2, 3, 5]);
    // Boxes of one shape: its neighbours too, of which one may fit an object better that lies between two anchors.
    assert.deepEqual(ratios(0.95, 1, 1.1), [0.74, 1, 1.4]);
  });

  test('and proposals suffice for the fullest pictures', () => {
    for (const crowded of [1, 30, 200]) {
      const { proposals, detections } = chooseBoxCounts({ ...photos, crowded });
      assert.ok(detections >= crowded * 1.9 && proposals >= detections * 0.5);
    }
  });
});

describe('a length', () => {
  const facts = (pictures: number) => ({ ...photos, pictures });

  test('fills the time with steps and a few evaluations', () => {
    const time = { step: 0.25, evaluation: 4, available: 600 };
    const { iterations, evaluateEvery, warmupIterations } = chooseLength(facts(160), 8, time).value;
    const evaluations = Math.ceil(iterations / evaluateEvery);
    const spent = iterations * time.step + evaluations * time.evaluation;
    assert.ok(spent > 550 && spent <= 600, `${spent} s`);
    assert.ok(warmupIterations < iterations / 10);
  });

  test('evaluates at the end alone where that takes long, and has a least number of steps', () => {
    assert.equal(chooseLength(facts(160), 8, { step: 0.25, evaluation: 100, available: 600 }).value.evaluateEvery, 0);
    const slow = chooseLength(facts(160), 8, { step: 9, evaluation: 1, available: 60 });
    assert.equal(slow.value.iterations, 50);
    assert.match(slow.why, /every picture is shown 0\.3 times$/);
  });
});

test('every combination of choices is a valid config that keeps its reasons as comments', () => {
  const starts: readonly Start[] = [random, { kind: 'backbone' }];
  for (const model of modelKinds)
    for (const size of networkSizes)
      for (const start of starts) {
        const pictureSize = choosePictureSize(photos, size);
        const text = starterText(
          {
            facts: photos,
            splits: { value: { train: { annotations: 'a' }, val: { annotations: 'b' } }, why: 'drawn' },
            model: { value: model, why: 'asked for' },
            size: { value: size, why: 'asked for' },
            freezing: chooseFreezing(start),
            pictureSize,
            levels: chooseLevels(photos, pictureSize.value, model, start),
            optimization: chooseOptimization(start, size, twoCores, photos),
            ...(size === 'tiny' && { weights: { value: 'shapes_resnet18_tiny', why: 'they come along' } }),
            precision: { value: 'bf16', why: 'measured' },
            length: chooseLength(photos, 8, { step: 0.2, evaluation: 2, available: 600 }),
            minutes: { value: 10, why: 'asked for' },
            workers: 1,
            device: 'cpu',
            ...(start.kind === 'backbone' && { knownBackbone: { depth: 50, weights: 'resnet50.pth' } }),
          },
          'Made in a test.',
        );
        const config = parseConfig(text, { file: 'made' });
        assert.equal(config.model.type, model);
        assert.equal(config.preprocess.resize.maxSize, pictureSize.value);
        assert.match(text, /^# Made in a test\./);
        assert.ok(text.includes(`# ${pictureSize.why}`));
      }
});
