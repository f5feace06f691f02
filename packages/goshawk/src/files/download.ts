// One file from a server, asked for by a person: it appears whole and checked, or not at all. What has come of a file whose way broke
// off lies beside it and is where the next try goes on.
import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { describeWriteError } from './atomic-file.js';
import { requireRoom } from './output-folder.js';
import { asRunFailure, RunFailure } from './run-failure.js';
import { sha256Of } from './sha256.js';

export interface Download {
  /** http: or https: */
  readonly url: string;
  /** Where it is to be. */
  readonly file: string;
  /** The first hexadecimal digits of its SHA-256, small letters. */
  readonly sha256: string;
  /** Bytes, known to so many more or fewer. Absent: not known before. */
  readonly size?: { readonly bytes: number; readonly within: number };
}

export interface DownloadOptions {
  /** Told with every piece that comes. @param total undefined where the server does not say */
  readonly onProgress?: (done: number, total: number | undefined) => void;
  /** A server that sends nothing for so long is given up; default a minute. */
  readonly stallMs?: number;
  /** Before a broken connection is taken up again, twice as long with each time in a row that brought nothing; default a second. */
  readonly retryMs?: number;
}

/** In a row, without a byte more. */
const MOST_FAILURES = 4;

/** What has come so far of `file`. */
export function partialOf(file: string): string {
  return `${file}.partial`;
}

/**
 * Nothing is done where the file is there already.
 * @throws InputError where it cannot be written, known before anything is sent for
 * @throws RunFailure for what the network, the server or the disk did, each a line that says what to do; what has come stays
 */
export async function download(what: Download, options: DownloadOptions = {}): Promise<void> {
  const { file } = what;
  const partial = partialOf(file);
  if (sizeOf(file) !== undefined) return;
  try {
    mkdirSync(path.dirname(file), { recursive: true });
  } catch (error) {
    throw describeWriteError(file, error);
  }
  let failures = 0;
  for (;;) {
    const before = sizeOf(partial) ?? 0;
    const broken = await receive(what, partial, options);
    if (broken === undefined) break;
    const done = sizeOf(partial) ?? 0;
    failures = done > before ? 1 : failures + 1;
    if (failures >= MOST_FAILURES || (done === 0 && broken.isUnreachable))
      throw new RunFailure(`${what.url}: ${broken.text}${done > 0 ? `; ${keptText(done)}` : ''}`, {
        cause: broken.cause,
      });
    await wait((options.retryMs ?? 1000) * 2 ** (failures - 1));
  }
  requireChecksum(what, partial);
  try {
    const handle = openSync(partial, 'r+');
    fsyncSync(handle);
    closeSync(handle);
    renameSync(partial, file);
  } catch (error) {
    throw asRunFailure(describeWriteError(file, error));
  }
}

/** Whether a file's SHA-256 begins with these digits. */
export function hasChecksum(file: string, sha256: string): boolean {
  return sha256Of(file).startsWith(sha256);
}

interface Broken {
  /** The rest of a sentence about the address, with what to do. */
  readonly text: string;
  readonly cause: unknown;
  /** Nothing answered at all. */
  readonly isUnreachable: boolean;
}

/** Sends for what is missing of `partial` and writes it as it comes. @returns undefined where that is all */
async function receive(what: Download, partial: string, options: DownloadOptions): Promise<Broken | undefined> {
  const { url } = what;
  const { stallMs = 60_000, onProgress } = options;
  const abort = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const watch = (): void => {
    clearTimeout(timer);
    timer = setTimeout(() => abort.abort(), stallMs);
  };
  let hasAnswered = false;
  try {
    watch();
    let have = sizeOf(partial) ?? 0;
    const response = await fetch(url, {
      // The bytes as they are: a place in a packed stream is none in the file.
      headers: { 'accept-encoding': 'identity', ...(have > 0 ? { range: `bytes=${have}-` } : {}) },
      signal: abort.signal,
    });
    hasAnswered = true;
    if (response.status === 416) {
      await response.body?.cancel();
      const whole = Number(/^bytes \*\/(\d+)$/.exec(response.headers.get('content-range') ?? '')?.[1]);
      if (whole === have) return undefined;
      // More than the file has: of another file.
      rmSync(partial, { force: true });
      return { text: 'has no such range of bytes: try again', cause: undefined, isUnreachable: false };
    }
    if (!response.ok) {
      await response.body?.cancel();
      if (response.status === 429 || response.status >= 500)
        return { text: `${answerText(response)}: try again later`, cause: undefined, isUnreachable: false };
      throw new RunFailure(`${url}: ${answerText(response)}: check the address, or name a mirror that has the file`);
    }
    // A server that knows no ranges sends everything again.
    const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
    if (response.status !== 206 || Number(start) !== have) {
      if (response.status === 206) {
        await response.body?.cancel();
        rmSync(partial, { force: true });
        return { text: 'sends another part than was asked for: try again', cause: undefined, isUnreachable: false };
      }
      have = 0;
    }
    const length = response.headers.get('content-length');
    const total = length === null ? undefined : have + Number(length);
    requireSize(what, total);
    if (total !== undefined) requireRoom(path.dirname(partial), total - have, 'for the rest of the file');
    const done = await write(response, partial, have, (count) => {
      watch();
      onProgress?.(count, total);
    });
    const expected = total ?? (what.size && what.size.bytes - what.size.within);
    return expected === undefined || done >= expected
      ? undefined
      : { text: brokenText(done, expected), cause: undefined, isUnreachable: false };
  } catch (error) {
    if (error instanceof RunFailure || isWriteError(error)) throw explainWriteError(partial, error);
    if (abort.signal.aborted)
      return {
        text: `has sent nothing for ${Math.round(stallMs / 1000)} s: run the command again`,
        cause: error,
        isUnreachable: !hasAnswered,
      };
    const reason = networkReason(error);
    const text = hasAnswered
      ? `the connection broke (${reason}): run the command again`
      : `cannot be reached (${reason}): check the network, or name a mirror`;
    return { text, cause: error, isUnreachable: !hasAnswered };
  } finally {
    clearTimeout(timer);
  }
}

/** @returns how many bytes `partial` has now, also where the way broke off */
async function write(
  response: Response,
  partial: string,
  have: number,
  onWritten: (count: number) => void,
): Promise<number> {
  const handle = openSync(partial, have > 0 ? 'a' : 'w');
  let done = have;
  try {
    for await (const chunk of response.body ?? []) {
      const bytes = chunk as Uint8Array;
      for (let at = 0; at < bytes.length; ) at += writeSync(handle, bytes, at);
      done += bytes.length;
      onWritten(done);
    }
    return done;
  } finally {
    closeSync(handle);
  }
}

function isWriteError(error: unknown): boolean {
  return describeWriteError('', error) !== error || (error instanceof Error && error.name === 'InputError');
}

function explainWriteError(partial: string, error: unknown): unknown {
  if (error instanceof RunFailure) return error;
  const described = describeWriteError(partial, error);
  const done = sizeOf(partial) ?? 0;
  return asRunFailure(described, done > 0 ? keptText(done) : undefined);
}

function keptText(done: number): string {
  return `the ${megabytes(done)} that have come are kept, and the next try goes on from there`;
}

function answerText({ status, statusText }: Response): string {
  return `the server answers ${status} ${statusText}`.trimEnd();
}

function brokenText(done: number, total: number): string {
  return `the connection broke after ${megabytes(done)} of ${megabytes(total)}: run the command again`;
}

function requireSize({ url, size }: Download, total: number | undefined): void {
  if (size === undefined || total === undefined || Math.abs(total - size.bytes) <= size.within) return;
  throw new RunFailure(
    `${url}: has ${total} bytes (expected ${Math.round(size.bytes)}, give or take ${Math.round(size.within)}): it is another file; check the address or take another mirror`,
  );
}

/** @throws RunFailure where it is another file; it is removed then */
function requireChecksum({ url, sha256 }: Download, partial: string): void {
  let found: string;
  try {
    found = sha256Of(partial);
  } catch (error) {
    throw asRunFailure(describeWriteError(partial, error));
  }
  if (found.startsWith(sha256)) return;
  rmSync(partial, { force: true });
  throw new RunFailure(
    `${url}: its SHA-256 begins with ${found.slice(0, Math.max(8, sha256.length))} (expected ${sha256}): it was damaged on the way or is another file, and is thrown away; run the command again, or take another mirror`,
  );
}

function networkReason(error: unknown): string {
  const causes: string[] = [];
  for (let cause = error; cause instanceof Error; cause = cause.cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code !== undefined) return code;
    causes.push(cause.message);
  }
  return causes.at(-1) ?? String(error);
}

function sizeOf(file: string): number | undefined {
  return statSync(file, { throwIfNoEntry: false })?.size;
}

function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`;
}
