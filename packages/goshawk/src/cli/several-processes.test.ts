// Trainings, evaluations and predictions in several processes, as a person starts them: what comes out is what one process gives, which
// is the test's own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { weightsApart } from '@goshawk/torch';
import { configToYaml } from '../config/index.js';
import { goshawkHere } from '../testing/goshawk-here.js';
import { writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { readMetrics } from '../train/metrics-log.js';

const goshawk = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const ITERATIONS = 8;
/** Of each tensor's largest value, after all steps: sums of two halves are rounded otherwise than the whole's. */
const TOLERANCE = 1e-5;

let folder: string;
let config: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-ranks-'));
  const { sets } = await writeTinyDataset(folder);
  config = join(folder, 'config.yaml');
  const training = [
    ...[
      `train.iterations=${ITERATIONS}`,
      'train.batchSize=2',
      'train.logEvery=1',
      'train.checkpointEvery=2',
      'train.keepCheckpoints=4',
    ],
    ...['train.optimizer.lr=0.002', 'train.schedule.warmupIterations=0', 'data.flip=0.5'],
    ...['preprocess.resize.trainMinSizes=[48,64]', 'model.boxHead.scoreThreshold=0.02'],
  ];
  writeFileSync(config, configToYaml(tinyConfig([...sets, ...training])));
});
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(args: readonly string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, [goshawk, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout!.on('data', (text: Buffer) => {
    stdout += text.toString();
  });
  child.stderr!.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, stderr }));
  return { child, ended };
}

async function run(args: readonly string[]): Promise<Ended> {
  const ended = await start(args).ended;
  assert.equal(ended.code, 0, ended.stderr);
  return ended;
}

/** In this process. */
async function runHere(args: readonly string[]): Promise<Ended> {
  const { code, out, err } = await goshawkHere(folder, args);
  assert.equal(code, 0, err);
  return { code, stdout: out, stderr: err };
}

const training = (output: string, ...more: readonly string[]) => [
  ...['train', config, '--output', join(folder, output)],
  ...more,
];

/** How far the weights that two runs ended with are apart. */
function difference(run: string, reference: string): number {
  const final = (output: string): string => join(folder, output, 'final.safetensors');
  return weightsApart(final(run), final(reference)).share;
}

/** Processes whose parent is this one; each rank is one of the supervisor's. */
function childrenOf(pid: number): number[] {
  return readdirSync(`/proc/${pid}/task`).flatMap((task) =>
    readFileSync(`/proc/${pid}/task/${task}/children`, 'utf8').split(' ').filter(Boolean).map(Number),
  );
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await setTimeout(10);
}

const lastIteration = (output: string): number => {
  const file = join(folder, output, 'metrics.jsonl');
  return existsSync(file) ? (readMetrics(file).at(-1)?.iteration ?? 0) : 0;
};

describe('several processes', { skip: process.platform !== 'linux' && 'reads /proc' }, () => {
  before(async () => {
    // Both keep to one thread a process, so that they need not wait for one another.
    await Promise.all([run(training('together', '--devices', 'cpu:2')), runHere(training('alone'))]);
  });

  test('train to the weights of one, with one writer', () => {
    const apart = difference('together', 'alone');
    assert.ok(apart < TOLERANCE, `${apart}`);
    const lines = readMetrics(join(folder, 'together', 'metrics.jsonl'));
    const expected = readMetrics(join(folder, 'alone', 'metrics.jsonl'));
    assert.deepEqual(
      lines.map(({ iteration }) => iteration),
      expected.map(({ iteration }) => iteration),
    );
    for (const [index, line] of lines.entries())
      if ('loss' in line) assert.ok(Math.abs((line.loss as number) - (expected[index]!.loss as number)) < 1e-4);
    assert.deepEqual(readdirSync(join(folder, 'together')).sort(), readdirSync(join(folder, 'alone')).sort());
  });

  test('that lose one to kill -9 end within ten seconds, and resume to the same weights, also as one', async () => {
    const { child, ended } = start(training('killed', '--devices', 'cpu:2'));
    await until(() => lastIteration('killed') >= 3);
    const ranks = childrenOf(child.pid!);
    assert.equal(ranks.length, 2);
    // The one that does not write.
    process.kill(ranks[1]!, 'SIGKILL');
    const killed = performance.now();
    const { code, stderr } = await ended;
    assert.ok(performance.now() - killed < 10_000);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /\ngoshawk: rank 1 of 2 \(cpu, process \d+ on .+\): was ended by SIGKILL .*: continue with --resume\n$/,
    );
    for (const pid of ranks) assert.ok(!existsSync(`/proc/${pid}`));
    const [first, second] = ['killed', 'killed-alone'];
    cpSync(join(folder, first), join(folder, second), { recursive: true });
    await Promise.all([run(training(first, '--resume', '--devices', 'cpu:2')), runHere(training(second, '--resume'))]);
    assert.equal(difference(first, 'together'), 0);
    assert.ok(difference(second, 'alone') < TOLERANCE);
  });

  test('go on where one was stopped', async () => {
    const grown = join(folder, 'grown');
    cpSync(join(folder, 'alone'), grown, { recursive: true });
    // What one that ended behind its second iteration had not written yet.
    const later = readdirSync(join(grown, 'checkpoints')).filter((name) => !name.startsWith('iteration-00000002'));
    assert.ok(later.length >= 3);
    for (const name of later) rmSync(join(grown, 'checkpoints', name));
    rmSync(join(grown, 'final.safetensors'));
    await run(training('grown', '--resume', '--devices', 'cpu:2'));
    // Written anew, by two.
    assert.equal(readdirSync(join(grown, 'checkpoints')).filter((name) => name.endsWith('.safetensors')).length, 4);
    assert.ok(difference('grown', 'alone') < TOLERANCE);
  });

  test('write one checkpoint when one of them gets a signal, and end well', async () => {
    const { child, ended } = start(training('stopped', '--devices', 'cpu:2'));
    await until(() => lastIteration('stopped') >= 1);
    process.kill(childrenOf(child.pid!)[1]!, 'SIGINT');
    const { code, stdout } = await ended;
    assert.equal(code, 0);
    const [, iteration] = /stopped after iteration (\d+): continue with --resume/.exec(stdout) ?? [];
    assert.equal(lastIteration('stopped'), Number(iteration));
    assert.ok(
      existsSync(join(folder, 'stopped', 'checkpoints', `iteration-${iteration!.padStart(8, '0')}.safetensors`)),
    );
  });

  test('find what one finds, to the byte', async () => {
    const weights = join(folder, 'alone', 'final.safetensors');
    const outputs = ['found-alone', 'found-together'].map((name) => join(folder, name));
    const evaluating = (output: string) => ['eval', config, '--weights', weights, '--output', output];
    const [two, one] = await Promise.all([
      run([...evaluating(outputs[1]!), '--devices', 'cpu:2']),
      runHere(evaluating(outputs[0]!)),
    ]);
    assert.equal(two.stdout, one.stdout);
    for (const name of ['detections.json', 'metrics.json'])
      assert.ok(readFileSync(join(outputs[1]!, name)).equals(readFileSync(join(outputs[0]!, name))), name);
    assert.ok(JSON.parse(readFileSync(join(outputs[0]!, 'detections.json'), 'utf8')).length > 8);
  });

  test('draw what one draws', async () => {
    const weights = join(folder, 'alone', 'final.safetensors');
    const outputs = ['drawn-alone', 'drawn-together'].map((name) => join(folder, name));
    const predicting = (output: string) => [
      ...['predict', config, '--weights', weights, '--output', output, '--score-threshold', '0.02'],
      ...['--contact-sheet', join(folder, 'images')],
    ];
    await Promise.all([run([...predicting(outputs[1]!), '--devices', 'cpu:2']), runHere(predicting(outputs[0]!))]);
    const names = readdirSync(outputs[0]!).sort();
    assert.deepEqual(readdirSync(outputs[1]!).sort(), names);
    for (const name of names)
      assert.ok(readFileSync(join(outputs[1]!, name)).equals(readFileSync(join(outputs[0]!, name))), name);
  });

  test('say once what is wrong with the input', async () => {
    const { code, stderr } = await start(training('wrong', '--devices', 'cpu:2', '--init', 'missing.pth')).ended;
    assert.equal(code, 2);
    assert.equal(stderr, 'goshawk: missing.pth: no such file: check the path\n');
  });

  test('end at the same step where the clock or patience ends them, which one of them knows', async () => {
    const training = (name: string, ...sets: string[]) => {
      const set = ['data.workers=0', ...sets].flatMap((one) => ['--set', one]);
      return run(['train', config, '--devices', 'cpu:2', '--output', join(folder, name), ...set]);
    };
    const sets = ['train.patience=2', 'train.evaluateEvery=1', 'train.optimizer.lr=1e-12', 'train.iterations=50'];
    const [byClock, byPatience] = await Promise.all([
      training('clock', 'train.minutes=0.06', 'train.schedule.decay=cosine'),
      training('patience', ...sets),
    ]);
    assert.match(byClock.stdout, /^trained \d+ iterations?: /m);
    const rates = readMetrics(join(folder, 'clock/metrics.jsonl')).flatMap(({ lr }) =>
      typeof lr === 'number' ? [lr] : [],
    );
    // Where others use the processors there may be a step or two.
    assert.ok(rates.length < 3 || rates.at(-1)! < rates[0]! / 2, rates.join(' '));
    assert.match(byPatience.stdout, /^trained 3 iterations: /m);
    assert.match(byPatience.stderr, /^iteration 3: the last 2 evaluations brought no better AP/m);
  });
});
