// ffmpeg and ffprobe as they are on this machine: where films are read and written, as child processes.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { InputError } from '@goshawk/core';

/** What this machine's ffmpeg can do. */
export interface Ffmpeg {
  /** As it says: `5.1.9-0+deb12u1`. */
  readonly version: string;
  /** The option that leaves frames their times: `-fps_mode` from 5.1 on, `-vsync` before. */
  readonly frameRateOption: '-fps_mode' | '-vsync';
}

/** @returns undefined where ffmpeg or ffprobe is not on PATH */
export function findFfmpeg(): Ffmpeg | undefined {
  const version = versionOf('ffmpeg');
  if (version === undefined || versionOf('ffprobe') === undefined) return undefined;
  const [, major, minor] = /^n?(\d+)\.(\d+)/.exec(version) ?? [];
  // Builds from its newest source have no number.
  const isOld = major !== undefined && (Number(major) < 5 || (Number(major) === 5 && Number(minor) < 1));
  return { version, frameRateOption: isOld ? '-vsync' : '-fps_mode' };
}

/** @param wantedFor what cannot be done without it @throws InputError that says how to get it */
export function requireFfmpeg(wantedFor: string): Ffmpeg {
  const found = findFfmpeg();
  if (found) return found;
  throw new InputError(
    'ffmpeg-missing',
    `${wantedFor}: needs ffmpeg and ffprobe, which are not on PATH: ${FFMPEG_REMEDY}`,
  );
}

export const FFMPEG_REMEDY =
  'install ffmpeg (Debian and Ubuntu: `apt-get install ffmpeg`, or let `npx goshawk setup --install-ffmpeg` do it)';

function versionOf(program: string): string | undefined {
  const { status, stdout } = spawnSync(program, ['-version'], { encoding: 'utf8', windowsHide: true });
  return status === 0 ? (/version (\S+)/.exec(stdout)?.[1] ?? 'unknown') : undefined;
}

/** Names of the encoders that this ffmpeg was built with. */
export function encoderNames(): ReadonlySet<string> {
  const { stdout } = spawnSync('ffmpeg', ['-hide_banner', '-encoders'], { encoding: 'utf8', windowsHide: true });
  return new Set([...(stdout ?? '').matchAll(/^ [A-Z.]{6} (\S+)/gm)].map(([, name]) => name!));
}

export type StandardStreams = readonly ['ignore' | 'pipe', 'ignore' | 'pipe', 'pipe'];

/**
 * Starts one of them in a process group of its own: Ctrl-C in a terminal is for us alone, who then let it end well. Without us it ends
 * too, since its pipes do.
 */
export function startFfmpeg(
  program: 'ffmpeg' | 'ffprobe',
  args: readonly string[],
  stdio: StandardStreams,
): ChildProcess {
  return spawn(program, args, { stdio: [...stdio], detached: true, windowsHide: true });
}

/** What a run of ffmpeg says, line by line; of what is wrong the last lines are kept. */
export class FfmpegLog {
  readonly #onLine: ((line: string) => void) | undefined;
  readonly #problems: string[] = [];
  #rest = '';
  #problemCount = 0;

  /** @param child its stderr is read to the end; lines are expected as `-loglevel level+...` writes them */
  constructor(child: ChildProcess, onLine?: (line: string) => void) {
    this.#onLine = onLine;
    child.stderr!.setEncoding('utf8');
    child.stderr!.on('data', (text: string) => this.#take(text));
    child.stderr!.on('end', () => this.#take('\n'));
  }

  /** How many lines told of an error. */
  get problemCount(): number {
    return this.#problemCount;
  }

  /** The last line that says why, without ffmpeg's own names for its parts. */
  get reason(): string | undefined {
    return this.#problems.at(-1);
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split(/\r?\n|\r/);
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const problem = /\[(?:error|fatal|panic)\] (.*)$/.exec(line)?.[1]?.trim();
      if (problem) {
        this.#problemCount += 1;
        this.#problems.push(problem);
        if (this.#problems.length > 5) this.#problems.shift();
      }
      this.#onLine?.(line);
    }
  }
}

/** Runs one to its end. @param signal ends it early */
export async function runFfmpeg(
  program: 'ffmpeg' | 'ffprobe',
  args: readonly string[],
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<{ readonly code: number | null; readonly output: string; readonly reason: string | undefined }> {
  const child = startFfmpeg(program, args, ['ignore', 'pipe', 'pipe']);
  const log = new FfmpegLog(child);
  const chunks: Buffer[] = [];
  child.stdout!.on('data', (chunk: Buffer) => chunks.push(chunk));
  const stop = (): void => void child.kill('SIGKILL');
  process.on('exit', stop);
  signal?.addEventListener('abort', stop);
  if (signal?.aborted) stop();
  try {
    const code = await endOf(child);
    return { code, output: Buffer.concat(chunks).toString('utf8'), reason: log.reason };
  } finally {
    process.off('exit', stop);
    signal?.removeEventListener('abort', stop);
  }
}

/** When a child has ended and its pipes are read: its exit code, null where a signal ended it. */
export function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((done, fail) => {
    child.once('error', fail);
    child.once('close', (code) => done(code));
  });
}
