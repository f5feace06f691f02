// A whole training by sparse_rcnnv1's config, from the PNG to the averaged weights: twelve steps on two photos. In float32 its own runs
// part from one another after three steps (fixtures/README.md), so that later steps are held to a band; sparse-rcnn-float64.ts
// compares all of them to 1e-8.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { writePth } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { createLoader } from '../data/index.js';
import { trainingBatches } from '../infer/split-options.js';
import { openSplit, train } from '../train/index.js';
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

/** Relative, of each loss and of their sum, from the first step on; the last holds for all further ones. */
const LOSS_BANDS = [2e-6, 2e-3, 4e-2, 0.3] as const;
const TOTAL_BANDS = [2e-6, 2e-3, 2e-2, 0.15] as const;

describe('twelve steps of sparse_rcnnv1', () => {
  const parity = new ParityCase<TrajectoryFacts>(TRAJECTORY_CASE);
  const { facts } = parity;
  const { steps, after: end } = facts.float32;
  const seen: Seen[] = [];
  let folder: string;
  let config: RunConfig;
  let averageMoved: readonly number[];

  before(async () => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-training-'));
    config = trajectoryConfig(facts, folder);
    const state = makeParityState(parity.state());
    const { start: values, names } = startOf(state, facts);
    const start = asTensors(new Map(names.map((name) => [name, values.get(name)!])));
    const init = join(folder, 'start.pth');
    writePth(init, state);
    const { model: average } = await train({
      config,
      output: join(folder, 'run'),
      init,
      save: false,
      observer: {
        onStep: ({ learningRate, losses, totalLoss }, model) => {
          seen.push({ learningRate, losses, totalLoss, moved: distances(model, start, names) });
        },
      },
    });
    averageMoved = distances(average, start, names);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  test('read the same pixels and boxes', async () => {
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

  test('have the same learning rates and shares of the average', () => {
    for (const [index, { lr, ema_decay: decay }] of steps.entries()) {
      assertAllClose(`rate of step ${index + 1}`, [seen[index]!.learningRate], [lr], { relative: 1e-12 });
      assertAllClose(`share after step ${index + 1}`, [averageDecay(index + 1, config.train.ema!)], [decay], {
        relative: 1e-12,
      });
    }
  });

  test('have the same losses', () => {
    for (const [index, wanted] of steps.entries()) {
      const own = seen[index]!;
      const relative = LOSS_BANDS[Math.min(index, LOSS_BANDS.length - 1)]!;
      for (const name of ['cls_loss', 'iou_loss', 'l1_loss'] as const)
        assertAllClose(`step ${index + 1}, ${name}`, [own.losses[LOSSES[name]]!], [wanted[name]], { relative });
      const ofTotal = TOTAL_BANDS[Math.min(index, TOTAL_BANDS.length - 1)]!;
      assertAllClose(`step ${index + 1}, total`, [own.totalLoss], [wanted.total], { relative: ofTotal });
    }
  });

  test('move the weights and their average as far', () => {
    for (const [index, { movement_total: wanted }] of steps.entries())
      assertAllClose(`step ${index + 1}`, [normOver(seen[index]!.moved)], [wanted], {
        relative: index === 0 ? 3e-4 : 3e-3,
      });
    for (const [what, own, wanted] of [
      ['weights', seen.at(-1)!.moved, end.map(([moved]) => moved)],
      ['average', averageMoved, end.map(([, moved]) => moved)],
    ] as const) {
      const apart = own.map((value, i) => Math.abs(value - wanted[i]!) / wanted[i]!);
      assert.ok(Math.max(...apart) < 0.25, `${what}: a parameter is off by ${Math.max(...apart)}`);
      const median = apart.toSorted((a, b) => a - b)[Math.floor(apart.length / 2)]!;
      assert.ok(median < 0.02, `${what}: half of the parameters are off by ${median} or more`);
    }
  });
});
