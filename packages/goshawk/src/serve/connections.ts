// The listening socket and its connections: how long each may take, and an end that loses no request.
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import { type AddressInfo, Server as NetServer, type Socket } from 'node:net';
import { setTimeout as after } from 'node:timers/promises';
import { InputError } from '@goshawk/core';
import type { RefusalCode } from './refusal.js';
import { refusalBody } from './refusal.js';
import { IDLE_GRACE_MS, MOST_CONNECTIONS, type ServeLimits } from './settings.js';

export interface ConnectionOptions {
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  readonly limits: ServeLimits;
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void;
  /** Is told of each answer, also of those to what is no request. */
  readonly onAnswer: (request: IncomingMessage | undefined, status: number) => void;
}

export interface Connections {
  readonly port: number;
  readonly open: number;
  /**
   * Takes no more connections, answers what is on its way in those that are open, and ends when they are closed.
   * @param seconds after which what is left is cut off
   * @returns requests that were cut off
   */
  drain(seconds: number): Promise<number>;
}

/** Answers that are on their way in a connection. */
type Pending = Set<ServerResponse>;

const CHECK_MS = 500;
const POLL_MS = 20;

/** @throws InputError where the address cannot be listened on */
export async function listen(options: ConnectionOptions): Promise<Connections> {
  const { limits, host, onRequest, onAnswer } = options;
  const sockets = new Map<Socket, Pending>();
  let isDraining = false;
  const arrivalMs = limits.arrival * 1000;
  const server = createServer(
    {
      headersTimeout: Math.min(10_000, arrivalMs),
      requestTimeout: arrivalMs,
      connectionsCheckingInterval: Math.min(CHECK_MS, arrivalMs / 4),
      keepAliveTimeout: 15_000,
    },
    receive,
  );
  // An expectation that is not known may be passed over (RFC 9110, 10.1.1); Node's own answer to it would say nothing.
  server.on('checkExpectation', receive);
  server.on('connect', (request, socket: Socket) => {
    const message = 'CONNECT: is for proxies (expected GET or POST): ask this server by a path of its own';
    refuseRaw(socket, 405, { code: 'method-not-allowed', message });
    onAnswer(request, 405);
  });
  server.maxConnections = MOST_CONNECTIONS;
  // A client that does not read its answer, or that waits for nothing.
  server.setTimeout((limits.deadline + limits.arrival + 10) * 1000);
  server.on('connection', (socket) => {
    sockets.set(socket, new Set());
    socket.once('close', () => sockets.delete(socket));
  });
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const status = refuseUnread(error, socket, sockets.get(socket));
    if (status !== undefined) onAnswer(undefined, status);
  });
  await listening(server, options);
  return {
    port: (server.address() as AddressInfo).port,
    get open() {
      return sockets.size;
    },
    async drain(seconds) {
      isDraining = true;
      const closed = once(server, 'close');
      // That of http would also close connections between two requests, of which one may be on its way.
      NetServer.prototype.close.call(server);
      for (const response of [...sockets.values()].flatMap((pending) => [...pending]))
        if (!response.headersSent) response.setHeader('connection', 'close');
      const begun = performance.now();
      const isOver = () => performance.now() - begun > seconds * 1000;
      while (sockets.size > 0 && !isOver()) {
        await after(POLL_MS);
        if (performance.now() - begun < IDLE_GRACE_MS) continue;
        for (const [socket, pending] of sockets) if (pending.size === 0) socket.destroy();
      }
      const cut = [...sockets.values()].reduce((sum, pending) => sum + pending.size, 0);
      for (const socket of sockets.keys()) socket.destroy();
      server.closeAllConnections();
      await closed;
      return cut;
    },
  };

  function receive(request: IncomingMessage, response: ServerResponse): void {
    const pending = sockets.get(request.socket);
    pending?.add(response);
    if (isDraining) response.setHeader('connection', 'close');
    response.once('close', () => {
      pending?.delete(response);
      onAnswer(request, response.writableFinished ? response.statusCode : 499);
    });
    onRequest(request, response);
  }

  async function listening(own: Server, { port }: ConnectionOptions): Promise<void> {
    try {
      own.listen({ host, port, exclusive: true });
      await once(own, 'listening');
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      const reason =
        code === 'EADDRINUSE'
          ? 'is in use by another program (expected a free port): choose another with --port'
          : code === 'EACCES'
            ? 'may not be listened on by this user (expected a port above 1023): choose another with --port'
            : `cannot be listened on (${code}): choose an address of this machine with --host`;
      throw new InputError('usage', `${host}:${port}: ${reason}`, { cause: error });
    }
  }
}

const UNREAD: Readonly<Record<string, readonly [status: number, code: RefusalCode, message: string]>> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'arrival-timeout', 'request: took too long to arrive: send it faster, or less'],
  HPE_HEADER_OVERFLOW: [431, 'headers-too-large', 'headers: are too large (expected at most 16 kB): send fewer'],
};
const MALFORMED = [400, 'bad-request', 'request: is no HTTP/1.1: correct the client'] as const;

/** Answers what could not be read as a request, unless the client has left or the answer has begun. @returns the status */
function refuseUnread(error: NodeJS.ErrnoException, socket: Socket, pending: Pending | undefined): number | undefined {
  const hasBegun = [...(pending ?? [])].some(({ headersSent }) => headersSent);
  if (error.code === 'ECONNRESET' || !socket.writable || hasBegun) {
    socket.destroy();
    return undefined;
  }
  const [status, code, message] = UNREAD[error.code ?? ''] ?? MALFORMED;
  refuseRaw(socket, status, { code, message });
  return status;
}

/** Where there is no response to answer by. */
function refuseRaw(socket: Socket, status: number, refusal: Parameters<typeof refusalBody>[0]): void {
  const body = refusalBody(refusal);
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroySoon(),
  );
}
