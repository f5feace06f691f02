// Samples that are a function of the seed and of the picture's turn alone: the same whichever pictures share its batch, and whichever
// process it is in.
import { createRandom } from '@goshawk/core';
import { arange, ops, type Tensor, tensor } from '@goshawk/torch';
import { type BatchDraws, below, type DrawStage, type Draws, type PlaceDraws, randomDraws } from './sampling.js';
import type { ImageBatch } from './structures.js';

/** Random stream of a seed; data/samplers.ts has those before it. */
const SAMPLE_STREAM = 3;
const STAGES: Readonly<Record<DrawStage, number>> = { anchors: 0, proposals: 1, keypoints: 2 };

/** @param seed of the training; batches without turns are drawn from by the engine's generator */
export function turnDraws(seed: number): Draws {
  return {
    ...randomDraws,
    inTurns: (batch, stage) => batchDraws(seed, STAGES[stage], batch),
  };
}

function batchDraws(seed: number, stage: number, { turns = [], turnKeys }: ImageBatch): BatchDraws {
  let calls = 0;
  const salt = (): number => createRandom(seed, SAMPLE_STREAM, stage, calls++).uint32() >>> 1;
  return {
    ofImage: (image) => placeDraws(seed, stage, turns[image]!),
    priorities: (candidates) => uniform(keysOn(candidates, turns, turnKeys), salt(), candidates.size(1)),
    places: (totals, count) =>
      below(totals, ops.mul(uniform(keysOn(totals, turns, turnKeys), salt(), count), totals).to('int64')),
  };
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

/** [N, count] float32 from 0 to 1 out of [N, 1] keys: the numbers of a counter, well mixed. */
function uniform(keys: Tensor, salt: number, count: number): Tensor {
  const own = mixed(ops.bitwise_xor(keys, salt));
  const counter = arange(0, count, { dtype: 'int64', device: keys.device });
  const spread = ops.bitwise_and(ops.mul(counter, 0x1e37_79b9), MASK_31);
  return ops.mul(mixed(ops.bitwise_xor(own, spread)).to('float32'), 2 ** -31);
}

/** A mixing function of 31 bits in int64, whose products stay below 2^62: shifts and multiplications by turns. */
function mixed(values: Tensor): Tensor {
  const folded = (of: Tensor, shift: number): Tensor => ops.bitwise_xor(of, ops.bitwise_right_shift(of, shift));
  const times = (of: Tensor, factor: number): Tensor => ops.bitwise_and(ops.mul(of, factor), MASK_31);
  return folded(times(folded(times(folded(values, 15), 0x2c1b_3c6d), 12), 0x297a_2d39), 15);
}
