import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { readModelDescription } from '@goshawk/runtime';
import { writeTinyModel } from '../testing/write-tiny-model.js';

const main = fileURLToPath(new URL('./main.js', import.meta.url));
const page = fileURLToPath(new URL('../../browser/index.html', import.meta.url));
const skip = !existsSync(page) && "the browser's page was not built: run `npm run setup`";

describe('goshawk demo --browser', { skip }, () => {
  let folder: string;
  let demo: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), 'goshawk-demo-page-'));
    demo = join(folder, 'demo');
    mkdirSync(join(demo, 'training'), { recursive: true });
    writeFileSync(join(demo, 'ABOUT.txt'), '');
    renameSync(writeTinyModel(folder).weights, join(demo, 'training', 'final.safetensors'));
  });
  after(() => rmSync(folder, { recursive: true }));

  /** @returns its address, once it says it */
  async function started(): Promise<{ child: ChildProcess; address: string }> {
    const child = spawn(process.execPath, [main, 'demo', '--browser', '--output', demo, '--port', '0'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [said] = (await once(child.stdout!, 'data')) as [Buffer];
    const address = /^http:\/\/127\.0\.0\.1:\d+\//.exec(String(said))?.[0];
    assert.ok(address, String(said));
    return { child, address };
  }

  test('serves the page with the model of the demo that is there, exported again where it is older, until Ctrl+C', async () => {
    const model = join(demo, 'model.onnx');
    writeFileSync(model, 'old');
    utimesSync(model, 1, 1);
    const { child, address } = await started();
    assert.match(await (await fetch(address)).text(), /<title>Goshawk in the browser</);
    const bytes = new Uint8Array(await (await fetch(`${address}model.onnx`)).arrayBuffer());
    assert.deepEqual(
      readModelDescription(bytes).categories.map(({ name }) => name),
      ['red', 'blue'],
    );
    assert.deepEqual(new Uint8Array(readFileSync(model)), bytes);
    assert.equal((await fetch(`${address}training/final.safetensors`)).status, 404);
    child.kill('SIGINT');
    assert.deepEqual(await once(child, 'exit'), [130, null]);
  });

  const refused = (...words: readonly string[]) => {
    const { status, stderr } = spawnSync(process.execPath, [main, 'demo', ...words], { encoding: 'utf8' });
    assert.equal(status, 2);
    return stderr;
  };

  test('a port that is none, that is taken, or that has no page is refused in a line', async () => {
    assert.match(
      refused('--browser', '--port', '70000'),
      /^goshawk: --port 70000: expected a whole number from 0 to 65535: correct it\n$/,
    );
    assert.match(
      refused('--output', demo, '--port', '1'),
      /^goshawk: --port: is that of the page of --browser: give both, or neither\n$/,
    );
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    assert.match(
      refused('--browser', '--output', demo, '--port', String(port)),
      /^goshawk: --port: \d+ is taken by another process: name another one\n$/,
    );
    taken.close();
  });
});
