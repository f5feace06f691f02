// Frames into a film: an ffmpeg that reads them with their times from a pipe and writes H.264 in MP4. The film is whole when its
// pipe ends, also because this process has.
import type { ChildProcess } from 'node:child_process';
import { encoderNames, endOf, type Ffmpeg, FfmpegLog, startFfmpeg } from './ffmpeg.js';
import { type FrameFormat, frameHead, streamHead } from './matroska-frames.js';
import type { Ratio } from './probe-video.js';

export interface EncoderOptions extends FrameFormat {
  /** To be written; ends in .mp4. */
  readonly file: string;
  readonly pixelAspect: Ratio;
  /** What times are counted in. */
  readonly tick: Ratio;
  readonly ffmpeg: Ffmpeg;
}

/** A film that could not be written, and why. */
export class EncodingError extends Error {
  override readonly name = 'EncodingError';
}

/** Times are handed on in whole microseconds. */
const FINEST_TICK: Ratio = { numerator: 1, denominator: 1_000_000 };

export class FrameEncoder {
  readonly #child: ChildProcess;
  readonly #log: FfmpegLog;
  readonly #ended: Promise<number | null>;
  readonly #tick: Ratio;
  readonly #bytes: number;
  #firstTime: number | undefined;
  #lastTick = -1;

  constructor(options: EncoderOptions) {
    const { tick } = options;
    const isFine = tick.numerator / tick.denominator < FINEST_TICK.numerator / FINEST_TICK.denominator;
    this.#tick = isFine ? FINEST_TICK : tick;
    this.#bytes = options.width * options.height * 3;
    this.#child = startFfmpeg('ffmpeg', encoderArguments(options, this.#tick), ['pipe', 'ignore', 'pipe']);
    this.#log = new FfmpegLog(this.#child);
    this.#ended = endOf(this.#child);
    this.#ended.catch(() => undefined);
    // A pipe that nobody reads any more: the write that meets it tells why.
    this.#child.stdin!.on('error', () => undefined);
    this.#child.stdin!.write(streamHead(options));
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  /**
   * Takes a frame; resolves when its bytes may be used again.
   * @param seconds its time. The film begins with the first frame's; frames keep at least one tick from each other
   * @throws EncodingError
   */
  async write(frame: Uint8Array, seconds: number): Promise<void> {
    this.#firstTime ??= seconds;
    const { numerator, denominator } = this.#tick;
    const tick = Math.max(Math.round(((seconds - this.#firstTime) * denominator) / numerator), this.#lastTick + 1);
    this.#lastTick = tick;
    const head = frameHead(Math.round((tick * numerator * 1e6) / denominator), this.#bytes);
    await this.#send(head);
    await this.#send(Buffer.from(frame.buffer as ArrayBuffer, frame.byteOffset, frame.byteLength));
  }

  /** Ends the film. @throws EncodingError */
  async finish(): Promise<void> {
    this.#child.stdin!.end();
    const code = await this.#ended;
    if (code !== 0) throw this.#problem(code);
  }

  /** Ends it without a film. */
  async abandon(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }

  #send(bytes: Buffer): Promise<void> {
    return new Promise((done, fail) => {
      this.#child.stdin!.write(bytes, (error) => {
        if (!error) done();
        // The reason is what ffmpeg said last, when it has ended.
        else this.#ended.then((code) => fail(this.#problem(code)), fail);
      });
    });
  }

  #problem(code: number | null): EncodingError {
    return new EncodingError(this.#log.reason ?? `ffmpeg ended with exit code ${code}`);
  }
}

function encoderArguments(options: EncoderOptions, tick: Ratio): readonly string[] {
  const { file, pixelAspect, ffmpeg } = options;
  const unit = `${tick.numerator}/${tick.denominator}`;
  const filters = [
    `settb=${unit}`,
    // H.264 codes colours for two by two pixels: a row or column more where the size is odd.
    'pad=ceil(iw/2)*2:ceil(ih/2)*2',
    `setsar=${pixelAspect.numerator}/${pixelAspect.denominator}`,
    'scale=out_color_matrix=bt709:out_range=tv',
    'format=yuv420p',
  ];
  return [
    ...['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+error'],
    ...['-probesize', '32', '-analyzeduration', '0', '-f', 'matroska', '-i', 'pipe:0', '-map', '0:v'],
    ...['-vf', filters.join(',')],
    ...codecArguments(),
    ...['-colorspace', 'bt709', '-color_primaries', 'bt709', '-color_trc', 'bt709', '-color_range', 'tv'],
    ...[ffmpeg.frameRateOption, 'passthrough', '-enc_time_base', unit],
    // MP4 counts in whole parts of a second.
    ...(tick.denominator >= 10_000 ? ['-video_track_timescale', String(tick.denominator)] : []),
    ...['-f', 'mp4', '-y', `file:${file}`],
  ];
}

/** Builds of ffmpeg without x264 write MPEG-4 part 2, which most players show too. */
function codecArguments(): readonly string[] {
  if (!encoderNames().has('libx264')) return ['-c:v', 'mpeg4', '-q:v', '3'];
  // Without frames that look ahead a film ends exactly where its last frame does.
  return ['-c:v', 'libx264', '-preset', 'veryfast', '-crf', '20', '-bf', '0'];
}
