// A server of files on this machine that can be told to behave as badly as real ones.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface FileServer {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
  /** In order; `sent` is what an undisturbed answer has. */
  readonly requests: { readonly path: string; readonly range: string | undefined; readonly sent: number }[];
  /** Default true. */
  knowsRanges: boolean;
  /** Default true. */
  tellsLength: boolean;
  /** The next answers end by a broken connection after so many bytes each. */
  breakAfter(...bytes: readonly number[]): void;
  /** The next answer stops after so many bytes, those after it at once, and all stay open. */
  silentAfter(bytes: number): void;
  /** The next answers are 503. */
  busyFor(count: number): void;
  /** The requests so far, and all that it was told. */
  forget(): void;
  close(): Promise<void>;
}

export async function startFileServer(files: ReadonlyMap<string, Buffer>): Promise<FileServer> {
  let breaks: number[] = [];
  let silent: number | undefined;
  let busy = 0;
  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const path = request.url ?? '';
    const content = files.get(path);
    const range = request.headers.range;
    if (content === undefined) {
      state.requests.push({ path, range, sent: 0 });
      response.writeHead(404).end('not here');
      return;
    }
    if (busy > 0) {
      busy--;
      state.requests.push({ path, range, sent: 0 });
      response.writeHead(503).end();
      return;
    }
    const from = state.knowsRanges ? Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0) : 0;
    if (from >= content.length) {
      state.requests.push({ path, range, sent: 0 });
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const body = content.subarray(from);
    state.requests.push({ path, range, sent: body.length });
    response.writeHead(from > 0 ? 206 : 200, {
      ...(state.tellsLength ? { 'content-length': body.length } : {}),
      ...(from > 0 ? { 'content-range': `bytes ${from}-${content.length - 1}/${content.length}` } : {}),
    });
    const end = breaks.shift();
    if (silent !== undefined) {
      response.flushHeaders();
      response.write(body.subarray(0, silent));
      silent = 0;
    } else if (end !== undefined && end < body.length)
      response.write(body.subarray(0, end), () => setTimeout(() => response.destroy(), 20));
    else response.end(body);
  };
  const server = createServer(answer).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const state: FileServer = {
    base: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests: [],
    knowsRanges: true,
    tellsLength: true,
    breakAfter(...bytes) {
      breaks = [...bytes];
    },
    silentAfter(bytes) {
      silent = bytes;
    },
    busyFor(count) {
      busy = count;
    },
    forget() {
      state.requests.length = 0;
      breaks = [];
      silent = undefined;
      busy = 0;
      state.knowsRanges = true;
      state.tellsLength = true;
    },
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return state;
}
