// Trainings that maskrcnn-benchmark began.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { openSafetensors, type PthValue, type TensorData, writePth } from '@goshawk/torch';
import { leftOfTraining } from '../infer/training-file.js';
import { formatWeightsReport } from '../infer/weights-report.js';
import { inputError } from '../testing/input-error.js';
import { theirName } from '../testing/maskrcnn-names.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { checkpointPath } from './checkpoint.js';
import { effectiveSchedule } from './effective-schedule.js';
import { restoreForeignCheckpoint } from './foreign-checkpoint.js';
import { buildOptimizer } from './optimizer.js';
import { type TrainOptions, type TrainStart, train } from './trainer.js';

const SETS = [
  'train.iterations=5',
  'train.checkpointEvery=3',
  'train.batchSize=1',
  'train.optimizer={lr: 0.01, biasLrFactor: 2, biasWeightDecay: 0}',
  'train.schedule={warmupIterations: 0, steps: [4]}',
  'data.val=null',
  'model.conventions=maskrcnn_benchmark',
];

let folder: string;
let data: TinyDataset;
/** A checkpoint of ours, and the same as maskrcnn-benchmark would have written it. */
let own: string;
let theirs: string;

before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-foreign-'));
  data = await writeTinyDataset(folder);
  const output = join(folder, 'own');
  await train({ config: configOf(['train.iterations=3']), output });
  own = checkpointPath(join(output, 'checkpoints'), 3);
  theirs = join(folder, 'model_0000003.pth');
  writeTheirs(theirs);
});
after(() => rmSync(folder, { recursive: true, force: true }));

const configOf = (sets: readonly string[] = []) => tinyConfig([...SETS, ...data.sets, ...sets]);

/** What is in a checkpoint of ours under a prefix, in the order of the model. */
function tensorsOf(path: string, pick: (name: string) => boolean): Map<string, TensorData> {
  const file = openSafetensors(path);
  try {
    return new Map(file.names.filter(pick).map((name) => [name, file.read(name)]));
  } finally {
    file.close();
  }
}

const OPTIMIZER = 'optimizer/';

/** @param scheduler its state there */
function writeTheirs(path: string, scheduler: PthValue = { milestones: [4], last_epoch: 3 }): void {
  const weights = tensorsOf(own, (name) => !name.includes('/'));
  const velocities = tensorsOf(own, (name) => name.startsWith(OPTIMIZER));
  const order = [...tinyDetector({ sets: SETS }).stateDict().keys()];
  const learning = order.filter((name) => velocities.has(`${OPTIMIZER}${name}.momentum_buffer`));
  const groups = learning.map((name, index) => ({
    params: [index],
    lr: 0.001,
    initial_lr: name.endsWith('.bias') ? 0.02 : 0.01,
    momentum: 0.9,
  }));
  const state = learning.map(
    (name, index) =>
      [index, new Map([['momentum_buffer', velocities.get(`${OPTIMIZER}${name}.momentum_buffer`)!]])] as const,
  );
  writePth(
    path,
    new Map<string, PthValue>([
      ['model', new Map(order.map((name) => [theirName(name), weights.get(name)!]))],
      [
        'optimizer',
        new Map<string, PthValue>([
          ['state', new Map(state)],
          ['param_groups', groups],
        ]),
      ],
      ['scheduler', scheduler],
      ['iteration', 3],
    ]),
  );
}

function restored(path: string, sets: readonly string[] = []) {
  const config = configOf(sets);
  const model = tinyDetector({ sets: [...SETS, ...sets], seed: 9 });
  const optimizer = buildOptimizer(model, config.train.optimizer);
  const schedule = effectiveSchedule(config.train, 2);
  return { model, optimizer, ...restoreForeignCheckpoint(path, { model, optimizer, schedule }) };
}

/** What a training says when it starts, and the steps that it makes. */
async function trained(options: Partial<TrainOptions> & { readonly output: string }) {
  let start: TrainStart | undefined;
  const steps: { readonly iteration: number; readonly learningRate: number }[] = [];
  await train({
    config: configOf(),
    observer: { onStart: (value) => (start = value), onStep: (step) => steps.push(step) },
    ...options,
  });
  const lines = start!.initialised.flatMap(formatWeightsReport);
  return { lines, iteration: start!.iteration, steps: steps.map(({ iteration }) => iteration), rates: steps };
}

describe("a training of maskrcnn-benchmark's", () => {
  test('goes on with its weights, its iteration and the velocity of every parameter', () => {
    const { model, optimizer, iteration, report } = restored(theirs);
    assert.equal(iteration, 3);
    const weights = model.stateDict();
    for (const [name, { data: bytes }] of tensorsOf(own, (each) => !each.includes('/')))
      assert.deepEqual(weights.get(name)!.toBytes(), bytes, name);
    const velocities = optimizer.stateDict().tensors;
    const expected = tensorsOf(own, (each) => each.startsWith(OPTIMIZER));
    assert.equal(velocities.size, expected.size);
    for (const [name, { data: bytes }] of expected)
      assert.deepEqual(velocities.get(name.slice(OPTIMIZER.length))!.toBytes(), bytes, name);
    assert.deepEqual(report.notes, [`its optimizer: the velocities of ${expected.size} parameters`]);
  });

  test('says what of it does not go with the config, and takes the rest', () => {
    const other = join(folder, 'other.pth');
    writeTheirs(other, { milestones: [100, 200], last_epoch: 3 });
    assert.deepEqual(restored(other, ['train.optimizer.lr=0.005']).report.notes?.slice(1), [
      "its schedule is not used, the config's counts: rate 0.01, here 0.005; steps 100, 200, here 4",
    ]);
    const frozen = restored(theirs, ['model.backbone.frozenStages=1']);
    assert.match(
      frozen.report.notes![0]!,
      /^its optimizer has \d+ parameters, of which \d+ learn here: the optimizer starts anew$/,
    );
    assert.equal(frozen.optimizer.stateDict().tensors.size, 0);
    const adam = restored(theirs, ['train.optimizer={type: adamw}']);
    assert.match(adam.report.notes![0]!, /its optimizer is SGD, the config's another/);
  });

  test('is taken up by --init and --resume, and by its own folder', async () => {
    const { iteration, steps, lines, rates } = await trained({
      output: join(folder, 'resumed'),
      init: theirs,
      resume: true,
    });
    assert.deepEqual([iteration, steps], [3, [4, 5]]);
    // The rate falls after iteration 4.
    assert.deepEqual(
      rates.map(({ learningRate }) => Number(learningRate.toFixed(6))),
      [0.01, 0.001],
    );
    assert.match(lines.join('\n'), /names of maskrcnn-benchmark.*\n {2}its optimizer: the velocities of/);

    const output = join(folder, 'theirs');
    mkdirSync(output);
    writeTheirs(join(output, 'model_0000003.pth'));
    writeFileSync(join(output, 'last_checkpoint'), 'runs/elsewhere/model_0000003.pth');
    assert.deepEqual((await trained({ output, resume: true })).steps, [4, 5]);
    // Then there is a checkpoint of ours, which is newer.
    assert.deepEqual((await trained({ output, resume: true, iterations: 6 })).steps, [6]);
  });

  test('whose file is gone is an error', async () => {
    const output = join(folder, 'gone');
    mkdirSync(output);
    writeFileSync(join(output, 'last_checkpoint'), 'model_final.pth');
    await assert.rejects(
      trained({ output, resume: true }),
      inputError(/last_checkpoint: names model_final\.pth, which is not there/),
    );
  });

  test('gives its weights alone to --init, which says what is left', async () => {
    const { iteration, steps, lines } = await trained({ output: join(folder, 'init'), init: theirs });
    assert.deepEqual([iteration, steps[0]], [0, 1]);
    assert.equal(
      lines.at(-1),
      '  not used: optimizer, scheduler, iteration: add --resume to go on after its iteration 3',
    );
    const bare = join(folder, 'bare.pth');
    writePth(bare, new Map([...tensorsOf(own, (name) => !name.includes('/'))]));
    assert.deepEqual(leftOfTraining(bare), []);
  });
});
