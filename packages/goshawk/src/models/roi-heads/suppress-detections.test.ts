import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { liveTensors, scope, tensor } from '@goshawk/torch';
import fc from 'fast-check';
import { type BoxVotingOptions, boxVoting } from './box-voting.js';
import { type SoftNmsOptions, softNms } from './soft-nms.js';
import { type SuppressionOptions, suppressDetections } from './suppress-detections.js';

type Corners = readonly [number, number, number, number];
interface Scored {
  readonly box: Corners;
  readonly score: number;
}

// Plain float64 forms of the definitions, to which the code is compared.

function iou(a: Corners, b: Corners, edge: number): number {
  const area = (x1: number, y1: number, x2: number, y2: number): number =>
    Math.max(0, x2 - x1 + edge) * Math.max(0, y2 - y1 + edge);
  const shared = area(Math.max(a[0], b[0]), Math.max(a[1], b[1]), Math.min(a[2], b[2]), Math.min(a[3], b[3]));
  return shared === 0 ? 0 : shared / (area(...a) + area(...b) - shared);
}

/** Bodla et al. 2017, figure 3: take the best of what is left, lower the others, drop those that fell too far. */
function plainSoftNms(found: readonly Scored[], options: SoftNmsOptions): { index: number; score: number }[] {
  const edge = options.convention === 'inclusive' ? 1 : 0;
  let left = found.map(({ box, score }, index) => ({ box, score, index }));
  const kept: { index: number; score: number }[] = [];
  while (left.length > 0) {
    const best = left.reduce((a, b) => (b.score > a.score ? b : a));
    kept.push({ index: best.index, score: best.score });
    left = left
      .filter((other) => other !== best)
      .flatMap((other) => {
        const overlap = iou(best.box, other.box, edge);
        if (overlap === 0) return [other];
        const linear = overlap > options.threshold ? 1 - overlap : 1;
        const hard = overlap > options.threshold ? 0 : 1;
        const factor = { linear, hard, gaussian: Math.exp(-(overlap ** 2) / options.sigma) }[options.method];
        const score = other.score * factor;
        return score < options.minScore ? [] : [{ ...other, score }];
      });
  }
  return kept;
}

/** Detectron, utils/boxes.py, box_voting, with its softmax of log(P / P_max) / beta written out. */
function plainVoting(kept: readonly Scored[], all: readonly Scored[], options: BoxVotingOptions): Scored[] {
  const edge = options.convention === 'inclusive' ? 1 : 0;
  const mean = (values: readonly number[]) => values.reduce((a, b) => a + b, 0) / values.length;
  const average = (values: readonly number[], weights: readonly number[]) =>
    values.reduce((sum, value, i) => sum + value * weights[i]!, 0) / weights.reduce((a, b) => a + b, 0);
  return kept.map(({ box, score }) => {
    const voters = all.filter((other) => iou(box, other.box, edge) >= options.threshold);
    const scores = voters.map((voter) => voter.score);
    const side = (i: 0 | 1 | 2 | 3) =>
      average(
        voters.map((voter) => voter.box[i]),
        scores,
      );
    const tempered = scores.map((s) => {
      const largest = Math.max(s, 1 - s);
      const [yes, no] = [s, 1 - s].map((p) => Math.exp(Math.log(p / largest) / options.beta)) as [number, number];
      return yes / (yes + no);
    });
    const overlaps = voters.map((voter) => iou(box, voter.box, edge));
    const newScore = {
      id: score,
      temp_avg: mean(tempered),
      avg: mean(scores),
      iou_avg: average(scores, overlaps),
      generalized_avg: mean(scores.map((s) => s ** options.beta)) ** (1 / options.beta),
      quasi_sum: scores.reduce((a, b) => a + b, 0) / scores.length ** options.beta,
    }[options.scoring];
    return { box: [side(0), side(1), side(2), side(3)], score: newScore };
  });
}

const flat = (found: readonly Scored[]) => ({
  boxes: Float32Array.from(found.flatMap(({ box }) => box)),
  scores: Float32Array.from(found, ({ score }) => score),
});

/** Boxes crowded enough to overlap; scores all different, so that the order is not a matter of rounding. */
const crowd = fc
  .uniqueArray(
    fc.record({
      x: fc.integer({ min: 0, max: 40 }),
      y: fc.integer({ min: 0, max: 40 }),
      width: fc.integer({ min: 1, max: 40 }),
      height: fc.integer({ min: 1, max: 40 }),
      rank: fc.integer({ min: 1, max: 1023 }),
    }),
    { selector: ({ rank }) => rank, maxLength: 30 },
  )
  .map((items) =>
    items.map(({ x, y, width, height, rank }): Scored => ({ box: [x, y, x + width, y + height], score: rank / 1024 })),
  );
const convention = fc.constantFrom('continuous' as const, 'inclusive' as const);
const softOptions = fc.record({
  method: fc.constantFrom('linear' as const, 'gaussian' as const, 'hard' as const),
  sigma: fc.constantFrom(0.3, 0.5, 1),
  threshold: fc.constantFrom(0, 0.31, 0.5, 0.71),
  minScore: fc.constantFrom(1e-4, 0.0503, 0.203),
  convention,
});

const close = (got: number, wanted: number, what: string, tolerance = 2e-7) =>
  assert.ok(Math.abs(got - wanted) <= tolerance * Math.max(1, Math.abs(wanted)), `${what}: ${got}, expected ${wanted}`);

describe('softNms', () => {
  const linear: SoftNmsOptions = {
    method: 'linear',
    sigma: 0.5,
    threshold: 0.3,
    minScore: 1e-4,
    convention: 'continuous',
  };
  // The second covers half of the first (IoU 1/2), the third lies apart.
  const three: Scored[] = [
    { box: [0, 0, 10, 10], score: 0.75 },
    { box: [0, 0, 10, 5], score: 0.5 },
    { box: [20, 20, 30, 30], score: 0.375 },
  ];
  const run = (options: SoftNmsOptions, found = three) => {
    const { boxes, scores } = flat(found);
    const result = softNms(boxes, scores, options);
    return [...result.indices].map((index, i) => [index, result.scores[i]!] as const);
  };

  test('linear: an overlapping box keeps 1 - IoU of its score and takes its new place', () => {
    assert.deepEqual(run(linear), [
      [0, 0.75],
      [2, 0.375],
      [1, 0.25],
    ]);
  });
  test('linear: an IoU of exactly the threshold costs nothing', () => {
    assert.deepEqual(
      run({ ...linear, threshold: 0.5 }).map(([, score]) => score),
      [0.75, 0.5, 0.375],
    );
  });
  test('gaussian: exp(-IoU^2 / sigma)', () => {
    const found = run({ ...linear, method: 'gaussian' });
    assert.deepEqual(
      found.map(([index]) => index),
      [0, 2, 1],
    );
    close(found[2]![1], 0.5 * Math.exp(-0.5), 'score');
  });
  test('hard: the worse of two is dropped', () => {
    assert.deepEqual(run({ ...linear, method: 'hard' }), [
      [0, 0.75],
      [2, 0.375],
    ]);
  });
  test('a box that falls below the least score is dropped, one that stands apart is not', () => {
    assert.deepEqual(
      run({ ...linear, minScore: 0.38 }).map(([index]) => index),
      [0, 2],
    );
  });
  test('the last pixel belongs to inclusive boxes', () => {
    // [0, 9] has 10 pixels, [0, 4] has 5.
    const found: Scored[] = [
      { box: [0, 0, 9, 9], score: 0.75 },
      { box: [0, 0, 9, 4], score: 0.5 },
    ];
    assert.equal(run({ ...linear, convention: 'inclusive' }, found)[1]![1], 0.25);
  });
  test('of equal scores the first goes first', () => {
    const found: Scored[] = [
      { box: [0, 0, 1, 1], score: 0.5 },
      { box: [4, 4, 5, 5], score: 0.5 },
      { box: [8, 8, 9, 9], score: 0.5 },
    ];
    assert.deepEqual(
      run(linear, found).map(([index]) => index),
      [0, 1, 2],
    );
  });
  test('nothing gives nothing', () => assert.deepEqual(run(linear, []), []));
  test('is the plain algorithm on any boxes', () => {
    fc.assert(
      fc.property(crowd, softOptions, (found, options) => {
        const wanted = plainSoftNms(found, options);
        // Where two decayed scores nearly meet, or one meets the least score, float32 may decide otherwise.
        const values = wanted.map(({ score }) => score).sort((a, b) => a - b);
        fc.pre(values.every((value, i) => i === 0 || value - values[i - 1]! > 1e-6));
        const { boxes, scores } = flat(found);
        const got = softNms(boxes, scores, options);
        assert.deepEqual(
          [...got.indices],
          wanted.map(({ index }) => index),
        );
        wanted.forEach(({ score }, i) => {
          close(got.scores[i]!, score, `score ${i}`);
        });
      }),
      { numRuns: 300 },
    );
  });
});

describe('boxVoting', () => {
  const options: BoxVotingOptions = { threshold: 0.5, scoring: 'id', beta: 1, convention: 'continuous' };
  const all: Scored[] = [
    { box: [0, 0, 10, 10], score: 0.75 },
    { box: [0, 0, 10, 6], score: 0.25 },
    { box: [0, 0, 10, 4], score: 0.5 },
  ];
  const vote = (scoring: BoxVotingOptions['scoring'], beta = 1) => {
    const got = boxVoting(flat(all.slice(0, 1)), flat(all), { ...options, scoring, beta });
    return { box: [...got.boxes], score: got.scores[0]! };
  };

  test('a box becomes the mean of those around it, weighted by their scores', () => {
    // IoU 1, 0.6 and 0.4: the third has no vote. (0.75 * 10 + 0.25 * 6) / 1 = 9.
    assert.deepEqual(vote('id'), { box: [0, 0, 10, 9], score: 0.75 });
  });
  test('scores follow their formulas', () => {
    close(vote('avg').score, 0.5, 'avg');
    close(vote('iou_avg').score, (0.75 + 0.6 * 0.25) / 1.6, 'iou_avg');
    close(vote('generalized_avg', 2).score, Math.sqrt((0.75 ** 2 + 0.25 ** 2) / 2), 'generalized_avg');
    close(vote('quasi_sum', 0.5).score, 1 / Math.SQRT2, 'quasi_sum');
    // beta 0.5 squares the odds: 3 and 1/3 become 9 and 1/9, that is 0.9 and 0.1.
    close(vote('temp_avg', 0.5).score, 0.5, 'temp_avg');
    close(
      boxVoting(flat(all.slice(0, 1)), flat(all.slice(0, 1)), { ...options, scoring: 'temp_avg', beta: 0.5 })
        .scores[0]!,
      0.9,
      'temp_avg',
    );
  });
  test('a box that nothing votes for stays', () => {
    const kept: Scored[] = [{ box: [50, 50, 60, 60], score: 0.5 }];
    assert.deepEqual(boxVoting(flat(kept), flat(all), options), flat(kept));
    const silent: Scored[] = [{ box: [0, 0, 10, 10], score: 0 }];
    assert.deepEqual(boxVoting(flat(silent), flat(silent), options), flat(silent));
  });
  test('is the plain definition on any boxes', () => {
    const scoring = fc.constantFrom('id', 'temp_avg', 'avg', 'iou_avg', 'generalized_avg', 'quasi_sum' as const);
    fc.assert(
      fc.property(
        crowd,
        fc.record({
          threshold: fc.constantFrom(0, 0.29, 0.5, 0.8),
          scoring,
          beta: fc.constantFrom(0.5, 1, 2),
          convention,
        }),
        (found, votingOptions: BoxVotingOptions) => {
          const kept = found.slice(0, 5);
          const got = boxVoting(flat(kept), flat(found), votingOptions);
          plainVoting(kept, found, votingOptions).forEach(({ box, score }, i) => {
            box.forEach((value, side) => {
              close(got.boxes[i * 4 + side]!, value, `box ${i}, side ${side}`);
            });
            close(got.scores[i]!, score, `score ${i}`);
          });
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('suppressDetections', () => {
  const candidates = () => ({
    boxes: tensor([
      [0, 0, 10, 5],
      [0, 0, 10, 10],
      [0, 0, 10, 5],
      [20, 20, 30, 30],
    ]),
    scores: tensor([0.5, 0.75, 0.625, 0.375]),
    labels: tensor([1, 1, 2, 1], { dtype: 'int64' }),
  });
  const run = (options: SuppressionOptions) =>
    scope(() => {
      const { boxes, scores, labels } = suppressDetections(candidates(), options);
      const corners = boxes.toNumbers();
      return labels.toNumbers().map((label, i) => ({
        label,
        score: scores.toNumbers()[i]!,
        box: corners.slice(i * 4, i * 4 + 4),
      }));
    });
  const large = { label: 1, score: 0.75, box: [0, 0, 10, 10] };
  const otherClass = { label: 2, score: 0.625, box: [0, 0, 10, 5] };
  const apart = { label: 1, score: 0.375, box: [20, 20, 30, 30] };

  test('drops the worse of two boxes of a class', () => {
    assert.deepEqual(run({ nmsThreshold: 0.3 }), [large, otherClass, apart]);
  });
  test('or lowers its score', () => {
    const softNms = { method: 'linear', sigma: 0.5, minScore: 1e-4 } as const;
    assert.deepEqual(run({ nmsThreshold: 0.3, softNms }), [
      large,
      otherClass,
      apart,
      { label: 1, score: 0.25, box: [0, 0, 10, 5] },
    ]);
  });
  test('lets those that were dropped vote, with the scores that they had', () => {
    const boxVotingOptions = { threshold: 0.5, scoring: 'avg', beta: 1 } as const;
    const found = run({ nmsThreshold: 0.3, boxVoting: boxVotingOptions });
    // (0.75 * 10 + 0.5 * 5) / 1.25 = 8; both have then 0.625, and the first of the input goes first.
    assert.deepEqual(found, [{ label: 1, score: 0.625, box: [0, 0, 10, 8] }, otherClass, apart]);
    const softNms = { method: 'linear', sigma: 0.5, minScore: 1e-4 } as const;
    assert.deepEqual(run({ nmsThreshold: 0.3, softNms, boxVoting: boxVotingOptions })[0], found[0]);
  });
  test('inclusive boxes are dropped at exactly the threshold', () => {
    // 11 x 6 of 11 x 11 pixels.
    assert.equal(run({ nmsThreshold: 6 / 11, convention: 'inclusive' }).length, 3);
    assert.equal(run({ nmsThreshold: 0.5 }).length, 4);
  });
  test('gives nothing for nothing, and keeps no tensors', () => {
    const softNms = { method: 'gaussian', sigma: 0.5, minScore: 1e-4 } as const;
    const empty = () =>
      scope(() => {
        const none = {
          boxes: tensor([], { shape: [0, 4] }),
          scores: tensor([]),
          labels: tensor([], { dtype: 'int64' }),
        };
        return suppressDetections(none, { nmsThreshold: 0.5, softNms }).boxes.shape;
      });
    assert.deepEqual(empty(), [0, 4]);
    const alive = liveTensors();
    empty();
    run({ nmsThreshold: 0.3, softNms });
    assert.equal(liveTensors(), alive);
  });
});
