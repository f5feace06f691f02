// `goshawk serve` as a process: what it listens on, whom it answers, how it ends, and the commands of docs/server.md.
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openOnnxRuntime, SKIPPED } from '../testing/exported-detector.js';
import { goshawkHere } from '../testing/goshawk-here.js';
import { send } from '../testing/tiny-server.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';

const goshawk = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const fixtures = fileURLToPath(new URL('../../src/data/fixtures/bad-images/', import.meta.url));
const page = fileURLToPath(new URL('../../../../docs/server.md', import.meta.url));
const ok = readFileSync(join(fixtures, 'ok1.jpg'));

// A person's own would let requests in.
delete process.env.GOSHAWK_TOKEN;

let folder: string;
let weights: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-serve-command-'));
  weights = writeTinyModel(folder).weights;
});
after(() => rmSync(folder, { recursive: true }));

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  readonly errors: () => string;
}

const running = new Set<ChildProcess>();
after(() => {
  for (const child of running) child.kill('SIGKILL');
});

async function start(
  options: readonly string[] = [],
  variables: Readonly<Record<string, string>> = {},
  model = weights,
): Promise<Started> {
  const child = spawn(process.execPath, [goshawk, 'serve', model, '--port', '0', '--json', ...options], {
    env: { ...process.env, OMP_NUM_THREADS: '1', ...variables },
  });
  running.add(child);
  child.once('exit', () => running.delete(child));
  let errors = '';
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString();
  });
  const [line] = await Promise.race([once(child.stdout, 'data'), once(child, 'exit').then(() => assert.fail(errors))]);
  return { child, url: JSON.parse(String(line)).url, errors: () => errors };
}

async function ended({ child }: Started): Promise<number | null> {
  if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  return child.exitCode;
}

function refused(...args: readonly string[]): { readonly status: number | null; readonly message: string } {
  const { status, stderr } = spawnSync(process.execPath, [goshawk, 'serve', ...args], { encoding: 'utf8' });
  return { status, message: stderr.trim().split('\n').at(-1)! };
}

/** Addresses that a process listens on, as Linux tells them: `0100007F:1F90`. */
function listensOn(pid: number): string[] {
  const own = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((fd) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${fd}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  const LISTEN = '0A';
  return ['tcp', 'tcp6', 'udp', 'udp6'].flatMap((kind) =>
    readFileSync(`/proc/${pid}/net/${kind}`, 'utf8')
      .trim()
      .split('\n')
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((columns) => own.has(columns[9]!) && (columns[3] === LISTEN || kind.startsWith('udp')))
      .map((columns) => columns[1]!),
  );
}

/** Requests one after another over one connection, until it is closed to new ones. */
async function load(
  url: string,
  onAnswer: () => void,
): Promise<{ readonly answered: number; readonly lost: string[] }> {
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const lost: string[] = [];
  let answered = 0;
  for (let isOpen = true; isOpen; )
    isOpen = await new Promise<boolean>((done) => {
      const sent = request(
        `${url}/v1/detect`,
        { method: 'POST', agent, headers: { 'content-type': 'image/jpeg' } },
        (response) => {
          let text = '';
          response.on('data', (chunk: Buffer) => {
            text += chunk.toString();
          });
          response.on('error', (error) => {
            lost.push(error.message);
            done(false);
          });
          response.on('end', () => {
            if (response.statusCode === 200 && Array.isArray(JSON.parse(text).detections)) answered += 1;
            else lost.push(`${response.statusCode} ${text}`);
            onAnswer();
            done(true);
          });
        },
      );
      sent.on('error', (error: NodeJS.ErrnoException) => {
        // Not accepted: nothing listens any more.
        if (error.code !== 'ECONNREFUSED') lost.push(`${error.code}`);
        done(false);
      });
      sent.end(ok);
    });
  agent.destroy();
  return { answered, lost };
}

const ort = await openOnnxRuntime();
const hasCurl = spawnSync('curl', ['--version']).status === 0;

describe('goshawk serve for other machines', () => {
  let started: Started;
  let base: string;
  before(async () => {
    started = await start(['--host', '0.0.0.0'], { GOSHAWK_TOKEN: 'open-sesame' });
    base = started.url.replace('0.0.0.0', '127.0.0.1');
  });

  test('answers those alone who have the token', async () => {
    assert.equal((await send(`${base}/v1/model`)).status, 401);
    const authorization = 'Bearer open-sesame';
    assert.equal((await send(`${base}/v1/model`, { headers: { authorization } })).status, 200);
  });

  test('does not start where there is none', async () => {
    const { code, err } = await goshawkHere(folder, ['serve', weights, '--host', '0.0.0.0']);
    assert.equal(code, 2);
    assert.match(err, /^goshawk: --host 0\.0\.0\.0: .*GOSHAWK_TOKEN or with --token/);
  });

  test('the commands of docs/server.md do what it says', {
    skip: hasCurl ? false : 'curl is not installed',
  }, async () => {
    const commands = [...readFileSync(page, 'utf8').matchAll(/^```sh\n(.*?)^```$/gms)]
      .flatMap(([, block]) => block!.trim().split('\n'))
      .filter((line) => line.startsWith('curl '));
    assert.ok(commands.length >= 8);
    copyFileSync(join(fixtures, 'ok1.jpg'), join(folder, 'photo.jpg'));
    copyFileSync(join(fixtures, 'palette.png'), join(folder, 'other.png'));
    for (const command of commands) {
      const there = command.replace('http://127.0.0.1:8080', base);
      // Without the header that the page shows once.
      const withToken = there.includes('authorization')
        ? there
        : there.replace('curl', 'curl -H "authorization: Bearer $GOSHAWK_TOKEN"');
      const { stdout } = await promisify(execFile)(
        'sh',
        ['-c', withToken.replace('curl', 'curl -sS --fail-with-body')],
        {
          cwd: folder,
          env: { ...process.env, GOSHAWK_TOKEN: 'open-sesame' },
        },
      );
      if (command.includes('-o drawn.png'))
        assert.equal(readFileSync(join(folder, 'drawn.png')).toString('latin1', 1, 4), 'PNG');
      else if (command.includes('/metrics')) assert.match(stdout, /^goshawk_ready 1$/m);
      else assert.equal(typeof JSON.parse(stdout), 'object', command);
    }
  });

  // The last one.
  test('ends at once by a second signal', async () => {
    const idle = new Agent({ keepAlive: true });
    await new Promise((done) => request(`${base}/healthz`, { agent: idle }, (r) => r.resume().on('end', done)).end());
    started.child.kill('SIGINT');
    while (!started.errors().includes('ending')) await setTimeout(5);
    started.child.kill('SIGINT');
    assert.equal(await ended(started), null);
    assert.equal(started.child.signalCode, 'SIGINT');
    assert.doesNotMatch(started.errors(), /sesame/);
    idle.destroy();
  });
});

describe('goshawk serve', () => {
  test('listens on this machine and on nothing else, and loses no request that it accepted when SIGTERM comes under load', async () => {
    const started = await start();
    const port = Number(new URL(started.url).port);
    const hex = port.toString(16).toUpperCase().padStart(4, '0');
    assert.deepEqual(listensOn(started.child.pid!), [`0100007F:${hex}`]);
    const taken = await goshawkHere(folder, ['serve', weights, '--port', String(port)]);
    assert.equal(taken.code, 2);
    assert.match(
      taken.err.trim().split('\n').at(-1)!,
      /^goshawk: 127\.0\.0\.1:\d+: is in use by another program .*: choose another with --port$/,
    );
    let done = 0;
    const clients = Array.from({ length: 16 }, () =>
      load(started.url, () => {
        done += 1;
        if (done === 40) started.child.kill('SIGTERM');
      }),
    );
    const outcomes = await Promise.all(clients);
    assert.deepEqual(
      outcomes.flatMap(({ lost }) => lost),
      [],
    );
    const answered = outcomes.reduce((sum, outcome) => sum + outcome.answered, 0);
    assert.ok(answered > 40, `${answered}`);
    assert.equal(await ended(started), 0);
  });

  test('crashes in no call of ONNX Runtime when it is told twice to end', {
    skip: ort ? false : SKIPPED,
  }, async () => {
    const exported = join(folder, 'model.onnx');
    assert.equal((await goshawkHere(folder, ['export', weights, '--output', exported])).code, 0);
    const started = await start(['--threads', '1'], {}, exported);
    let done = 0;
    const clients = Array.from({ length: 8 }, () =>
      load(started.url, () => {
        done += 1;
        if (done === 20) started.child.kill('SIGTERM');
      }),
    );
    while (!started.errors().includes('ending')) await setTimeout(1);
    started.child.kill('SIGTERM');
    // On a busy machine it may have answered all before the second signal comes.
    const code = await ended(started);
    assert.ok(code === 0 || started.child.signalCode === 'SIGTERM', `${started.child.signalCode}: ${started.errors()}`);
    await Promise.all(clients);
  });

  test('ends well when it is told to while it opens a model', async () => {
    const child = spawn(process.execPath, [goshawk, 'serve', weights, '--port', '0']);
    running.add(child);
    child.once('exit', () => running.delete(child));
    await once(child.stderr, 'data');
    child.kill('SIGTERM');
    const [code] = await once(child, 'exit');
    assert.equal(code, 0);
  });

  test('says in one line what cannot be served', async () => {
    const foreign = join(folder, 'foreign.onnx');
    writeFileSync(foreign, 'an ONNX file of another program');
    const before: readonly (readonly [readonly string[], RegExp])[] = [
      [[join(folder, 'none.safetensors')], /none\.safetensors: no such file/],
      [[join(folder, 'none.onnx')], /none\.onnx: no such file/],
      [[foreign, '--config', 'config.yaml'], /--config: an exported detector brings its config/],
      [[weights, '--port', '65536'], /--port 65536: expected a whole number from 0 to 65535/],
      [[weights, '--token', 'two words'], /--token: is empty or has signs/],
      [[weights, '--queue', '4', '--max-pictures', '5'], /--max-pictures 5: has no room in the queue of 4/],
    ];
    for (const [args, expected] of before) {
      const { code, err } = await goshawkHere(folder, ['serve', ...args]);
      assert.equal(code, 2, err);
      assert.match(err, expected);
    }
    // Known once threads and sockets are there, which have to go.
    const none = await goshawkHere(folder, ['serve', foreign, '--port', '0']);
    assert.equal(none.code, 2, none.err);
    assert.match(none.err, /foreign\.onnx: is no ONNX file that goshawk exported/);
    const { status, message } = refused(weights, '--host', '192.0.2.1', '--token', 'x', '--port', '0');
    assert.equal(status, 2, message);
    assert.match(message, /192\.0\.2\.1:0: cannot be listened on/);
  });
});
