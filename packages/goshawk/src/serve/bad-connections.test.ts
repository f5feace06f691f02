// Clients that are slow, break off, or speak no HTTP: the server answers by the right status within its limits, and goes on.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { setThreads } from '@goshawk/torch';
import { send, sendPieces, startTinyServer, type TinyServer } from '../testing/tiny-server.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';

setThreads(1);
const fixtures = fileURLToPath(new URL('../../src/data/fixtures/bad-images/', import.meta.url));
const ok = readFileSync(join(fixtures, 'ok1.jpg'));
const ARRIVAL = 1;

let folder: string;
let server: TinyServer;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-connections-'));
  server = await startTinyServer(writeTinyModel(folder).weights, { limits: { arrival: ARRIVAL, maxBytes: 100_000 } });
  await server.ready;
});
after(async () => {
  await server.drain(5);
  rmSync(folder, { recursive: true });
});

const head = (length: number | string) =>
  `POST /v1/detect HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: image/jpeg\r\ncontent-length: ${length}\r\n\r\n`;
const answers = async (): Promise<void> => {
  const { status } = await send(`${server.base}/v1/detect`, {
    method: 'POST',
    headers: { 'content-type': 'image/jpeg' },
    body: ok,
  });
  assert.equal(status, 200);
};
const sample = async (name: string): Promise<number> => {
  const text = (await send(`${server.base}/metrics`)).body.toString();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(text)?.[1]);
};
const until = async (isSo: () => Promise<boolean>): Promise<void> => {
  for (let round = 0; round < 200 && !(await isSo()); round++) await setTimeout(25);
  assert.ok(await isSo());
};

test('headers and bodies that trickle in end with 408, many at once, while others are answered', async () => {
  const slowHeaders = [...'GET /v1/model HTTP/1.1\r\nhost: 127.0.0.1\r\nx-slow: yes and no'].concat(
    Array(400).fill('x'),
  );
  const slowBody = [head(ok.length), ...Array.from(ok.subarray(0, 400), (byte) => Uint8Array.of(byte))];
  const slow = Array.from({ length: 40 }, (_, i) =>
    sendPieces(server.port, i % 2 ? slowHeaders : slowBody, { everyMs: 50 }),
  );
  const started = performance.now();
  await answers();
  for (const said of await Promise.all(slow)) assert.match(said, /^HTTP\/1\.1 408 .*arrival-timeout/s);
  // Each is looked at every quarter of the time, at the latest.
  assert.ok(performance.now() - started < 15_000);
  await answers();
});

test('a body that is cut off leaves nothing behind', async () => {
  for (const body of [ok.subarray(0, 500), Buffer.alloc(0)]) {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.write(head(ok.length));
    socket.write(body);
    await setTimeout(50);
    socket.destroy();
  }
  const ended = await sendPieces(server.port, [head(ok.length), ok.subarray(0, 500)], { end: true });
  assert.doesNotMatch(ended, / 200 /);
  await until(async () => (await sample('goshawk_held_bytes')) === 0);
  await answers();
});

test('a client that leaves before its answer is not waited for', async () => {
  const leaving = Array.from({ length: 20 }, async () => {
    const socket = connect(server.port, '127.0.0.1');
    await once(socket, 'connect');
    socket.end(Buffer.concat([Buffer.from(head(ok.length)), ok]));
    await setTimeout(5);
    socket.destroy();
  });
  await Promise.all(leaving);
  await until(async () => (await sample('goshawk_queue_pictures')) + (await sample('goshawk_pictures_in_work')) === 0);
  assert.equal(await sample('goshawk_held_bytes'), 0);
  await answers();
});

test('a body that is too large is refused before it has all come', async () => {
  const piece = Buffer.alloc(60_000, 1);
  const told = await sendPieces(server.port, [head(1e9), ...Array<Buffer>(4).fill(piece)], { everyMs: 5 });
  assert.match(told, /^HTTP\/1\.1 413 /);
  const chunk = Buffer.concat([Buffer.from('ea60\r\n'), piece, Buffer.from('\r\n')]);
  const start = head(1).replace('content-length: 1', 'transfer-encoding: chunked');
  const untold = await sendPieces(server.port, [start, ...Array<Buffer>(5).fill(chunk)], { everyMs: 5 });
  assert.match(untold, /^HTTP\/1\.1 413 /);
  await answers();
});

test('what is no HTTP is refused', async () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03', /^HTTP\/1\.1 400 /],
    ['GET / HTTP/1.1\r\n\r\n', /^HTTP\/1\.1 400 /],
    [head('twelve'), /^HTTP\/1\.1 400 /],
    [`${head(4).replace('\r\n\r\n', '\r\ntransfer-encoding: chunked\r\n\r\n')}`, /^HTTP\/1\.1 400 /],
    [
      'CONNECT elsewhere.example:443 HTTP/1.1\r\nhost: elsewhere.example\r\n\r\n',
      /^HTTP\/1\.1 405 .*"code":"method-not/s,
    ],
    [`GET / HTTP/1.1\r\nhost: 127.0.0.1\r\nx: ${'y'.repeat(20_000)}\r\n\r\n`, /^HTTP\/1\.1 431 /],
  ];
  for (const [text, expected] of cases)
    assert.match(await sendPieces(server.port, [text]), expected, text.slice(0, 60));
  await answers();
});
