// The body of a request in memory: no larger than allowed, and no more of all requests together than there is room for.
import type { IncomingMessage } from 'node:http';
import { Refusal } from './refusal.js';

/** Bytes that are held at once. */
export class HeldBytes {
  readonly #most: number;
  #held = 0;

  constructor(most: number) {
    this.#most = most;
  }

  get held(): number {
    return this.#held;
  }

  /** @throws Refusal where they have no room */
  take(bytes: number): void {
    if (this.#held + bytes > this.#most)
      throw new Refusal({
        status: 429,
        code: 'busy',
        message: `${Math.round(this.#held / 1e6)} MB of pictures wait (room for ${Math.round(this.#most / 1e6)} MB): try again soon`,
        headers: { 'retry-after': '1' },
      });
    this.#held += bytes;
  }

  give(bytes: number): void {
    this.#held -= bytes;
  }
}

/** A body whose client has gone, or was told to. */
export class BodyCut extends Error {
  override readonly name = 'BodyCut';
}

/**
 * @param held takes the bytes as they come; whoever has the body gives them back
 * @throws Refusal where it is larger than `most`, known before the first byte where the request tells its length; BodyCut where it ends
 * early
 */
export async function readBody(request: IncomingMessage, most: number, held: HeldBytes): Promise<Uint8Array> {
  const declared = Number(request.headers['content-length'] ?? 0);
  if (declared > most) throw tooLarge(most, declared);
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  try {
    await new Promise<void>((done, fail) => {
      const stop = (error?: Error): void => {
        request.off('data', add).off('end', stop).off('error', cut).off('close', cut);
        if (error === undefined) done();
        else {
          // What still comes is read away, so that the client gets to the answer.
          request.on('error', () => undefined).resume();
          fail(error);
        }
      };
      const cut = (): void => stop(request.complete ? undefined : new BodyCut('the body was cut off'));
      const add = (chunk: Uint8Array): void => {
        try {
          if (bytes + chunk.length > most) throw tooLarge(most);
          held.take(chunk.length);
          bytes += chunk.length;
          chunks.push(chunk);
        } catch (error) {
          stop(error as Error);
        }
      };
      request.on('data', add).on('end', stop).on('error', cut).on('close', cut);
    });
  } catch (error) {
    held.give(bytes);
    throw error;
  }
  // Memory of its own, which can be handed to another thread.
  const body = new Uint8Array(bytes);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}

function tooLarge(most: number, declared?: number): Refusal {
  const got = declared === undefined ? '' : `, got ${declared}`;
  return new Refusal({
    status: 413,
    code: 'too-large',
    message: `body: is too large (expected at most ${most} bytes${got}): shrink the picture`,
  });
}
