// A training over TCP between two machines, whose cable is pulled.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { configToYaml } from '../config/index.js';
import { writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyConfig } from '../testing/tiny-detector.js';
import { makeTwoMachines, type TwoMachines } from '../testing/two-machines.js';
import { readMetrics } from '../train/metrics-log.js';

const goshawk = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const PORT = 29_500;
/** Seconds without an answer after which the run is to end. */
const TIMEOUT = 16;

const made = process.platform === 'linux' ? makeTwoMachines() : { refused: 'Linux alone has network namespaces' };
const machines: TwoMachines | undefined = 'refused' in made ? undefined : made;
if (machines) process.on('exit', () => machines.remove());

describe('two machines', { skip: 'refused' in made && made.refused }, () => {
  test('train together, end both with a message when the cable is pulled, and go on from there', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'goshawk-machines-'));
    try {
      const { sets } = await writeTinyDataset(folder);
      const config = join(folder, 'config.yaml');
      const training = ['train.batchSize=2', 'train.logEvery=1', 'train.checkpointEvery=5', 'data.val=null'];
      writeFileSync(config, configToYaml(tinyConfig([...sets, ...training])));
      const output = join(folder, 'run');
      const steps = (): number =>
        existsSync(join(output, 'metrics.jsonl'))
          ? (readMetrics(join(output, 'metrics.jsonl')).at(-1)?.iteration ?? 0)
          : 0;
      /** The same command on both, but for the machine's number. */
      const launch = (iterations: number) =>
        [0, 1].map(async (rank) => {
          const master = `${machines!.address}:${PORT}`;
          const launching = ['launch', '--nodes', '2', '--node-rank', `${rank}`, '--master', master];
          const words = ['train', config, '--output', output, '--resume', '--iterations', `${iterations}`];
          const [program, ...args] = [...machines!.on[rank]!, process.execPath, goshawk];
          const child = spawn(program!, [...args, ...launching, '--timeout', `${TIMEOUT}`, '--', ...words], {
            stdio: ['ignore', 'ignore', 'pipe'],
          });
          let stderr = '';
          child.stderr!.on('data', (text: Buffer) => {
            stderr += text.toString();
          });
          const [code] = (await once(child, 'close')) as [number | null];
          return { code, stderr, at: performance.now() };
        });

      const cut = launch(100_000);
      const early = Promise.race(cut).then(({ stderr }) => assert.fail(`ended early: ${stderr}`));
      early.catch(() => undefined);
      while (steps() < 5) await Promise.race([early, setTimeout(20)]);
      machines!.connect(false);
      const pulled = performance.now();
      for (const [rank, { code, stderr, at }] of (await Promise.all(cut)).entries()) {
        assert.equal(code, 1, stderr);
        assert.ok(at - pulled < (TIMEOUT + 10) * 1000, `machine ${rank} ended after ${(at - pulled) / 1000} s`);
        assert.match(
          stderr,
          new RegExp(
            `goshawk: rank ${rank} of 2 \\(process \\d+ on .+\\): .*(rank ${1 - rank}|cannot reach the ranks)`,
          ),
        );
      }

      machines!.connect(true);
      const done = steps();
      for (const { code, stderr } of await Promise.all(launch(done + 3))) assert.equal(code, 0, stderr);
      assert.equal(steps(), done + 3);
    } finally {
      machines!.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
