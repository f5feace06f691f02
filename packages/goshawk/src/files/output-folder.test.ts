import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { mayMount } from '../testing/may-mount.js';
import { claimOutput, requireWritableFile } from './output-folder.js';
import { LOCK_NAME } from './run-lock.js';

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'goshawk-output-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const work = 'goshawk test';
const inputError = (message: RegExp) => (error: unknown) => error instanceof InputError && message.test(error.message);

/** A process that holds the folder until it is ended. */
async function holder(output: string): Promise<ChildProcess> {
  const module = new URL('./output-folder.js', import.meta.url).href;
  const tidyEnd = new URL('./tidy-end.js', import.meta.url).href;
  const program = `
    const { claimOutput } = await import('${module}');
    (await import('${tidyEnd}')).endTidilyOnSignals();
    claimOutput(${JSON.stringify(output)}, { work: 'goshawk train' });
    console.log('held');
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout!, 'data');
  return child;
}

describe('claimOutput', () => {
  test('makes the folder, and leaves nothing where nothing was written', () => {
    const claim = claimOutput(path.join(folder, 'a', 'b'), { work });
    assert.deepEqual(readdirSync(path.join(folder, 'a', 'b')), [LOCK_NAME]);
    claim.release();
    assert.deepEqual(readdirSync(folder), []);
  });

  test('keeps what was written', () => {
    const claim = claimOutput(path.join(folder, 'a'), { work });
    writeFileSync(path.join(folder, 'a', 'kept'), '');
    claim.release();
    claim.release();
    assert.deepEqual(readdirSync(path.join(folder, 'a')), ['kept']);
  });

  test('refuses a second process, says who is there, and lets it in once the first is gone', async () => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGKILL'] as const) {
      const first = await holder(folder);
      assert.throws(
        () => claimOutput(folder, { work }),
        inputError(
          new RegExp(
            `: goshawk train is at work there \\(process ${first.pid}, since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d UTC\\): wait for it, end it, or choose another output$`,
          ),
        ),
      );
      first.kill(signal);
      const [code] = (await once(first, 'exit')) as [number | null];
      assert.equal(code, { SIGTERM: 143, SIGINT: 130, SIGKILL: null }[signal]);
      // Only a kill leaves the file, which then counts for nothing.
      assert.equal(existsSync(path.join(folder, LOCK_NAME)), signal === 'SIGKILL');
      claimOutput(folder, { work }).release();
      assert.deepEqual(readdirSync(folder), []);
    }
  });

  test('tells a process from a later one of the same number', () => {
    claimOutput(folder, { work });
    const lock = path.join(folder, LOCK_NAME);
    const held = JSON.parse(readFileSync(lock, 'utf8')) as { started: string };
    assert.throws(() => claimOutput(folder, { work }), inputError(/goshawk test is at work there/));
    writeFileSync(lock, JSON.stringify({ ...held, started: `${Number(held.started) - 1}` }));
    claimOutput(folder, { work }).release();
  });

  test('waits for signs of life of a process on another machine', () => {
    const lock = path.join(folder, LOCK_NAME);
    writeFileSync(
      lock,
      JSON.stringify({ pid: 1, host: `not-${hostname()}`, boot: 'other', since: '2020-01-01T00:00:00Z', work }),
    );
    assert.throws(
      () => claimOutput(folder, { work }),
      inputError(/process 1 on not-.*or remove .*\.goshawk-lock if it/),
    );
    const past = Date.now() / 1000 - 3600;
    utimesSync(lock, past, past);
    claimOutput(folder, { work }).release();
  });

  test('a lock that is no lock counts for nothing', () => {
    writeFileSync(path.join(folder, LOCK_NAME), '{');
    claimOutput(folder, { work }).release();
    assert.deepEqual(readdirSync(folder), []);
  });

  test('of many that start at once, one gets it', { skip: process.platform !== 'linux' }, async () => {
    writeFileSync(path.join(folder, LOCK_NAME), JSON.stringify({ pid: 2 ** 30, host: hostname(), since: '', work }));
    const module = new URL('./output-folder.js', import.meta.url).href;
    // All wait for the same word, and whoever gets the folder keeps it until the last has tried.
    const program = `
      const { readSync } = await import('node:fs');
      const { claimOutput } = await import('${module}');
      const word = Buffer.alloc(1);
      console.log('ready');
      readSync(0, word);
      try { claimOutput(${JSON.stringify(folder)}, { work: 'w' }); console.log('held'); } catch (error) { console.log(error.name); }
      readSync(0, word);`;
    const children = Array.from({ length: 6 }, () =>
      spawn(process.execPath, ['--input-type=module', '-e', program], { stdio: ['pipe', 'pipe', 'inherit'] }),
    );
    const said = (child: ChildProcess) => once(child.stdout!, 'data').then(([text]) => String(text).trim());
    assert.deepEqual(await Promise.all(children.map(said)), Array(6).fill('ready'));
    const answers = Promise.all(children.map(said));
    for (const child of children) child.stdin.write('.');
    const outcomes = await answers;
    const ended = Promise.all(children.map((child) => once(child, 'exit')));
    for (const child of children) child.stdin.end();
    await ended;
    assert.deepEqual(outcomes.toSorted(), [
      'InputError',
      'InputError',
      'InputError',
      'InputError',
      'InputError',
      'held',
    ]);
  });
});

describe('an output that cannot be written is refused with the cause, and nothing is made', () => {
  const place = (at: string): readonly (() => void)[] => [
    () => claimOutput(at, { work }),
    () => requireWritableFile(path.join(at, 'file.json')),
  ];
  const refused = (at: string, message: RegExp): void => {
    for (const attempt of place(at)) assert.throws(attempt, inputError(message));
  };

  test('below a file', () => {
    writeFileSync(path.join(folder, 'file'), '');
    refused(path.join(folder, 'file'), /a part of its path is a file, not a folder/);
    refused(path.join(folder, 'file', 'a', 'b'), /a part of its path is a file, not a folder/);
    assert.deepEqual(readdirSync(folder), ['file']);
  });

  test('below a name that is too long', () => {
    refused(path.join(folder, 'new', 'x'.repeat(300)), /the name is too long/);
    assert.deepEqual(readdirSync(folder), []);
  });

  test('where a folder has the name of a file that will be written', () => {
    mkdirSync(path.join(folder, 'out', 'metrics.json'), { recursive: true });
    const message = /metrics\.json: is a folder \(expected a file, or nothing\): move it away$/;
    assert.throws(() => claimOutput(path.join(folder, 'out'), { work, files: ['metrics.json'] }), inputError(message));
    assert.throws(() => requireWritableFile(path.join(folder, 'out', 'metrics.json')), inputError(message));
    assert.deepEqual(readdirSync(path.join(folder, 'out')), ['metrics.json']);
  });

  test('without permission', { skip: process.getuid?.() === 0 ? 'root may write everywhere' : false }, () => {
    mkdirSync(path.join(folder, 'closed'), { mode: 0o500 });
    refused(path.join(folder, 'closed'), /may not be written/);
    refused(path.join(folder, 'closed', 'new'), /may not be written/);
  });

  describe('on a file system of its own', { skip: mayMount() ? false : 'needs the right to mount' }, () => {
    let mounted = '';
    beforeEach(() => {
      mounted = path.join(folder, 'mounted');
      mkdirSync(mounted);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', mounted]);
    });
    afterEach(() => execFileSync('umount', [mounted]));

    test('that is full', () => {
      assert.throws(() => writeFileSync(path.join(mounted, 'filler'), Buffer.alloc(100_000)), { code: 'ENOSPC' });
      refused(mounted, /the disk is full: make room or choose another place/);
      refused(path.join(mounted, 'a', 'b'), /the disk is full/);
      assert.deepEqual(readdirSync(mounted), ['filler']);
    });

    test('that is read-only', () => {
      execFileSync('mount', ['-o', 'remount,ro', mounted]);
      refused(mounted, /lies on a read-only file system/);
      refused(path.join(mounted, 'a', 'b'), /lies on a read-only file system/);
    });
  });

  test('but a device is written as it is', () => requireWritableFile('/dev/null'));
});
