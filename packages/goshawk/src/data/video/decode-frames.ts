// The frames of a film, one after another, from an ffmpeg that writes them raw into a pipe. It decodes ahead as far as the pipe holds
// and waits then: memory does not grow with the film.
import type { ChildProcess } from 'node:child_process';
import { endOf, type Ffmpeg, FfmpegLog, startFfmpeg } from './ffmpeg.js';
import { framesPerSecond, type Ratio, type VideoFacts } from './probe-video.js';
import { inputArguments, type VideoSource } from './video-source.js';

export interface DecoderOptions {
  readonly source: VideoSource;
  readonly facts: VideoFacts;
  readonly ffmpeg: Ffmpeg;
}

/** How a decoding ended. */
export interface DecodingEnd {
  /** Exit code; null where it was stopped. */
  readonly code: number | null;
  /** What ffmpeg said of the damage that it met, its last word on it. */
  readonly reason: string | undefined;
}

/** From this height on, colours that are not said to be otherwise are taken for those of HDTV, as players do. */
const HD_HEIGHT = 720;

export class FrameDecoder {
  readonly #child: ChildProcess;
  readonly #log: FfmpegLog;
  readonly #ended: Promise<number | null>;
  readonly #chunks: AsyncIterator<Buffer>;
  readonly #times: (number | undefined)[] = [];
  readonly #frameDuration: number;
  #chunk: Buffer = Buffer.alloc(0);
  #tick: Ratio | undefined;
  #lastTime = Number.NEGATIVE_INFINITY;
  #wake: (() => void) | undefined;
  #isSilent = false;

  constructor({ source, facts, ffmpeg }: DecoderOptions) {
    this.#frameDuration = 1 / framesPerSecond(facts);
    this.#child = startFfmpeg('ffmpeg', decoderArguments(source, facts, ffmpeg), ['ignore', 'pipe', 'pipe']);
    this.#ended = endOf(this.#child);
    this.#ended.catch(() => undefined);
    this.#log = new FfmpegLog(this.#child, (line) => this.#listen(line));
    this.#child.stderr!.once('close', () => {
      this.#isSilent = true;
      this.#wake?.();
    });
    this.#chunks = this.#child.stdout![Symbol.asyncIterator]() as AsyncIterator<Buffer>;
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /** What the film counts its times in; known once a frame was read. */
  get tick(): Ratio {
    return this.#tick ?? { numerator: 1, denominator: 1_000_000 };
  }

  /**
   * Fills `into`, `width * height * 3` bytes of red, green and blue, with the next frame.
   * @returns its time in seconds, later than the one before; undefined behind the last frame
   */
  async read(into: Uint8Array): Promise<number | undefined> {
    for (let filled = 0; filled < into.length; ) {
      if (this.#chunk.length === 0) {
        const { value, done } = await this.#chunks.next();
        // What is left of a frame that was cut off is dropped.
        if (done) return undefined;
        this.#chunk = value;
      }
      const part = this.#chunk.subarray(0, into.length - filled);
      into.set(part, filled);
      filled += part.length;
      this.#chunk = this.#chunk.subarray(part.length);
    }
    const time = (await this.#nextTime()) ?? this.#lastTime + this.#frameDuration;
    this.#lastTime = Number.isFinite(time) ? Math.max(time, this.#lastTime + 1e-6) : 0;
    return this.#lastTime;
  }

  /** Ends it, wherever it is; what it has sent may still be read. */
  stop(): void {
    this.#child.kill('SIGKILL');
  }

  /** To be called when the last frame is read, or after stop(). */
  async end(): Promise<DecodingEnd> {
    this.#child.stdout!.destroy();
    const code = await this.#ended;
    return { code, reason: this.#log.reason };
  }

  /** ffmpeg tells of each frame before it sends it, by another pipe. */
  async #nextTime(): Promise<number | undefined> {
    while (this.#times.length === 0 && !this.#isSilent) {
      await new Promise<void>((wake) => {
        this.#wake = wake;
      });
    }
    return this.#times.shift();
  }

  #listen(line: string): void {
    if (!line.includes('showinfo')) return;
    const tick = /config in time_base: (\d+)\/(\d+)/.exec(line);
    if (tick) this.#tick = { numerator: Number(tick[1]), denominator: Number(tick[2]) };
    const frame = /\bn: *\d+ pts: *(-?\d+|NOPTS) /.exec(line);
    if (!frame) return;
    const { numerator, denominator } = this.tick;
    this.#times.push(frame[1] === 'NOPTS' ? undefined : (Number(frame[1]) * numerator) / denominator);
    this.#wake?.();
  }
}

function decoderArguments(source: VideoSource, facts: VideoFacts, { frameRateOption }: Ffmpeg): readonly string[] {
  const { width, height, stream, hasColorSpace } = facts;
  const colors = hasColorSpace || height < HD_HEIGHT ? '' : ':in_color_matrix=bt709';
  return [
    ...['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+info'],
    ...inputArguments(source),
    ...['-map', `0:${stream}`],
    // ffmpeg turns frames upright by itself. A film may change its size on the way: it keeps its first one here.
    ...['-vf', `scale=${width}:${height}${colors},format=rgb24,showinfo=checksum=0`],
    // Every frame once, as it comes, also where they are not evenly spaced.
    ...[frameRateOption, 'passthrough', '-f', 'rawvideo', '-pix_fmt', 'rgb24', 'pipe:1'],
  ];
}
