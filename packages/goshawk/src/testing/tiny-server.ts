// A server of a tiny detector on this machine, and what a client sees of it.
import { request } from 'node:http';
import { connect } from 'node:net';
import { readDescription } from '../infer/index.js';
import {
  defaultLimits,
  type RunningServer,
  type ServeLimits,
  type ServerOptions,
  startServer,
} from '../serve/index.js';

export interface TinyServer extends RunningServer {
  /** `http://127.0.0.1:PORT` */
  readonly base: string;
}

/** @param weights of {@link writeTinyModel} */
export async function startTinyServer(
  weights: string,
  { limits, ...others }: Partial<Omit<ServerOptions, 'limits'>> & { readonly limits?: Partial<ServeLimits> } = {},
): Promise<TinyServer> {
  const server = await startServer({
    ...{ name: 'tiny', version: '0.0.0', host: '127.0.0.1', port: 0, keypointThreshold: 2 },
    source: { kind: 'engine', weights, config: readDescription(weights)!.config },
    defaultsFor: ({ categories }) => ({
      thresholds: new Map(categories.map(({ id }) => [id, 0.1])),
      maxDetections: 100,
    }),
    limits: { ...defaultLimits, ...limits },
    ...others,
  });
  return { ...server, base: `http://127.0.0.1:${server.port}` };
}

export interface PlainAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** One request over a connection of its own, with any headers. */
export function send(
  url: string,
  {
    method = 'GET',
    headers = {},
    body,
  }: { readonly method?: string; readonly headers?: Record<string, string>; readonly body?: Uint8Array } = {},
): Promise<PlainAnswer> {
  return new Promise((done, fail) => {
    const sent = request(url, { method, headers, agent: false }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () =>
        done({ status: response.statusCode!, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

/** All that a server says to bytes that are sent piece by piece, until it closes the connection. */
export function sendPieces(
  port: number,
  pieces: readonly (string | Uint8Array)[],
  { everyMs = 0, end = false }: { readonly everyMs?: number; readonly end?: boolean } = {},
): Promise<string> {
  return new Promise((done) => {
    const socket = connect(port, '127.0.0.1');
    const left = [...pieces];
    let said = '';
    const timer = setInterval(() => {
      const piece = left.shift();
      if (piece !== undefined && socket.writable) socket.write(piece);
      else if (piece === undefined && end) socket.end();
    }, everyMs);
    socket.on('data', (chunk) => {
      said += chunk.toString('latin1');
    });
    socket.on('error', () => undefined);
    socket.on('close', () => {
      clearInterval(timer);
      done(said);
    });
  });
}
