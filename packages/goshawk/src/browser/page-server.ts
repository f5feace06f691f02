// A fixed list of files over HTTP, to browsers on this machine.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname } from 'node:path';
import { InputError } from '@goshawk/core';

/** Path as a browser asks for it, such as `/index.html`, to what lies there. `/` is the same as `/index.html`. */
export type PageFiles = ReadonlyMap<string, Uint8Array>;

export interface PageServer {
  /** `http://127.0.0.1:PORT/` */
  readonly address: string;
  close(): Promise<void>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.webmanifest': 'application/manifest+json',
  '.wasm': 'application/wasm',
  '.txt': 'text/plain; charset=utf-8',
};

const HEADERS = {
  // A copy is asked about before it is used, so that a new model is never mixed with an old page.
  'cache-control': 'no-cache',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  // With these a browser lets WebAssembly use several threads.
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
} as const;

/**
 * Serves these files and nothing else, on 127.0.0.1.
 * @param port 0 takes any that is free
 * @throws InputError where the port is taken or not allowed
 */
export async function servePage(files: PageFiles, { port }: { readonly port: number }): Promise<PageServer> {
  const served = new Map([...files].map(([path, body]) => [path, { body, headers: headersOf(path, body) }]));
  const server = createServer((request, response) => answer(served, request, response));
  server.listen(port, '127.0.0.1');
  try {
    await once(server, 'listening');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new InputError(
      'usage',
      `--port: ${port} is ${code === 'EADDRINUSE' ? 'taken by another process' : `not to be had (${code})`}: name another one`,
      { cause: error },
    );
  }
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}

interface ServedFile {
  readonly body: Uint8Array;
  readonly headers: Readonly<Record<string, string | number>>;
}

function headersOf(path: string, body: Uint8Array): ServedFile['headers'] {
  return {
    ...HEADERS,
    'content-type': TYPES[extname(path)] ?? 'application/octet-stream',
    'content-length': body.byteLength,
    etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
  };
}

// A path is looked up as it stands: one that climbs out of the page is not in the list.
function answer(files: ReadonlyMap<string, ServedFile>, request: IncomingMessage, response: ServerResponse): void {
  const [path] = (request.url ?? '').split('?');
  const file = files.get(path === '/' ? '/index.html' : path!);
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.writeHead(405, { allow: 'GET, HEAD' }).end();
    return;
  }
  if (!file) {
    response.writeHead(404, { 'content-type': TYPES['.txt'] }).end('not here\n');
    return;
  }
  if (request.headers['if-none-match'] === file.headers.etag) {
    response.writeHead(304, { ...HEADERS, etag: file.headers.etag }).end();
    return;
  }
  response.writeHead(200, file.headers).end(request.method === 'HEAD' ? undefined : file.body);
}
