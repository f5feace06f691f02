import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { listCheckpoints } from './checkpoint.js';
import { type IterationSchedule, learningRateFactorAt } from './lr-schedule.js';
import { type BudgetState, TimeBudget } from './time-budget.js';
import { type StepRecord, train } from './trainer.js';

interface Simulation {
  readonly minutes: number;
  /** Seconds of a step. */
  readonly stepSeconds: (step: number) => number;
  readonly evaluationSeconds?: number;
  readonly evaluateEvery?: number;
  readonly state?: BudgetState;
  /** Seconds after which it is stopped. */
  readonly stopAfter?: number;
}

/** A training on a clock of its own: 40 pictures to evaluate, 2 a step. */
function simulate({ minutes, stepSeconds, evaluationSeconds = 0, evaluateEvery = 0, state, stopAfter }: Simulation) {
  let seconds = 0;
  const budget = new TimeBudget({
    ...{ minutes, started: 0, evaluateEvery, bytes: 0, now: () => seconds * 1000 },
    ...{ evaluated: evaluationSeconds > 0 ? 40 : 0, state },
  });
  const shares: number[] = [];
  let evaluations = 0;
  const evaluate = () => {
    seconds += evaluationSeconds;
    budget.evaluated(evaluationSeconds);
    evaluations++;
  };
  while (budget.share < 1 && seconds < (stopAfter ?? Number.POSITIVE_INFINITY)) {
    const own = stepSeconds(shares.length);
    seconds += own;
    budget.step({ seconds: own, images: 2, atMost: Number.POSITIVE_INFINITY });
    shares.push(budget.share);
    if (shares.length === 10 && evaluationSeconds > 0) budget.expectEvaluation(evaluationSeconds * 0.9);
    const isDue = evaluateEvery > 0 && shares.length % evaluateEvery === 0;
    if (budget.share < 1 && isDue && budget.affordsEvaluation()) evaluate();
  }
  if (budget.share >= 1) evaluate();
  return { seconds, shares, evaluations, state: budget.state };
}

describe('a time budget', () => {
  for (const [what, stepSeconds, evaluation] of [
    ['even steps', () => 0.7, {}],
    ['a slow start', (step: number) => (step < 20 ? 6 : 0.2), {}],
    ['steps that become three times as slow', (step: number) => (step < 300 ? 0.5 : 1.5), {}],
    ['pictures of many sizes', (step: number) => 0.2 + (step % 7) * 0.3, {}],
    ['an evaluation of a minute', () => 0.7, { evaluationSeconds: 60 }],
    ['evaluations on the way', () => 0.5, { evaluationSeconds: 8, evaluateEvery: 60 }],
  ] as const)
    test(`is kept, and nearly used up, with ${what}`, () => {
      const { seconds, shares } = simulate({ minutes: 10, stepSeconds, ...evaluation });
      assert.ok(seconds <= 600 && seconds > 560, `${seconds} s of 600`);
      // The schedule only moves on, in steps that no learning rate would notice.
      const moves = shares.map((share, step) => share - (shares[step - 1] ?? 0));
      assert.ok(moves.every((move) => move > 0));
      assert.equal(shares.at(-1), 1);
    });

  test('leaves out evaluations that would take more than a third of it', () => {
    const { seconds, evaluations } = simulate({
      ...{ minutes: 10, stepSeconds: () => 0.5, evaluationSeconds: 30, evaluateEvery: 10 },
    });
    assert.ok(seconds <= 600);
    assert.ok(evaluations >= 5 && evaluations <= 8, `${evaluations} evaluations`);
  });

  test('counts on what was used before, and on more minutes than then', () => {
    const stepSeconds = () => 0.5;
    const first = simulate({ minutes: 10, stepSeconds, stopAfter: 200 });
    assert.ok(Math.abs(first.state.share - 1 / 3) < 0.03);
    const rest = simulate({ minutes: 10, stepSeconds, state: first.state });
    assert.ok(first.seconds + rest.seconds <= 600 && first.seconds + rest.seconds > 560);
    const longer = simulate({ minutes: 20, stepSeconds, state: rest.state });
    assert.ok(Math.abs(longer.shares[0]! - 1 / 2) < 0.01);
    assert.ok(longer.seconds <= 620 && longer.seconds > 580);
  });

  test('stretches steps, and shrinks the warm-up but does not stretch it', () => {
    const warmup = { warmup: 'linear', warmupIterations: 100, warmupFactor: 0.1 } as const;
    const schedule: IterationSchedule = {
      ...{ ...warmup, decay: 'steps', steps: [600, 900], gamma: 0.1, finalFactor: 0, length: 1000 },
    };
    const at = (share: number, iteration: number) => learningRateFactorAt({ share, iteration }, schedule);
    assert.ok(Math.abs(at(0.05, 5) - 0.55) < 1e-12);
    assert.equal(at(0.001, 100), 1);
    assert.deepEqual([at(0.59, 20), at(0.6, 20)], [1, 0.1]);
    assert.ok(Math.abs(at(0.95, 20_000) - 0.01) < 1e-12);
  });
});

test('a training of so many minutes lowers its rate within them, and goes on with what is left', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-minutes-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const data = await writeTinyDataset(folder);
  const sets = [
    ...['train.minutes=0.1', 'train.batchSize=2', 'train.schedule.decay=cosine', 'train.schedule.warmupIterations=2'],
    ...['train.optimizer.lr=0.01', 'train.checkpointEvery=1000'],
  ];
  const config = tinyConfig([...sets, ...data.sets]);
  const output = join(folder, 'run');
  const steps: StepRecord[] = [];
  const stop = new AbortController();
  const observer = { onStep: (step: StepRecord) => void steps.push(step) };
  const halfway = (step: StepRecord) => {
    observer.onStep(step);
    if (step.iteration === 2) stop.abort();
  };
  await train({ config, output, signal: stop.signal, observer: { onStep: halfway } });
  assert.equal(steps.length, 2);
  const rest = await train({ config, output, resume: true, observer });
  const last = steps.at(-1)!;
  assert.deepEqual([rest.iteration, last.iterations], [last.iteration, last.iteration]);
  assert.deepEqual(listCheckpoints(join(output, 'checkpoints')).at(-1), last.iteration);
  assert.ok(rest.figures !== undefined && rest.weights !== undefined);
  assert.ok(last.learningRate < 0.002, `the last rate is ${last.learningRate}`);
  const rates = steps.slice(2).map(({ learningRate }) => learningRate);
  assert.ok(rates.every((rate, place) => place === 0 || rate <= rates[place - 1]!));
});
