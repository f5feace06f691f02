// Samples that are a function of the seed and of the picture's turn alone: the same whichever pictures share its batch, and whichever
// process it is in.
import { createRandom } from '@goshawk/core';
import { arange, ops, Tensor, tensor } from '@goshawk/torch';
import {
  type BatchDraws,
  below,
  type CandidateNames,
  type DrawStage,
  type Draws,
  type PlaceDraws,
  randomDraws,
} from './sampling.js';
import type { ImageBatch } from './structures.js';

/** Random stream of a seed; data/samplers.ts has those before it. */
const SAMPLE_STREAM = 3;
const STAGES: Readonly<Record<DrawStage, number>> = { anchors: 0, proposals: 1, keypoints: 2 };

/** @param seed of the training; batches without turns are drawn from by the engine's generator */
export function turnDraws(seed: number): Draws {
  return {
    ...randomDraws,
    inTurns: (batch, stage, names) =>
      names ? namedDraws(seed, STAGES[stage], batch, names) : batchDraws(seed, STAGES[stage], batch),
  };
}

function batchDraws(seed: number, stage: number, { turns = [], turnKeys }: ImageBatch): BatchDraws {
  let calls = 0;
  const salt = (): number => saltOf(seed, stage, calls++);
  return {
    ofImage: (image) => placeDraws(seed, stage, turns[image]!),
    priorities: (candidates) => {
      const keys = keysOn(candidates, turns, turnKeys);
      return uniform(keys, salt(), counters(candidates.size(1), keys));
    },
    places: (totals, count) => {
      const keys = keysOn(totals, turns, turnKeys);
      return below(totals, ops.mul(uniform(keys, salt(), counters(count, keys)), totals).to('int64'));
    },
  };
}

/**
 * Each name has one priority in a picture's turn and stage, and of any candidates those of highest priority are drawn: who is drawn hangs
 * neither on their order nor on how many there are, and a candidate more or less moves one of those drawn at most. Exact and fixed
 * sizes draw the same.
 */
function namedDraws(seed: number, stage: number, batch: ImageBatch, names: CandidateNames): BatchDraws {
  const { turns = [], turnKeys } = batch;
  const salt = saltOf(seed, stage, 0);
  return {
    ...batchDraws(seed, stage, batch),
    ofImage: (image) => ({
      ...placeDraws(seed, stage, turns[image]!),
      distinct: (_total, count, candidates) => {
        const own = names instanceof Tensor ? ops.select(names, 0, image) : names[image]!;
        const numbers = ops.index_select(own, 0, candidates);
        const priorities = uniform(keysOn(numbers, [turns[image]!], undefined), salt, numbers);
        return ops.topk(ops.squeeze(priorities, 0), count, { dim: 0 })[1];
      },
    }),
    priorities: (candidates) =>
      uniform(
        keysOn(candidates, turns, turnKeys),
        salt,
        names instanceof Tensor ? names : ops.stack([...names], { dim: 0 }),
      ),
  };
}

function saltOf(seed: number, stage: number, call: number): number {
  return createRandom(seed, SAMPLE_STREAM, stage, call).uint32() >>> 1;
}

function placeDraws(seed: number, stage: number, turn: number): PlaceDraws {
  const random = createRandom(seed, SAMPLE_STREAM, turn, stage);
  return {
    distinct(total, count) {
      // Floyd's sampling (Bentley and Floyd, "A sample of brilliance", 1987): as many draws as are wanted.
      const chosen = new Set<number>();
      for (let last = total - count; last < total; last++) {
        const place = random.integer(last + 1);
        chosen.add(chosen.has(place) ? last : place);
      }
      return int64([...chosen]);
    },
    withRepeats: (total, count) => int64(Array.from({ length: count }, () => random.integer(total))),
  };
}

function int64(values: readonly number[]): Tensor {
  return tensor(BigInt64Array.from(values, BigInt));
}

/** A number of 31 bits for each turn, on the way to a device as one of its batch's tensors: [N] int64. */
export function turnKeysOf(turns: readonly number[]): BigInt64Array {
  return BigInt64Array.from(turns, (turn) => BigInt(createRandom(turn).uint32() >>> 1));
}

function keysOn(like: Tensor, turns: readonly number[], turnKeys: Tensor | undefined): Tensor {
  return ops.view(turnKeys ?? tensor(turnKeysOf(turns), { device: like.device }), [-1, 1]);
}

const MASK_31 = 0x7fff_ffff;

/** 0, 1, ... below `count`, [count] int64. */
function counters(count: number, like: Tensor): Tensor {
  return arange(0, count, { dtype: 'int64', device: like.device });
}

/** [N, count] float32 from 0 to 1 out of [N, 1] keys and [count] or [N, count] int64 numbers, well mixed. */
function uniform(keys: Tensor, salt: number, numbers: Tensor): Tensor {
  const own = mixed(ops.bitwise_xor(keys, salt));
  const spread = ops.bitwise_and(ops.mul(numbers, 0x1e37_79b9), MASK_31);
  return ops.mul(mixed(ops.bitwise_xor(own, spread)).to('float32'), 2 ** -31);
}

/** A mixing function of 31 bits in int64, whose products stay below 2^62: shifts and multiplications by turns. */
function mixed(values: Tensor): Tensor {
  const folded = (of: Tensor, shift: number): Tensor => ops.bitwise_xor(of, ops.bitwise_right_shift(of, shift));
  const times = (of: Tensor, factor: number): Tensor => ops.bitwise_and(ops.mul(of, factor), MASK_31);
  return folded(times(folded(times(folded(values, 15), 0x2c1b_3c6d), 12), 0x297a_2d39), 15);
}
