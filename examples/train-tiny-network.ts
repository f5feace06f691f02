// A network of three layers learns which points of the square lie in a ring: tensors, autograd, layers, an optimizer and a
// checkpoint, by @goshawk/torch alone. Takes seconds.
//
//     node examples/dist/train-tiny-network.js
import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  AdamW,
  Linear,
  manualSeed,
  noGrad,
  ops,
  ReLU,
  rand,
  readStateDict,
  Sequential,
  scope,
  type Tensor,
  writeSafetensors,
} from '@goshawk/torch';

manualSeed(1);
const makeNetwork = () =>
  new Sequential(new Linear(2, 64), new ReLU(), new Linear(64, 64), new ReLU(), new Linear(64, 2));
const network = makeNetwork();
const optimizer = new AdamW(network.namedParameters(), { lr: 0.01 });

/** Points [N, 2] in the square from -1 to 1, and 1 for those between 0.4 and 0.8 from its middle. */
function ring(count: number): { points: Tensor; labels: Tensor } {
  const points = rand([count, 2]).mul(2).sub(1);
  const distance = points.mul(points).sum(1).sqrt();
  const labels = ops.logical_and(distance.gt(0.4), distance.lt(0.8)).to('int64');
  return { points, labels };
}

for (let step = 1; step <= 400; step++) {
  // What a scope does not return is freed at its end: the loop runs in constant memory.
  const loss = scope(() => {
    const { points, labels } = ring(256);
    const error = ops.cross_entropy_loss(network.call(points), labels);
    error.backward();
    return error.item();
  });
  optimizer.step();
  optimizer.zeroGrad();
  if (step % 100 === 0) console.log(`step ${step}: loss ${loss.toFixed(3)}`);
}

const accuracy = noGrad(() => {
  const { points, labels } = ring(10_000);
  const guess = network.call(points).argmax({ dim: 1 });
  return guess.eq(labels).to('float32').mean().item();
});
console.log(`right on ${(accuracy * 100).toFixed(1)} % of new points`);

// The checkpoint is read back into a second network, which then agrees with the first.
const file = path.join(mkdtempSync(path.join(tmpdir(), 'goshawk-')), 'ring.safetensors');
const state = Array.from(network.stateDict(), ([name, value]) => {
  return { name, dtype: value.dtype, shape: value.shape, data: value.toBytes() };
});
writeSafetensors(file, state);
const copy = makeNetwork();
const saved = readStateDict(file);
copy.loadStateDict(saved.tensors);
saved.close();
const difference = noGrad(() => {
  const { points } = ring(100);
  return network.call(points).sub(copy.call(points)).abs().max().item();
});
console.log(`${file}: ${state.length} tensors; largest difference of the two networks ${difference}`);
