import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { liveTensors, manualSeed, ops, rand, scope, tensor } from '@goshawk/torch';
import { readDescription, readWeights } from '../infer/index.js';
import { inputError } from '../testing/input-error.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import {
  checkpointPath,
  listCheckpoints,
  type Progress,
  pruneCheckpoints,
  restoreCheckpoint,
  writeCheckpoint,
  writeWeights,
} from './checkpoint.js';
import { buildOptimizer } from './optimizer.js';
import { type RandomSource, randomSourcesOf } from './random-sources.js';

const description = {
  config: tinyConfig(),
  categories: [
    { id: 1, name: 'a' },
    { id: 2, name: 'b' },
  ],
};
const progress: Progress = {
  iteration: 12,
  loader: { seed: 3, count: 9, position: 24, pending: [22] },
  best: 0.25,
};

const drawn = (): number[] => scope(() => rand([8]).toNumbers());

/** A model and its optimizer after one step along invented gradients. */
function trained(seed: number) {
  const model = tinyDetector({ seed });
  const optimizer = buildOptimizer(model, description.config.train.optimizer);
  scope(() => {
    for (const parameter of model.parameters()) parameter.grad = ops.mul(parameter, 0.1);
  });
  optimizer.step();
  optimizer.zeroGrad();
  return { model, optimizer };
}

describe('checkpoints', () => {
  let folder: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-checkpoint-'));
  });
  after(() => rmSync(folder, { recursive: true }));

  test('bring back weights, optimizer state, random numbers and progress to the bit', () => {
    const { model, optimizer } = trained(1);
    manualSeed(77);
    const path = writeCheckpoint(folder, { model }, optimizer, progress, description);
    assert.equal(path, checkpointPath(folder, 12));
    const next = drawn();

    const other = trained(2);
    const alive = liveTensors();
    assert.deepEqual(restoreCheckpoint(path, { model: other.model }, other.optimizer), progress);
    assert.equal(liveTensors(), alive);
    assert.deepEqual(drawn(), next);
    const weights = other.model.stateDict();
    for (const [name, tensor] of model.stateDict())
      assert.deepEqual(weights.get(name)!.toBytes(), tensor.toBytes(), name);
    const [state, restored] = [optimizer.stateDict(), other.optimizer.stateDict()];
    assert.deepEqual(restored.scalars, state.scalars);
    assert.ok(state.tensors.size > 0);
    for (const [name, tensor] of state.tensors)
      assert.deepEqual(restored.tensors.get(name)!.toBytes(), tensor.toBytes(), name);
    const again = writeCheckpoint(
      folder,
      { model: other.model },
      other.optimizer,
      { ...progress, iteration: 13 },
      description,
    );
    assert.equal(readFileSync(again).length, readFileSync(path).length);
  });

  test("keep a card's generator too, and come back without it where there was none, or on another kind of device", () => {
    const { model, optimizer } = trained(1);
    /** Stands for a card's: its state is its seed and how far it has come. */
    let state = [5, 9];
    const card: RandomSource = {
      name: 'cuda',
      isAlwaysSaved: false,
      state: () => tensor(Uint8Array.from(state)),
      setState: (value) => {
        state = value.toNumbers();
      },
    };
    const [cpu] = randomSourcesOf('cpu') as [RandomSource];
    const ofCard = writeCheckpoint(folder, { model }, optimizer, { ...progress, iteration: 100 }, description, [
      cpu,
      card,
    ]);
    const ofCpu = writeCheckpoint(folder, { model }, optimizer, { ...progress, iteration: 101 }, description);
    const next = drawn();
    state = [1, 2];
    restoreCheckpoint(ofCpu, { model }, optimizer, [cpu, card]);
    assert.deepEqual([state, drawn()], [[1, 2], next]);
    restoreCheckpoint(ofCard, { model }, optimizer, [cpu]);
    assert.deepEqual([state, drawn()], [[1, 2], next]);
    restoreCheckpoint(ofCard, { model }, optimizer, [cpu, card]);
    assert.deepEqual([state, drawn()], [[5, 9], next]);
    for (const path of [ofCard, ofCpu]) rmSync(path);
  });

  test('open as weights too: the optimizer is not among them', () => {
    const path = checkpointPath(folder, 12);
    assert.deepEqual(readDescription(path), description);
    assert.deepEqual([...readWeights(path).keys()].toSorted(), [...trained(1).model.stateDict().keys()].toSorted());
  });

  test('are listed in order, without unfinished and foreign files', () => {
    for (const name of ['iteration-00000003.safetensors', '.iteration-00000020.safetensors.1.tmp', 'notes.txt'])
      writeFileSync(join(folder, name), '');
    assert.deepEqual(listCheckpoints(folder), [3, 12, 13]);
    assert.deepEqual(listCheckpoints(join(folder, 'nowhere')), []);
  });

  test('are pruned to the newest', () => {
    pruneCheckpoints(folder, 2);
    assert.deepEqual(listCheckpoints(folder), [12, 13]);
    pruneCheckpoints(folder, 5);
    assert.deepEqual(listCheckpoints(folder), [12, 13]);
  });

  test('without training state are refused with the way to use them', () => {
    const { model, optimizer } = trained(1);
    const path = join(folder, 'weights.safetensors');
    writeWeights(path, model, description);
    assert.throws(
      () => restoreCheckpoint(path, { model }, optimizer),
      inputError(/weights\.safetensors: has weights but no training state: start from it with --init$/),
    );
  });

  test('of another model or optimizer are refused by name', () => {
    const path = checkpointPath(folder, 12);
    const { model, optimizer } = trained(1);
    assert.throws(
      () => restoreCheckpoint(path, { model: tinyDetector({ classes: 3 }) }, optimizer),
      inputError(/iteration-00000012\.safetensors: 6 of .*cls_score\.weight is \[3, 32\], the model's \[4, 32\]/),
    );
    const adamw = { ...tinyConfig(['train.optimizer.type=adamw']).train.optimizer };
    assert.throws(
      () => restoreCheckpoint(path, { model }, buildOptimizer(model, adamw)),
      inputError(/iteration-00000012\.safetensors: optimizer state: .*momentum_buffer/),
    );
  });

  test('that are cut off are refused by name', () => {
    const path = checkpointPath(folder, 13);
    const { model, optimizer } = trained(1);
    truncateSync(path, 5000);
    assert.throws(() => restoreCheckpoint(path, { model }, optimizer), {
      name: 'CheckpointError',
      message: /iteration-00000013/,
    });
  });
});
