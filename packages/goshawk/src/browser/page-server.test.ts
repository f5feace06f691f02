import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { type PageServer, servePage } from './page-server.js';

describe('servePage', () => {
  let server: PageServer;
  before(async () => {
    server = await servePage(
      new Map([
        ['/index.html', Buffer.from('<p>here')],
        ['/a.wasm', Buffer.from([0, 97])],
      ]),
      { port: 0 },
    );
  });
  after(() => server.close());

  test('serves what is in the list, by its type, and sends nothing again that has not changed', async () => {
    const answer = await fetch(server.address);
    assert.equal(await answer.text(), '<p>here');
    assert.equal(answer.headers.get('content-type'), 'text/html; charset=utf-8');
    assert.equal((await fetch(`${server.address}a.wasm?x=1`)).headers.get('content-type'), 'application/wasm');
    const again = await fetch(server.address, { headers: { 'if-none-match': answer.headers.get('etag')! } });
    assert.deepEqual([again.status, await again.text()], [304, '']);
  });

  test('nothing else: no other path, no way out, no other method', async () => {
    for (const path of [
      '/other',
      '/../package.json',
      '/..%2fpackage.json',
      '//etc/passwd',
      '/%2e%2e/%2e%2e/etc/passwd',
      '/index.html/',
    ])
      assert.match(await rawAnswer(server, `GET ${path} HTTP/1.1`), /^HTTP\/1\.1 404 /, path);
    assert.equal((await fetch(server.address, { method: 'POST', body: 'x' })).status, 405);
  });

  test('a port that is taken is told', async () => {
    const { port } = new URL(server.address);
    await assert.rejects(
      servePage(new Map(), { port: Number(port) }),
      (error) =>
        error instanceof InputError &&
        error.message === `--port: ${port} is taken by another process: name another one`,
    );
  });
});

/** fetch would tidy a path up before it sends it. */
function rawAnswer({ address }: PageServer, line: string): Promise<string> {
  const socket = connect(Number(new URL(address).port), '127.0.0.1');
  socket.end(`${line}\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n`);
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('data', (chunk) => {
      text += String(chunk);
    });
    socket.on('end', () => resolve(text));
    socket.on('error', reject);
  });
}
