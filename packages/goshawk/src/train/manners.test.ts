// When a training ends by itself, when it saves, and what its line says.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { FASTER_RCNN, tinyConfig } from '../testing/tiny-detector.js';
import { readEvaluated } from './checkpoint.js';
import { type TrainObserver, train } from './trainer.js';

let folder: string;
let data: TinyDataset;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-manners-'));
  data = await writeTinyDataset(folder);
});
after(() => rmSync(folder, { recursive: true }));

const outputOf = (name: string): string => join(folder, 'runs', name);
const configOf = (sets: readonly string[]) => tinyConfig([...FASTER_RCNN, 'train.batchSize=2', ...data.sets, ...sets]);

/** The lines that stay, and the last that did not. */
function lineInto(notes: string[]) {
  const updates: string[] = [];
  return {
    updates,
    line: { update: (text: string) => updates.push(text), note: (text: string) => notes.push(text), done() {} },
  };
}

describe('train.patience', () => {
  // A rate at which no figure changes: the first evaluation is the best.
  const still = [
    'train.iterations=12',
    'train.evaluateEvery=1',
    'train.optimizer.lr=1e-12',
    'train.checkpointEvery=100',
  ];

  test('ends the training after so many evaluations that are no better, with all its files, and says so', async () => {
    const output = outputOf('patience');
    const notes: string[] = [];
    const ends: Parameters<NonNullable<TrainObserver['onEnd']>>[0][] = [];
    const { line } = lineInto(notes);
    const observer = { onEnd: (end: (typeof ends)[number]) => void ends.push(end) };
    const result = await train({ config: configOf([...still, 'train.patience=3']), output, line, observer });
    assert.deepEqual([result.iteration, result.end.reason, result.end.best?.iteration], [4, 'patience', 1]);
    assert.deepEqual(ends, [result.end]);
    assert.equal(result.weights, join(output, 'final.safetensors'));
    assert.ok(existsSync(join(output, 'best.safetensors')));
    assert.deepEqual(readEvaluated(join(output, 'checkpoints'), 4), {
      ...{ best: result.end.best!.value, bestIteration: 1, sinceBest: 3 },
    });
    assert.match(
      notes.at(-1)!,
      /^iteration 4: the last 3 evaluations brought no better AP than [\d.-]+ \(iteration 1\): the training ends here/,
    );
  });

  test('is over for a training that is continued, until there is more of it', async () => {
    const output = outputOf('patience');
    const again = await train({ config: configOf([...still, 'train.patience=3']), output, resume: true });
    assert.deepEqual([again.iteration, again.end.reason], [4, 'patience']);
    const more = await train({ config: configOf([...still, 'train.patience=5']), output, resume: true });
    assert.deepEqual([more.iteration, more.end.reason], [6, 'patience']);
  });

  test('does not end one whose iterations are done first', async () => {
    const { end } = await train({ config: configOf([...still, 'train.patience=20']), output: outputOf('patient') });
    assert.deepEqual([end.reason, end.iteration, end.best?.since], ['iterations', 12, 11]);
  });
});

test('train.checkpointMinutes writes one where the last is old enough', async () => {
  const written: number[] = [];
  const sets = ['train.iterations=6', 'train.checkpointEvery=100', 'data.val=null'];
  const config = configOf([...sets, 'train.checkpointMinutes=0.02']);
  let iteration = 0;
  const observer: TrainObserver = {
    onCheckpoint: (_, at) => void written.push(at),
    onStep() {
      iteration++;
      // 1.2 seconds pass during the third step.
      if (iteration === 3) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1300);
    },
  };
  await train({ config, output: outputOf('minutes'), observer });
  // As others use the processors steps may take seconds: then there are more.
  assert.ok(written.includes(3) || written.includes(4), String(written));
  assert.equal(written.at(-1), 6);
});

test('the line has the AP once it is known, and the best beside another', async () => {
  const notes: string[] = [];
  const { line, updates } = lineInto(notes);
  const sets = ['train.iterations=4', 'train.evaluateEvery=2', 'train.optimizer.lr=1e-12'];
  const output = outputOf('line');
  await train({ config: configOf(sets), output, line });
  const steps = updates.filter((text) => text.includes('loss'));
  assert.deepEqual(
    steps.map((text) => / {2}AP -?\d\.\d{3} {2}/.test(text)),
    [false, false, true, true],
  );
  assert.match(notes.join('\n'), /Average Precision/);
  assert.ok(statSync(join(output, 'metrics.jsonl')).size > 0);
});
