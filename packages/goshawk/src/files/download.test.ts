import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { type FileServer, startFileServer } from '../testing/file-server.js';
import { download, hasChecksum, partialOf } from './download.js';

const content = Buffer.alloc(300_000, 0);
for (let i = 0; i < content.length; i++) content[i] = (i * 7919 + (i >> 8)) % 251;
const digits = createHash('sha256').update(content).digest('hex').slice(0, 8);
const NAME = `model-${digits}.pth`;

let server: FileServer;
let folder = '';
let file = '';
before(async () => {
  server = await startFileServer(new Map([[`/models/${NAME}`, content]]));
});
after(() => server.close());
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-download-'));
  file = join(folder, NAME);
  server.forget();
});
afterEach(() => rmSync(folder, { recursive: true }));

const what = (extra: object = {}) => ({ url: `${server.base}/models/${NAME}`, file, sha256: digits, ...extra });
const quick = { retryMs: 1, stallMs: 30_000 };
const failure = (text: RegExp) => (error: unknown) => {
  assert.ok(error instanceof Error && error.name === 'RunFailure', String(error));
  assert.match(error.message, text);
  assert.doesNotMatch(error.message, /\n/);
  return true;
};

describe('download', () => {
  test('gives the whole file its name, tells how far it is, and asks nothing where it is there', async () => {
    const told: (readonly [number, number | undefined])[] = [];
    await download(what(), { ...quick, onProgress: (done, total) => told.push([done, total]) });
    assert.deepEqual(readFileSync(file), content);
    assert.deepEqual(readdirSync(folder), [NAME]);
    assert.deepEqual(told.at(-1), [content.length, content.length]);
    assert.ok(told.every(([done], i) => done > (told[i - 1]?.[0] ?? 0)));
    await download(what(), quick);
    assert.equal(server.requests.length, 1);
  });

  test('goes on where an earlier process broke off', async () => {
    writeFileSync(partialOf(file), content.subarray(0, 120_000));
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
    assert.deepEqual(
      server.requests.map(({ range, sent }) => [range, sent]),
      [['bytes=120000-', 180_000]],
    );
  });

  test('takes a broken connection up again by itself', async () => {
    server.breakAfter(100_000, 130_000);
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
    const ranges = server.requests.map(({ range }) => range);
    assert.equal(ranges.length, 3);
    assert.equal(ranges[0], undefined);
    assert.match(ranges[2]!, /^bytes=[1-9]\d+-$/);
  });

  test('leaves off when nothing more comes, keeps what has come, and the next try needs only the rest', async () => {
    server.breakAfter(100_000, 0, 0, 0, 0);
    await assert.rejects(download(what(), quick), failure(/the connection broke.*have come are kept/));
    assert.ok(!existsSync(file));
    const kept = statSync(partialOf(file)).size;
    assert.ok(kept > 0 && kept <= 100_000);
    assert.deepEqual(readFileSync(partialOf(file)), content.subarray(0, kept));
    server.forget();
    await download(what(), quick);
    assert.equal(server.requests[0]!.range, `bytes=${kept}-`);
    assert.deepEqual(readFileSync(file), content);
  });

  test('begins again with a server that knows no ranges', async () => {
    writeFileSync(partialOf(file), Buffer.alloc(50_000, 1));
    server.knowsRanges = false;
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
    assert.equal(server.requests[0]!.sent, content.length);
  });

  test('checks a part that is all there, and throws one away that is more than the file', async () => {
    writeFileSync(partialOf(file), content);
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
    rmSync(file);
    writeFileSync(partialOf(file), Buffer.concat([content, Buffer.from('more')]));
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
  });

  test('a part of another file is found out, and nothing stays', async () => {
    writeFileSync(partialOf(file), Buffer.alloc(50_000, 1));
    await assert.rejects(download(what(), quick), failure(/SHA-256 begins with .* \(expected .*run the command again/));
    assert.deepEqual(readdirSync(folder), []);
  });

  test('refuses a file of another checksum, and one of another size before it comes', async () => {
    const other = what({ sha256: '00000000' });
    await assert.rejects(
      download(other, quick),
      failure(/\(expected 00000000\): it was damaged on the way or is another/),
    );
    server.forget();
    const size = { bytes: content.length + 600, within: 500 };
    await assert.rejects(
      download(what({ size }), quick),
      failure(/has 300000 bytes \(expected 300600, give or take 500\)/),
    );
    assert.deepEqual(readdirSync(folder), []);
    await download(what({ size: { bytes: content.length + 500, within: 500 } }), quick);
  });

  test('a server without the length is taken at its end, one without the file is named with its answer', async () => {
    server.tellsLength = false;
    await download(what(), quick);
    assert.deepEqual(readFileSync(file), content);
    rmSync(file);
    const missing = { ...what(), url: `${server.base}/models/other.pth` };
    await assert.rejects(
      download(missing, quick),
      failure(/other\.pth: the server answers 404 Not Found: check the address/),
    );
    assert.deepEqual(readdirSync(folder), []);
  });

  test('a server that falls silent is given up, one that is busy is asked again', async () => {
    server.silentAfter(1000);
    await assert.rejects(download(what(), { ...quick, stallMs: 300 }), failure(/has sent nothing for 0 s/));
    server.forget();
    server.busyFor(2);
    await download(what(), quick);
    assert.equal(server.requests.length, 3);
    assert.ok(hasChecksum(file, digits));
  });

  test('nobody there: one line, at once', async () => {
    const gone = await startFileServer(new Map());
    await gone.close();
    const start = performance.now();
    const nobody = { ...what(), url: `${gone.base}/models/${NAME}` };
    await assert.rejects(
      download(nobody),
      failure(/cannot be reached \(ECONNREFUSED\): check the network, or name a mirror/),
    );
    await assert.rejects(
      download({ ...what(), url: `http://no.such.invalid/${NAME}` }),
      failure(/cannot be reached \(E/),
    );
    assert.ok(performance.now() - start < 5000);
    assert.deepEqual(readdirSync(folder), []);
  });
});
