import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import {
  type Category,
  type Detection,
  flipImageInPlace,
  InputError,
  type RgbImage,
  resizeOpenCv,
} from '@goshawk/core';
import { liveTensors, manualSeed, noGrad, ops, scope, setThreads, type Tensor, tensor } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { buildModel, type Detections, detectorKind, type Rcnn } from '../models/index.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { combineHeatmaps, combineMasks, unflipHeatmaps } from './combine-maps.js';
import { furtherViews, openView } from './image-views.js';
import { Predictor, predictorOptions } from './predictor.js';
import { detectAugmented } from './test-time-augmentation.js';

const WIDTH = 90;
const HEIGHT = 60;

/** A picture without symmetry. */
function picture(width = WIDTH, height = HEIGHT): RgbImage {
  const data = new Uint8Array(width * height * 3);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      const inside = x > 20 && x < 50 && y > 10 && y < 45;
      data.set([inside ? 220 : (x * 2) % 256, inside ? 40 : (y * 3) % 256, (x * y) % 256], (y * width + x) * 3);
    }
  }
  return { width, height, data };
}

function mirrored(image: RgbImage): RgbImage {
  const own = { ...image, data: image.data.slice() };
  flipImageInPlace(own);
  return own;
}

const KEYPOINTS = [
  'model.type=keypoint_rcnn',
  'model.maskHead=null',
  'model.keypointHead.channels=[8]',
  'model.boxHead.scoreThreshold=0.2',
];
const NAMES = ['nose', 'left_eye', 'right_eye'];
const categories = [
  { id: 4, name: 'a', keypoints: NAMES },
  { id: 8, name: 'b' },
];
const augmenting = (text: string) =>
  text
    .trim()
    .split(' ')
    .map((part) => `inference.augment.${part}`);

function predictorWith(sets: readonly string[]): Predictor {
  const config = tinyConfig(['model.boxHead.scoreThreshold=0.3', ...sets]);
  return new Predictor({ model: tinyDetector({ sets }), categories, ...predictorOptions(config) });
}

/** x, y, width, height of a mirrored picture's box in the picture. */
const unmirror = ({ bbox, ...rest }: Detection, width = WIDTH): Detection => {
  const [x, y, w, h] = bbox!;
  return { ...rest, bbox: [width - x - w, y, w, h] as unknown as Detection['bbox'] };
};

function closeDetections(got: readonly Detection[], wanted: readonly Detection[]): void {
  assert.equal(got.length, wanted.length);
  // Nearly equal scores may come in either order.
  const sorted = (list: readonly Detection[]) =>
    [...list].sort(
      (a, b) =>
        a.categoryId - b.categoryId ||
        Math.round((b.score - a.score) * 1e5) ||
        a.bbox![0] - b.bbox![0] ||
        a.bbox![1] - b.bbox![1],
    );
  sorted(got).forEach((detection, i) => {
    const other = sorted(wanted)[i]!;
    assert.equal(detection.categoryId, other.categoryId);
    assert.ok(Math.abs(detection.score - other.score) < 1e-6, `${detection.score}, ${other.score}`);
    detection.bbox!.forEach((value, side) => {
      assert.ok(Math.abs(value - other.bbox![side]!) < 5e-5, `${detection.bbox} ${other.bbox}`);
    });
  });
}

describe('views of a picture', () => {
  test('come in the order mirrored, scales, aspect ratios', () => {
    const views = furtherViews(
      { flip: true, scales: [40, 80], maxSize: 200, scaleFlip: true, aspectRatios: [0.5], aspectRatioFlip: false },
      tinyConfig().preprocess.resize,
    );
    assert.deepEqual(
      views.map(({ flip, minSize, maxSize, aspectRatio }) => [flip, minSize, maxSize, aspectRatio]),
      [
        [true, 64, 96, 1],
        [false, 40, 200, 1],
        [true, 40, 200, 1],
        [false, 80, 200, 1],
        [true, 80, 200, 1],
        [false, 64, 96, 0.5],
      ],
    );
  });
  test('mirror boxes about the middle, or about the middle of the last pixels', () =>
    scope(() => {
      const { preprocess } = tinyConfig(['preprocess.resize.rule=none']);
      const view = { flip: true, aspectRatio: 1, minSize: 64, maxSize: 96 };
      const box = tensor([[0, 10, 20, 30]]);
      const mirror = (boxes: 'continuous' | 'inclusive') =>
        openView(picture(), view, { preprocess, boxes }).toPicture(box, 'image').toNumbers();
      assert.deepEqual(mirror('continuous'), [70, 10, 90, 30]);
      assert.deepEqual(mirror('inclusive'), [69, 10, 89, 30]);
    }));
  test('take boxes there and back', () =>
    scope(() => {
      const { preprocess } = tinyConfig();
      const box = tensor([[3, 10, 47, 33]]);
      for (const boxes of ['continuous', 'inclusive'] as const) {
        for (const flip of [false, true]) {
          const view = openView(
            picture(),
            { flip, aspectRatio: 1.3, minSize: 50, maxSize: 300 },
            { preprocess, boxes },
          );
          const back = view.toPicture(view.toNetwork(box), 'network').toNumbers();
          box.toNumbers().forEach((value, i) => {
            assert.ok(Math.abs(back[i]! - value) < 2e-5, `${back}`);
          });
        }
      }
    }));
});

describe('maps of several views', () => {
  const probabilities = () => [tensor([[[0.25, 1]]]), tensor([[[0.75, 0]]])];
  const numbers = (maps: Tensor) => maps.toNumbers();

  test('are averaged as probabilities or logits, or the largest is taken', () =>
    scope(() => {
      const views = probabilities().map((maps) => ({ maps }));
      assert.deepEqual(numbers(combineMasks(views, 'soft_avg')), [0.5, 0.5]);
      assert.deepEqual(numbers(combineMasks(views, 'soft_max')), [0.75, 1]);
      // logit(1/4) = -logit(3/4); a certain 1 outweighs the bounded logit of 0.
      const [first, second] = numbers(combineMasks(views, 'logit_avg'));
      assert.ok(Math.abs(first! - 0.5) < 1e-6);
      assert.equal(second, 1);
      assert.deepEqual(numbers(combineHeatmaps(views, 'hm_avg')), [0.5, 0.5]);
      assert.deepEqual(numbers(combineHeatmaps(views, 'hm_max')), [0.75, 1]);
    }));
  test('count for the boxes that they fit alone', () =>
    scope(() => {
      const views = [{ maps: tensor([[[2]], [[4]]]) }, { maps: tensor([[[8]], [[-6]]]), counts: [false, true] }];
      assert.deepEqual(numbers(combineHeatmaps(views, 'hm_avg')), [2, -1]);
      assert.deepEqual(numbers(combineHeatmaps(views, 'hm_max')), [2, 4]);
    }));
  test('of a box that a view does not fit are not asked, however sure that view is', () =>
    scope(() => {
      // Of the second box alone.
      const maps = tensor([[[0.25, 0.75]], [[0, 1]]]);
      const sure = { maps: tensor([[[0, 1]], [[0, 1]]]), counts: [false, true] };
      for (const heuristic of ['soft_avg', 'soft_max', 'logit_avg'] as const) {
        const [low, high, ...others] = numbers(combineMasks([{ maps }, sure], heuristic));
        assert.ok(Math.abs(low! - 0.25) < 1e-6 && Math.abs(high! - 0.75) < 1e-6, `${heuristic}: ${low}, ${high}`);
        assert.ok(others[0]! < 1e-6 && others[1] === 1, `${heuristic}: ${others}`);
      }
    }));
  test('of a mirrored picture are turned back, left becoming right', () =>
    scope(() => {
      const heatmaps = tensor([[[[1, 2]], [[3, 4]], [[5, 6]]]]);
      assert.deepEqual(numbers(unflipHeatmaps(heatmaps, [0, 2, 1])), [2, 1, 6, 5, 4, 3]);
    }));
});

describe('test-time augmentation of RetinaNet', () => {
  before(() => setThreads(1));

  const RETINANET = `model:
  type: retinanet
  backbone: { depth: 18, width: 8, frozenStages: 0 }
  neck: { channels: 16 }
  anchors: { octaveBaseScale: 1, scalesPerOctave: 1 }
  head: { convolutions: 1, prior: 0.3, scoreThreshold: 0.3, nmsThreshold: 1, maxDetections: 10000 }
preprocess: { resize: { minSize: 64, maxSize: 100 } }`;
  const predictor = (conventions: string, sets: readonly string[] = []): Predictor => {
    const config = parseConfig(RETINANET, { file: 'retinanet', sets: [`model.conventions=${conventions}`, ...sets] });
    manualSeed(5);
    const model = buildModel(config.model, { classes: 2 }).eval();
    noGrad(() => {
      // Untrained scores lie too close together to tell candidates apart.
      for (const [name, parameter] of model.namedParameters())
        if (name === 'head.classification_head.cls_logits.weight') ops.mul_(parameter, 20);
    });
    return new Predictor({ model, categories, ...predictorOptions(config) });
  };
  const views = augmenting(
    'boxes.enabled=true boxes.flip=true boxes.scales=[80] boxes.maxSize=120 boxes.scaleFlip=true',
  );

  test('lets the boxes of all views compete', () => {
    const [got] = predictor('torchvision', views).predict([picture()]);
    const plain = predictor('torchvision');
    const larger = predictor('torchvision', ['preprocess.resize.minSize=80', 'preprocess.resize.maxSize=120']);
    const wanted = [plain, larger].flatMap((each) => [
      ...each.predict([picture()])[0]!,
      ...each.predict([mirrored(picture())])[0]!.map((found) => unmirror(found)),
    ]);
    assert.ok(wanted.length > 50, `${wanted.length}`);
    closeDetections(got!, wanted);
  });

  test('leaves to a larger view what is small', () => {
    const sizeDependent = augmenting(
      'boxes.enabled=true boxes.scales=[80] boxes.maxSize=120 boxes.sizeDependent=true boxes.largeArea=400',
    );
    const [got] = predictor('torchvision', sizeDependent).predict([picture()]);
    const larger = predictor('torchvision', ['preprocess.resize.minSize=80', 'preprocess.resize.maxSize=120']);
    const wanted = [
      ...predictor('torchvision').predict([picture()])[0]!,
      ...larger.predict([picture()])[0]!.filter(({ bbox }) => bbox![2] * bbox![3] < 400),
    ];
    assert.ok(wanted.length > 20, `${wanted.length}`);
    closeDetections(got!, wanted);
  });

  test('says the same of a picture and its mirror image, also where the last pixel counts', () => {
    for (const conventions of ['torchvision', 'mmdetection']) {
      const both = predictor(conventions, [
        ...augmenting('boxes.enabled=true boxes.flip=true'),
        'model.head.nmsThreshold=0.5',
      ]);
      const [own] = both.predict([picture()]);
      const [other] = both.predict([mirrored(picture())]);
      assert.ok(own!.length > 5, `${own!.length}`);
      const edge = conventions === 'mmdetection' ? 1 : 0;
      closeDetections(
        other!.map((found) => unmirror(found, WIDTH - edge)),
        own!,
      );
    }
  });

  test('is refused where the views would have to share boxes', () => {
    assert.throws(
      () => predictor('torchvision', augmenting('boxes.enabled=true boxes.scores=average boxes.coordinates=average')),
      /inference\.augment\.boxes\.scores: is average, but RetinaNet gives every view boxes of its own/,
    );
  });
});

describe('test-time augmentation', () => {
  before(() => setThreads(1));

  test('mirrors keypoints by the pairs that a checkpoint remembers; a point of one side needs them', () => {
    const sets = [
      ...KEYPOINTS,
      ...augmenting('boxes.enabled=true boxes.flip=true keypoints.enabled=true keypoints.flip=true'),
    ];
    const config = tinyConfig(sets);
    const predict = (category: Partial<Category>) => {
      const own = [
        { id: 4, name: 'a', ...category },
        { id: 8, name: 'b' },
      ];
      const predictor = new Predictor({ model: tinyDetector({ sets }), categories: own, ...predictorOptions(config) });
      return predictor.predict([picture()])[0]!.map(({ keypoints }) => keypoints);
    };
    const byNames = predict({ keypoints: NAMES });
    assert.ok(byNames.length > 0);
    assert.deepEqual(predict({ keypoints: ['a', 'b', 'c'], flipPairs: [[1, 2]] }), byNames);
    assert.notDeepEqual(predict({ keypoints: ['a', 'b', 'c'] }), byNames);
    const oneSided = { keypoints: ['left_tip', 'b', 'c'] };
    assert.throws(() => predict(oneSided), /augment\.keypoints\.flip: keypoint "left_tip" has no counterpart/);
    assert.equal(predict({ ...oneSided, flipPairs: [] }).length, byNames.length);
  });

  for (const conventions of ['torchvision', 'detectron'] as const) {
    const base = [`model.conventions=${conventions}`];
    // Nothing is suppressed and nothing cut off: then the union is what the views say one after the other.
    const all = [
      ...base,
      'model.boxHead.nmsThreshold=1',
      'model.boxHead.maxDetections=10000',
      'model.boxHead.scoreThreshold=0.1',
    ];
    // Detectron's boxes overlap themselves by exactly the threshold of 1 and are then dropped.
    const isExact = conventions === 'torchvision';

    test(`without further views changes nothing (${conventions})`, () => {
      const [plain] = predictorWith(base).predict([picture()]);
      const [augmented] = predictorWith([...base, ...augmenting('boxes.enabled=true masks.enabled=true')]).predict([
        picture(),
      ]);
      assert.ok(plain!.length > 0);
      closeDetections(augmented!, plain!);
    });
    if (isExact)
      test(`lets the boxes of all views compete (${conventions})`, () => {
        const sets = augmenting(
          'boxes.enabled=true boxes.flip=true boxes.scales=[80] boxes.maxSize=120 boxes.scaleFlip=true boxes.aspectRatios=[1.5]',
        );
        const [got] = predictorWith([...all, ...sets]).predict([picture()]);
        const plain = predictorWith(all);
        const larger = predictorWith([...all, 'preprocess.resize.minSize=80', 'preprocess.resize.maxSize=120']);
        const wide = resizeOpenCv(picture(), 135, HEIGHT);
        const wanted = [
          ...plain.predict([picture()])[0]!,
          ...plain.predict([mirrored(picture())])[0]!.map((found) => unmirror(found)),
          ...larger.predict([picture()])[0]!,
          ...larger.predict([mirrored(picture())])[0]!.map((found) => unmirror(found)),
          ...plain.predict([wide])[0]!.map((found): Detection => {
            const [x, y, w, h] = found.bbox!;
            return { ...found, bbox: [x / 1.5, y, w / 1.5, h] as unknown as Detection['bbox'] };
          }),
        ];
        assert.ok(wanted.length > 50, `${wanted.length}`);
        closeDetections(got!, wanted);
      });
    test(`with mirroring says the same of a picture and its mirror image (${conventions})`, () => {
      const options = detectOptions([
        ...base,
        ...augmenting('boxes.enabled=true boxes.flip=true masks.enabled=true masks.flip=true'),
      ]);
      const model = tinyDetector({ sets: [...base, 'model.boxHead.scoreThreshold=0.3'] });
      model.eval();
      scope(() => {
        const found = detectAugmented(model, picture(), options);
        const other = detectAugmented(model, mirrored(picture()), options);
        const edge = options.boxes === 'inclusive' ? 1 : 0;
        const corners = found.boxes.toNumbers();
        const otherCorners = other.boxes.toNumbers();
        assert.ok(found.scores.size(0) > 0);
        assert.equal(found.scores.size(0), other.scores.size(0));
        for (let i = 0; i < found.scores.size(0); i++) {
          const [x1 = 0, y1 = 0, x2 = 0, y2 = 0] = corners.slice(i * 4, i * 4 + 4);
          const wanted = [WIDTH - edge - x2, y1, WIDTH - edge - x1, y2];
          wanted.forEach((value, side) => {
            assert.ok(Math.abs(otherCorners[i * 4 + side]! - value) < 3e-5, `box ${i}`);
          });
        }
        const difference = ops.sub(ops.flip(found.masks!, [2]), other.masks!);
        assert.ok(ops.max(ops.abs(difference)).item() < 1e-5);
      });
    });
  }

  test('with mirroring exchanges left and right keypoints', () => {
    const sets = [
      ...KEYPOINTS,
      ...augmenting('keypoints.enabled=true keypoints.flip=true boxes.enabled=true boxes.flip=true'),
    ];
    const model = tinyDetector({ sets: KEYPOINTS, keypoints: NAMES.length });
    model.eval();
    const options = { ...detectOptions(sets), keypointFlipOrder: [0, 2, 1] };
    scope(() => {
      const found = keypointsOf(detectAugmented(model, picture(), options));
      const other = keypointsOf(detectAugmented(model, mirrored(picture()), options));
      assert.ok(found.length > 0);
      found.forEach((points, i) => {
        [0, 2, 1].forEach((opposite, point) => {
          const [x = 0, y = 0, logit = 0] = points[point]!;
          const [otherX = 0, otherY = 0, otherLogit = 0] = other[i]![opposite]!;
          assert.ok(
            Math.abs(WIDTH - x - otherX) < 3e-5 && Math.abs(y - otherY) < 3e-5,
            `${x} ${otherX} ${y} ${otherY}`,
          );
          assert.ok(Math.abs(logit - otherLogit) < 3e-5);
        });
      });
    });
  });
  test('leaves small objects out of smaller views and large ones out of larger ones', () => {
    const every = [
      'model.boxHead.nmsThreshold=1',
      'model.boxHead.maxDetections=10000',
      'model.boxHead.scoreThreshold=0.1',
    ];
    const run = (sets: string) =>
      predictorWith([...every, ...augmenting(`boxes.enabled=true ${sets}`)]).predict([picture()])[0]!;
    const areas = (found: readonly Detection[]) => found.map(({ bbox }) => bbox![2] * bbox![3]).sort((a, b) => a - b);
    const plain = areas(run(''));
    for (const [scale, limit] of [
      [48, 'smallArea'],
      [80, 'largeArea'],
    ] as const) {
      const free = areas(run(`boxes.scales=[${scale}]`));
      // Half of what the view sees lies above this.
      const own = areas(
        predictorWith([...every, `preprocess.resize.minSize=${scale}`, 'preprocess.resize.maxSize=4000']).predict([
          picture(),
        ])[0]!,
      );
      const middle = Math.round(own[Math.floor(own.length / 2)]!) + 0.5;
      const fitting = areas(run(`boxes.scales=[${scale}] boxes.sizeDependent=true boxes.${limit}=${middle}`));
      const isFit = (area: number) => (scale === 48 ? area >= middle : area < middle);
      assert.equal(free.length, plain.length + own.length);
      assert.equal(fitting.length, plain.length + own.filter(isFit).length);
      assert.ok(fitting.length > plain.length && fitting.length < free.length);
    }
  });
  test('averages masks of scales', () => {
    const options = detectOptions(augmenting('masks.enabled=true masks.scales=[80]'));
    const model = tinyDetector({ sets: ['model.boxHead.scoreThreshold=0.3'] });
    model.eval();
    const masksAt = (sets: readonly string[]) => detectAugmented(model, picture(), detectOptions(sets)).masks!;
    scope(() => {
      const both = detectAugmented(model, picture(), options).masks!;
      const one = masksAt([]);
      const largest = masksAt(augmenting('masks.enabled=true masks.scales=[80] masks.heuristic=soft_max'));
      const other = ops.sub(ops.mul(both, 2), one);
      assert.ok(ops.max(ops.abs(ops.sub(other, one))).item() > 1e-3, 'the views differ');
      assert.ok(ops.max(ops.abs(ops.sub(ops.maximum(one, other), largest))).item() < 1e-6);
    });
  });
  test('averages scores and corners of stored proposals over the views', () => {
    const stored = ['model.type=faster_rcnn', 'model.maskHead=null', 'model.proposals=stored'];
    const model = tinyDetector({ sets: [...stored, 'model.boxHead.scoreThreshold=0'] });
    model.eval();
    const proposals = Float32Array.of(2, 3, 40, 50, 30, 10, 80, 55);
    const candidates = (image: RgbImage, boxes: Float32Array) => {
      const { preprocess } = tinyConfig();
      const identity = { flip: false, aspectRatio: 1, ...preprocess.resize };
      const view = openView(image, identity, { preprocess, boxes: 'continuous', proposals: boxes });
      const [found] = model.candidates(view.batch, model.features(view.batch));
      return { scores: found!.scores.toNumbers(), boxes: view.toPicture(found!.boxes, 'network').toNumbers() };
    };
    scope(() => {
      const sets = augmenting('boxes.enabled=true boxes.flip=true boxes.scores=average boxes.coordinates=identity');
      const options = { ...detectOptions([...stored, ...sets]), proposals };
      const found = detectAugmented(model, picture(), options);
      const one = candidates(picture(), proposals);
      const other = candidates(mirrored(picture()), Float32Array.of(50, 3, 88, 50, 10, 10, 60, 55));
      const means = one.scores.map((score, i) => (score + other.scores[i]!) / 2);
      const [best] = found.scores.toNumbers();
      assert.ok(Math.abs(best! - Math.max(...means)) < 1e-6);
      const at = means.indexOf(Math.max(...means));
      one.boxes.slice(at * 4, at * 4 + 4).forEach((value, side) => {
        assert.ok(Math.abs(found.boxes.toNumbers()[side]! - value) < 3e-5);
      });
    });
  });
  test('is refused where it cannot be done', () => {
    const refuse = (sets: readonly string[], message: RegExp): void =>
      assert.throws(
        () => {
          const config = tinyConfig(sets);
          const model = tinyDetector({ sets }) as Rcnn;
          new Predictor({
            model,
            categories: [
              { id: 1, name: 'a' },
              { id: 2, name: 'b' },
            ],
            ...predictorOptions(config),
          });
        },
        (error) => error instanceof InputError && message.test(error.message),
      );
    const boxes = augmenting('boxes.enabled=true');
    refuse(
      [...boxes, ...augmenting('boxes.scores=average boxes.coordinates=average')],
      /augment\.boxes\.scores: is average/,
    );
    refuse(
      [...boxes, ...augmenting('boxes.scales=[80]'), 'preprocess.resize.rule=none'],
      /augment\.boxes\.scales: has no effect/,
    );
    refuse([...KEYPOINTS, ...augmenting('keypoints.enabled=true keypoints.flip=true')], /left and right are unknown/);
    assert.throws(() => tinyConfig(augmenting('boxes.scores=average')), /union goes with scores: union only/);
  });
  test('leaves no tensors behind', () => {
    const predictor = predictorWith(
      augmenting('boxes.enabled=true boxes.flip=true boxes.scales=[80] masks.enabled=true masks.flip=true'),
    );
    predictor.predict([picture()]);
    const alive = liveTensors();
    predictor.predict([picture()]);
    assert.equal(liveTensors(), alive);
  });
});

function detectOptions(sets: readonly string[]) {
  const config = tinyConfig(sets);
  return {
    augment: config.inference.augment,
    preprocess: config.preprocess,
    boxes: detectorKind(config.model).boxes,
  };
}

/** x, y, logit, probability of each keypoint of each detection. */
function keypointsOf({ keypoints }: Detections): number[][][] {
  const [count = 0, points = 0] = keypoints!.shape;
  const values = keypoints!.toNumbers();
  return Array.from({ length: count }, (_, i) =>
    Array.from({ length: points }, (__, k) => values.slice((i * points + k) * 4, (i * points + k) * 4 + 4)),
  );
}
