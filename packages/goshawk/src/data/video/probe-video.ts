// What a film is, as ffprobe says it: sizes, rates, colours, sound.
import { InputError } from '@goshawk/core';
import { runFfmpeg } from './ffmpeg.js';
import { inputArguments, sourceName, type VideoSource } from './video-source.js';

/** A fraction. */
export interface Ratio {
  readonly numerator: number;
  readonly denominator: number;
}

export interface VideoFacts {
  /** Number of the video stream among all of the file's. */
  readonly stream: number;
  /** Of the frames as they are shown, that is turned as the file says, in pixels. */
  readonly width: number;
  readonly height: number;
  /** Width of a pixel for its height; 1 but for some old formats. */
  readonly pixelAspect: Ratio;
  /** Mean frames a second; a film's may vary. */
  readonly frameRate: Ratio;
  /** How many frames there are, where the file says so; else by its duration. Undefined where nothing is known. */
  readonly frames: { readonly count: number; readonly isExact: boolean } | undefined;
  /** Seconds. */
  readonly duration: number | undefined;
  /** Whether the file says how its colours are coded. */
  readonly hasColorSpace: boolean;
  /** Codecs of its sound, a name each. */
  readonly audio: readonly string[];
}

interface ProbedStream {
  readonly index: number;
  readonly codec_type?: string;
  readonly codec_name?: string;
  readonly width?: number;
  readonly height?: number;
  readonly avg_frame_rate?: string;
  readonly r_frame_rate?: string;
  readonly sample_aspect_ratio?: string;
  readonly nb_frames?: string;
  readonly duration?: string;
  readonly color_space?: string;
  readonly tags?: { readonly rotate?: string; readonly DURATION?: string };
  readonly side_data_list?: readonly { readonly rotation?: number | string }[];
  readonly disposition?: { readonly attached_pic?: number };
}

const FALLBACK_RATE: Ratio = { numerator: 25, denominator: 1 };
/** Above this a rate is the clock's, not the frames'. */
const HIGHEST_RATE = 1000;

/**
 * @param signal ends the asking, which may take long for streams
 * @throws InputError naming the source, where ffprobe finds no film in it
 */
export async function probeVideo(source: VideoSource, signal?: AbortSignal): Promise<VideoFacts> {
  const name = sourceName(source);
  const { code, output, reason } = await runFfmpeg(
    'ffprobe',
    ['-loglevel', 'level+error', '-show_streams', '-show_format', '-of', 'json', ...inputArguments(source)],
    { signal },
  );
  if (code !== 0) {
    const why = reason === undefined ? '' : ` (${reason.replace(`file:${name}: `, '').replace(`${name}: `, '')})`;
    const remedy = source.kind === 'file' ? 'replace the file' : 'check its name, and that it can be reached';
    throw new InputError('video-invalid', `${name}: is no video that ffmpeg can read${why}: ${remedy}`);
  }
  const { streams = [], format = {} } = JSON.parse(output) as {
    streams?: readonly ProbedStream[];
    format?: { readonly duration?: string };
  };
  const video = streams.find((one) => one.codec_type === 'video' && one.disposition?.attached_pic !== 1);
  if (!video?.width || !video.height)
    throw new InputError('video-invalid', `${name}: has no moving picture in it: name a file that has`);
  const isTurned = Math.abs(rotationOf(video)) % 180 === 90;
  const [width, height] = isTurned ? [video.height, video.width] : [video.width, video.height];
  const aspect = parseRatio(video.sample_aspect_ratio, ':') ?? { numerator: 1, denominator: 1 };
  const frameRate = frameRateOf(video);
  const duration = seconds(video.duration) ?? durationTag(video.tags?.DURATION) ?? seconds(format.duration);
  return {
    stream: video.index,
    width,
    height,
    pixelAspect: isTurned ? { numerator: aspect.denominator, denominator: aspect.numerator } : aspect,
    frameRate,
    frames: frameCount(video.nb_frames, duration, frameRate),
    duration,
    hasColorSpace: video.color_space !== undefined && video.color_space !== 'unknown',
    audio: streams.flatMap(({ codec_type, codec_name }) => (codec_type === 'audio' ? [codec_name ?? 'unknown'] : [])),
  };
}

/** Frames a second. */
export function framesPerSecond({ frameRate }: VideoFacts): number {
  return frameRate.numerator / frameRate.denominator;
}

function rotationOf({ side_data_list = [], tags }: ProbedStream): number {
  const turned = side_data_list.find(({ rotation }) => rotation !== undefined)?.rotation ?? tags?.rotate ?? 0;
  const degrees = Math.round(Number(turned));
  return Number.isFinite(degrees) ? degrees : 0;
}

function frameRateOf({ avg_frame_rate, r_frame_rate }: ProbedStream): Ratio {
  const rates = [parseRatio(avg_frame_rate, '/'), parseRatio(r_frame_rate, '/')];
  return rates.find((rate) => rate && rate.numerator / rate.denominator <= HIGHEST_RATE) ?? FALLBACK_RATE;
}

function frameCount(stated: string | undefined, duration: number | undefined, rate: Ratio): VideoFacts['frames'] {
  const count = Number(stated);
  if (Number.isInteger(count) && count > 0) return { count, isExact: true };
  if (duration === undefined) return undefined;
  return { count: Math.round((duration * rate.numerator) / rate.denominator), isExact: false };
}

function parseRatio(text: string | undefined, sign: string): Ratio | undefined {
  const [numerator = Number.NaN, denominator = Number.NaN] = (text ?? '').split(sign).map(Number);
  return numerator > 0 && denominator > 0 ? { numerator, denominator } : undefined;
}

function seconds(text: string | undefined): number | undefined {
  const value = Number(text);
  return value > 0 ? value : undefined;
}

/** Matroska's `00:01:02.500000000`. */
function durationTag(text: string | undefined): number | undefined {
  const [, hours, minutes, rest] = /^(\d+):(\d+):([\d.]+)$/.exec(text ?? '') ?? [];
  return hours === undefined ? undefined : Number(hours) * 3600 + Number(minutes) * 60 + Number(rest);
}
