// What a server refuses, by which status.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { setThreads } from '@goshawk/torch';
import { type PlainAnswer, send, startTinyServer, type TinyServer } from '../testing/tiny-server.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';
import { answerForm, optionsOf } from './request-options.js';

setThreads(1);
const fixtures = fileURLToPath(new URL('../../src/data/fixtures/bad-images/', import.meta.url));
const ok = readFileSync(join(fixtures, 'ok1.jpg'));
const JPEG = { 'content-type': 'image/jpeg' };

let folder: string;
let weights: string;
let server: TinyServer;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-refusals-'));
  weights = writeTinyModel(folder).weights;
  server = await startTinyServer(weights, { limits: { maxBytes: 100_000, maxPictures: 3 } });
  await server.ready;
});
after(async () => {
  await server.drain(5);
  rmSync(folder, { recursive: true });
});

const post = (body: Uint8Array, headers: Record<string, string> = JPEG, query = '', to: TinyServer = server) =>
  send(`${to.base}/v1/detect${query}`, { method: 'POST', headers, body });
/** Status and name of the reason; that it is one line for a person is looked at too. */
const refusal = ({ status, body }: PlainAnswer): string => {
  const { code, message } = JSON.parse(body.toString()).error;
  assert.match(message, /^[^\n]+: [^\n]+$/);
  return `${status} ${code}`;
};

interface BadPicture {
  readonly file: string;
  readonly kind?: string;
  readonly expect: 'error' | 'accept';
}

/** What manifests expect is kept, but formats that are not taken at all; no answer is a failure of the server. */
async function checkPictures(root: string, entries: readonly BadPicture[]): Promise<void> {
  assert.ok(entries.length > 20);
  for (const { file, expect } of entries) {
    const bytes = readFileSync(join(root, file));
    const answer = await post(bytes, { 'content-type': 'application/octet-stream' });
    const isOther = /\.(gif|bmp)$/.test(file);
    const expected = isOther ? [415] : expect === 'accept' ? [200] : [400, 413, 415, 422];
    assert.ok(expected.includes(answer.status), `${file}: ${answer.status}`);
    if (answer.status !== 200) refusal(answer);
  }
  assert.equal((await post(ok)).status, 200);
}

describe('pictures', () => {
  test('that are damaged, of other kinds or bombs are told apart', async () => {
    const file = join(fixtures, 'manifest.json');
    await checkPictures(fixtures, JSON.parse(readFileSync(file, 'utf8')) as readonly BadPicture[]);
    const answered = async (name: string) => refusal(await post(readFileSync(join(fixtures, name))));
    assert.equal(await answered('bomb-header.png'), '413 too-many-pixels');
    assert.equal(await answered('bomb-header.jpg'), '413 too-many-pixels');
    assert.equal(await answered('truncated-half.jpg'), '422 damaged-picture');
    assert.equal(await answered('bad-crc.png'), '422 damaged-picture');
    assert.equal(await answered('html-inside.jpg'), '415 unsupported-picture');
    assert.equal(await answered('animated.gif'), '415 unsupported-picture');
    assert.equal(await answered('zero-bytes.jpg'), '400 bad-request');
  });

  const shared = fileURLToPath(new URL('../../../../../shared/data/bad-inputs/', import.meta.url));
  const skip = existsSync(shared) ? false : 'the folder of bad inputs is not here';
  test('of the whole folder of bad inputs too', { skip }, async () => {
    const text = readFileSync(join(shared, 'manifest.json'), 'utf8');
    const { entries } = JSON.parse(text) as { readonly entries: readonly BadPicture[] };
    await checkPictures(
      shared,
      entries.filter(({ kind }) => kind === 'image'),
    );
  });

  test('that are larger than allowed are refused, told or not', async () => {
    assert.equal(refusal(await post(new Uint8Array(100_001))), '413 too-large');
    const chunked = { ...JPEG, 'transfer-encoding': 'chunked' };
    assert.equal(refusal(await post(new Uint8Array(100_001), chunked)), '413 too-large');
    assert.equal((await post(ok, chunked)).status, 200);
  });
});

describe('forms', () => {
  const boundary = 'x-boundary';
  const form = (parts: readonly string[], { end = `--${boundary}--\r\n` } = {}) =>
    Buffer.from(parts.map((part) => `--${boundary}\r\n${part}\r\n`).join('') + end, 'latin1');
  const picture = `content-disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n${ok.toString('latin1')}`;
  const type = { 'content-type': `multipart/form-data; boundary=${boundary}` };

  test('of pictures are taken, others refused', async () => {
    assert.equal((await post(form([picture, picture, picture]), type)).status, 200);
    const cases = {
      '413 too-many-pictures': form([picture, picture, picture, picture]),
      '400 bad-request': form([]),
    };
    for (const [expected, body] of Object.entries(cases)) assert.equal(refusal(await post(body, type)), expected);
    const text = 'content-disposition: form-data; name="url"\r\n\r\nhttp://localhost/photo.jpg';
    const bad = [form([text]), form([picture], { end: '' }), Buffer.from('nothing'), form(['no header'])];
    for (const body of bad) assert.equal(refusal(await post(body, type)), '400 bad-request');
    assert.equal(refusal(await post(form([picture]), { 'content-type': 'multipart/form-data' })), '400 bad-request');
    assert.equal(refusal(await post(form([picture, picture]), { ...type, accept: 'image/png' })), '406 not-acceptable');
  });

  test('name the picture that is wrong, on one line whatever it is called', async () => {
    const named = `content-disposition: form-data; name="b"; filename="b\u0001%0A.jpg"\r\n\r\n<html>`;
    const answer = await post(form([picture, named]), type);
    assert.equal(refusal(answer), '415 unsupported-picture');
    assert.match(answer.body.toString(), /b \\n\.jpg|b .*\.jpg/);
  });
});

describe('parameters', () => {
  test('are known, there once, and within their ranges', async () => {
    const bad = ['threshold=0.5', 'score_threshold=2', 'score_threshold=', 'score_threshold=NaN', 'max_detections=0.5'];
    for (const query of [...bad, 'max_detections=1&max_detections=2', 'max_detections=-1', 'score_threshold=0x1'])
      assert.equal(refusal(await post(ok, JPEG, `?${query}`)), '400 bad-parameter', query);
    assert.deepEqual(optionsOf(new URLSearchParams('score_threshold=1e-3&max_detections=7')), {
      scoreThreshold: 0.001,
      maxDetections: 7,
    });
  });

  test('of types and paths that are not there', async () => {
    assert.equal(refusal(await post(ok, { 'content-type': 'text/plain' })), '415 unsupported-picture');
    assert.equal(refusal(await post(ok, { ...JPEG, 'content-encoding': 'gzip' })), '415 unsupported-picture');
    assert.equal((await post(ok, { ...JPEG, 'content-encoding': 'identity' })).status, 200);
    assert.equal((await post(ok, { ...JPEG, expect: 'something else' })).status, 200);
    assert.equal(refusal(await post(ok, { ...JPEG, accept: 'text/html' })), '406 not-acceptable');
    assert.equal(refusal(await send(`${server.base}/v1/detect`)), '405 method-not-allowed');
    for (const path of ['/', '/v1', '/v1/detect/', '/../etc/passwd', '/v1/models', '//v1/model'])
      assert.equal(refusal(await send(`${server.base}${path}`)), '404 not-found', path);
  });

  test('the answer has the form that Accept prefers', () => {
    const forms: Readonly<Record<string, string>> = {
      '*/*': 'application/json',
      'image/png': 'image/png',
      'image/*;q=0.5, application/json;q=0.4': 'image/png',
      'image/png;q=0.1, */*': 'application/json',
      'text/html, image/png;q=0, */*;q=0.1': 'application/json',
    };
    for (const [accept, form] of Object.entries(forms)) assert.equal(answerForm(accept), form, accept);
    assert.equal(answerForm(undefined), 'application/json');
    assert.throws(() => answerForm('text/html, application/json;q=0'), /expected application\/json or image\/png/);
  });
});

describe('without a token', () => {
  test('only this machine is answered, by its own name and no page of others', async () => {
    const { port } = server;
    const asked = (headers: Record<string, string>) => send(`${server.base}/v1/model`, { headers });
    assert.equal((await asked({ host: `localhost:${port}` })).status, 200);
    assert.equal((await asked({ host: `[::1]:${port}` })).status, 200);
    assert.equal(refusal(await asked({ host: `elsewhere.example:${port}` })), '403 host-refused');
    assert.equal(refusal(await asked({ host: `127.0.0.1.elsewhere.example` })), '403 host-refused');
    assert.equal(refusal(await asked({ origin: 'http://elsewhere.example' })), '403 host-refused');
    assert.equal((await asked({ origin: server.base })).status, 200);
  });
});

test('with a token, all but health needs it', async () => {
  const guarded = await startTinyServer(weights, { token: 'open-sesame' });
  try {
    await guarded.ready;
    const status = async (path: string, authorization?: string) =>
      (await send(`${guarded.base}${path}`, { headers: authorization === undefined ? {} : { authorization } })).status;
    for (const path of ['/v1/model', '/metrics', '/openapi.json', '/nowhere']) {
      assert.equal(await status(path), 401);
      for (const wrong of ['Bearer open-sesam', 'Bearer open-sesame2', 'Basic open-sesame', 'open-sesame', 'Bearer'])
        assert.equal(await status(path, wrong), 401, wrong);
      assert.equal(await status(path, 'Bearer open-sesame'), path === '/nowhere' ? 404 : 200);
    }
    for (const path of ['/healthz', '/readyz']) assert.equal(await status(path), 200);
    assert.equal(refusal(await post(ok, JPEG, '', guarded)), '401 token-missing');
    assert.equal((await post(ok, { ...JPEG, authorization: 'bearer open-sesame' }, '', guarded)).status, 200);
  } finally {
    await guarded.drain(5);
  }
});

test('more pictures than have room are refused with the time to come again, the others answered', async () => {
  const narrow = await startTinyServer(weights, { limits: { queue: 1 } });
  try {
    await narrow.ready;
    const answers = await Promise.all(Array.from({ length: 24 }, () => post(ok, JPEG, '', narrow)));
    const statuses = answers.map(({ status }) => status);
    assert.deepEqual([...new Set(statuses)].sort(), [200, 429]);
    for (const answer of answers.filter(({ status }) => status === 429)) {
      assert.equal(refusal(answer), '429 busy');
      assert.match(String(answer.headers['retry-after']), /^[1-9]\d*$/);
    }
    assert.equal((await post(ok, JPEG, '', narrow)).status, 200);
  } finally {
    await narrow.drain(5);
  }
});

test('a request that takes longer than its deadline is told so, and its pictures are left', async () => {
  const hasty = await startTinyServer(weights, { limits: { deadline: 0.001 } });
  try {
    await hasty.ready;
    const answers = await Promise.all(Array.from({ length: 8 }, () => post(ok, JPEG, '', hasty)));
    for (const answer of answers) assert.equal(refusal(answer), '504 deadline');
    const text = (await send(`${hasty.base}/metrics`)).body.toString();
    assert.match(text, /^goshawk_held_bytes 0$/m);
    assert.match(text, /^goshawk_queue_pictures 0$/m);
  } finally {
    await hasty.drain(5);
  }
});
