// A training by sparse_rcnnv1's config, from the PNG to the averaged weights: the first steps of twelve on two photos. They are compared
// in float64, where the second goes by AdamW's moments and the first average, and in float32 as far as float32 tells: its own runs soon
// part from one another on the same processor, where AdamW makes a full step of a gradient that is rounding alone, and matches flip.
// sparse-rcnn-float64.ts compares all twelve.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { keep, ops, type Tensor, writePth } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader } from '../data/index.js';
import { trainingBatches } from '../infer/split-options.js';
import { effectiveSchedule } from '../train/effective-schedule.js';
import { openSplit, train } from '../train/index.js';
import { learningRateFactor } from '../train/lr-schedule.js';
import { averageDecay } from '../train/weight-average.js';
import { asTensors } from './movements.js';
import { assertAllClose, ParityCase } from './parity-case.js';
import { makeParityState } from './parity-weights.js';
import {
  distances,
  LOSSES,
  normOver,
  startOf,
  TRAJECTORY_CASE,
  type TrajectoryFacts,
  trajectoryConfig,
} from './sparse-rcnn-training.js';

interface Seen {
  readonly learningRate: number;
  readonly losses: Readonly<Record<string, number>>;
  readonly totalLoss: number;
  readonly moved: readonly number[];
}

const STEPS = { fp64: 2, fp32: 1 } as const;
type Precision = keyof typeof STEPS;

/** Losses are logged in float32. */
const LIMITS = { loss: { relative: 2e-7 }, moved: { relative: 1e-8 } } as const;
/** Of the step in float32; the original's own runs differ by 5e-7 in losses and by 1.1e-4 in movements. */
const LIMITS_FLOAT32 = { loss: { relative: 2e-6 }, moved: { relative: 3e-4 } } as const;

describe('a training of sparse_rcnnv1', () => {
  const parity = new ParityCase<TrajectoryFacts>(TRAJECTORY_CASE);
  const { facts } = parity;
  const seen: Record<Precision, Seen[]> = { fp64: [], fp32: [] };
  let folder: string;
  let config: RunConfig;
  /** After the last step in float64. */
  let averaged: { readonly moved: readonly number[]; readonly fromWeights: readonly number[] };

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-training-'));
    config = trajectoryConfig(facts, folder);
    const state = makeParityState(parity.state());
    const { start: values, names } = startOf(state, facts);
    const start = asTensors(new Map(names.map((name) => [name, values.get(name)!])));
    const init = join(folder, 'start.pth');
    writePth(init, state);
    const run = async (precision: Precision) => {
      const last = new Map<string, Tensor>();
      const { model: average } = await train({
        config: trajectoryConfig(facts, folder, [`train.precision=${precision}`, `train.epochs=${STEPS[precision]}`]),
        output: join(folder, precision),
        init,
        save: false,
        observer: {
          onStep: ({ learningRate, losses, totalLoss }, model) => {
            seen[precision].push({ learningRate, losses, totalLoss, moved: distances(model, start, names) });
            if (precision === 'fp32' || seen.fp64.length < STEPS.fp64) return;
            const own = model.stateDict();
            for (const name of names) last.set(name, keep(ops.clone(own.get(name)!.detach())));
          },
        },
      });
      return {
        moved: distances(average, start, names),
        fromWeights: last.size > 0 ? distances(average, last, names) : [],
      };
    };
    averaged = await run('fp64');
    await run('fp32');
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('reads the same pixels and boxes', async () => {
    const dataset = openSplit(config, 'train', { purpose: 'training' });
    const loader = createLoader({ ...trainingBatches(config), shuffle: false, dataset });
    const { value: batch } = await loader.next();
    assert.ok(batch);
    const area = batch.height * batch.width;
    for (const [image, digest] of facts.network_input.sha256_per_image.entries()) {
      const pixels: Float32Array = batch.pixels.subarray(image * area * 3, (image + 1) * area * 3);
      const planes = Float32Array.from(
        { length: pixels.length },
        (_, i) => pixels[(i % area) * 3 + Math.floor(i / area)]!,
      );
      assert.equal(createHash('sha256').update(new Uint8Array(planes.buffer)).digest('hex'), digest);
    }
    const rows = facts.data.ground_truth_rows_label_xyxy_float32;
    for (const [image, { boxes, classes }] of batch.targets.entries()) {
      assert.deepEqual(
        [...boxes],
        rows[image]!.flatMap((row) => row.slice(1)),
      );
      assert.deepEqual(
        [...classes],
        rows[image]!.map(([label]) => label! + 1),
      );
    }
    await loader.close();
  });

  test('has the same learning rates and shares of the average, in all twelve steps', () => {
    const { learningRate, schedule } = effectiveSchedule(config.train, facts.data.images.length);
    for (const [index, { lr, ema_decay: decay }] of facts.float64.steps.entries()) {
      const step = `step ${index + 1}`;
      const rate = learningRate * learningRateFactor(index, schedule);
      assertAllClose(`rate of ${step}`, [rate], [lr], { relative: 1e-12 });
      if (index < STEPS.fp64)
        assertAllClose(`rate in ${step}`, [seen.fp64[index]!.learningRate], [lr], { relative: 1e-12 });
      assertAllClose(`share after ${step}`, [averageDecay(index + 1, config.train.ema!)], [decay], {
        relative: 1e-12,
      });
    }
  });

  for (const precision of ['fp64', 'fp32'] as const) {
    const { steps } = precision === 'fp64' ? facts.float64 : facts.float32;
    const limits = precision === 'fp64' ? LIMITS : LIMITS_FLOAT32;

    test(`has the same losses: ${precision}`, () => {
      assert.equal(seen[precision].length, STEPS[precision]);
      for (const [index, { losses, totalLoss }] of seen[precision].entries()) {
        const [wanted, limit] = [steps[index]!, limits.loss];
        for (const name of ['cls_loss', 'iou_loss', 'l1_loss'] as const)
          assertAllClose(`step ${index + 1}, ${name}`, [losses[LOSSES[name]]!], [wanted[name]], limit);
        assertAllClose(`step ${index + 1}, total`, [totalLoss], [wanted.total], limit);
      }
    });

    test(`moves the weights as far: ${precision}`, () => {
      for (const [index, { moved }] of seen[precision].entries()) {
        const [wanted, limit] = [steps[index]!, limits.moved];
        assertAllClose(`step ${index + 1}`, [normOver(moved)], [wanted.movement_total], limit);
        if (wanted.movement) assertAllClose(`step ${index + 1}, each`, moved, wanted.movement, limit);
      }
    });
  }

  test('moves the average as far', () => {
    const { ema_movement_total, ema_gap_total } = facts.float64.steps[STEPS.fp64 - 1]!;
    assertAllClose('from the start', [normOver(averaged.moved)], [ema_movement_total], LIMITS.moved);
    assertAllClose('from the weights', [normOver(averaged.fromWeights)], [ema_gap_total], { relative: 1e-6 });
  });
});
