import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { superviseRanks } from './supervisor.js';

const rankProgram = fileURLToPath(new URL('./fixtures/rank-program.js', import.meta.url));
const supervisorProgram = fileURLToPath(new URL('./fixtures/supervisor-program.js', import.meta.url));

interface Run {
  readonly exitCode: number | undefined;
  /** Why it failed. */
  readonly error: Error | undefined;
  readonly pids: readonly number[];
  readonly seconds: number;
}

/** Ranks that each do what their word says. */
async function supervise(words: readonly string[], { timeoutSeconds = 60 } = {}): Promise<Run> {
  const pids: number[] = [];
  const started = performance.now();
  const settled = await superviseRanks({
    command: [process.execPath, rankProgram],
    args: words,
    environment: {},
    timeoutSeconds,
    ranks: words.map((_, rank) => ({
      device: 'cpu',
      place: { rank, size: words.length, localRank: rank, localSize: words.length, host: '127.0.0.1', port: 1 },
    })),
    onNote: (line) => pids.push(pidIn(line)),
  }).then(
    (exitCode) => ({ exitCode, error: undefined }),
    (error: Error) => ({ exitCode: undefined, error }),
  );
  return { ...settled, pids, seconds: (performance.now() - started) / 1000 };
}

function pidIn(note: string): number {
  return Number(/process (\d+)/.exec(note)![1]);
}

/** Whether a process is there and has not ended; one that nobody has waited for has. */
function isRunning(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/^. ?Z/.test(stat.slice(stat.lastIndexOf(')') + 2));
  } catch {
    return false;
  }
}

function assertNothingLeft({ pids }: Pick<Run, 'pids'>, count = 2): void {
  assert.equal(pids.length, count);
  for (const pid of pids) assert.ok(!isRunning(pid), `process ${pid} is still running`);
}

describe('a supervisor', { skip: process.platform !== 'linux' && 'reads /proc' }, () => {
  test('ends with 0 when all ranks have', async () => {
    const run = await supervise(['ends', 'ends']);
    assert.deepEqual([run.exitCode, run.error], [0, undefined]);
    assertNothingLeft(run);
  });

  test('names the rank that died, what it was ended by, where, and what is kept, within ten seconds', async () => {
    const run = await supervise(['works', 'dies']);
    assert.match(
      run.error!.message,
      /^rank 1 of 2 \(cpu, process \d+ on [^)]+\): was ended by SIGKILL \(by a person, .*\) after iteration 12 \(a line on stderr\); iteration 7 is saved: continue with --resume$/,
    );
    // Three seconds of its life, and the start of both on a busy machine.
    assert.ok(run.seconds < 3 + 3 + 10, `${run.seconds} s`);
    assertNothingLeft(run);
  });

  test('names the rank that failed by itself, not the one that only missed it', async () => {
    const run = await supervise(['misses', 'fails']);
    assert.match(run.error!.message, /^rank 1 of 2 \(.*\): the disk is full; iteration 7 is saved/);
    assertNothingLeft(run);
  });

  test('names the rank that does not answer, which another one waited for', async () => {
    const run = await supervise(['misses:1', 'hangs']);
    assert.match(
      run.error!.message,
      /^rank 1 of 2 \(.*\): did not answer \(rank 1 did not come\) after iteration 3 \(a line on stderr\);/,
    );
    assertNothingLeft(run);
  });

  for (const word of ['hangs', 'sleeps'])
    test(`ends a run in which a rank ${word}, at the time limit`, async () => {
      const run = await supervise(['works', word], { timeoutSeconds: 4 });
      assert.match(run.error!.message, /^rank 1 of 2 \(.*\): did not get on for 4 s/);
      assert.ok(run.seconds < 4 + 10 + 5, `${run.seconds} s`);
      assertNothingLeft(run);
    });

  test('says what is wrong with the input as one process does', async () => {
    const run = await supervise(['badInput', 'works']);
    assert.deepEqual([run.error!.name, run.error!.message], ['InputError', 'config.yaml: data.train: is not set']);
    // The other one may have been ended before it said anything.
    assertNothingLeft(run, run.pids.length);
  });
});

interface Started {
  readonly child: ChildProcess;
  readonly ended: Promise<readonly [code: number | null, signal: string | null]>;
  readonly pids: readonly number[];
}

/** A supervisor in a process of its own, and the processes of its ranks. */
async function startSupervisor(words: readonly string[]): Promise<Started> {
  const child = spawn(process.execPath, [supervisorProgram, '60', ...words], { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const pids: number[] = [];
  child.stderr!.on('data', (text: Buffer) => {
    for (const [, pid] of text.toString().matchAll(/rank \d+: process (\d+)/g)) pids.push(Number(pid));
  });
  while (pids.length < words.length) await setTimeout(20);
  return { child, ended, pids };
}

describe('a run in a process tree', { skip: process.platform !== 'linux' && 'reads /proc' }, () => {
  test('leaves nothing when its supervisor is killed, a rank that the engine holds included', async () => {
    const { child, ended, pids } = await startSupervisor(['works', 'hangs', 'leaves']);
    child.kill('SIGKILL');
    await ended;
    const started = performance.now();
    while (pids.some(isRunning) && performance.now() - started < 20_000) await setTimeout(50);
    assertNothingLeft({ pids }, 3);
    assert.ok(performance.now() - started < 10_000);
  });

  for (const whom of ['the supervisor', 'one rank'] as const)
    test(`ends in all ranks by a signal to ${whom}, tidily`, async () => {
      const { child, ended, pids } = await startSupervisor(['leaves', 'leaves']);
      await setTimeout(200);
      process.kill(whom === 'the supervisor' ? child.pid! : pids[1]!, 'SIGINT');
      assert.deepEqual(await ended, [130, null]);
      assertNothingLeft({ pids });
    });

  test('is done well where the ranks make an end of their work by the signal', async () => {
    const { child, ended, pids } = await startSupervisor(['works', 'works']);
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [0, null]);
    assertNothingLeft({ pids });
  });

  test('ends at once by a second signal', async () => {
    const { child, ended, pids } = await startSupervisor(['works', 'hangs']);
    await setTimeout(600);
    child.kill('SIGINT');
    await setTimeout(200);
    child.kill('SIGINT');
    assert.deepEqual(await ended, [130, null]);
    assertNothingLeft({ pids });
  });
});
