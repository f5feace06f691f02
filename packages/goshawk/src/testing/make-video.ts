// Films for tests, made by ffmpeg itself; small, and different in every frame.
import { execFileSync } from 'node:child_process';
import { findFfmpeg } from '../data/video/index.js';

/** For a test's `skip`: false where there is ffmpeg. */
export const withoutFfmpeg: string | false = findFfmpeg() ? false : 'needs ffmpeg: apt-get install ffmpeg';

export interface TestVideo {
  readonly size?: string;
  readonly rate?: string;
  readonly seconds?: number;
  readonly sound?: boolean;
  /** More of ffmpeg's options for the output. */
  readonly options?: readonly string[];
}

export function makeVideo(file: string, video: TestVideo = {}): string {
  const { size = '160x90', rate = '25', seconds = 1, sound = false, options = [] } = video;
  runTool('ffmpeg', [
    ...[
      '-nostdin',
      '-loglevel',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      `testsrc=size=${size}:rate=${rate}:duration=${seconds}`,
    ],
    ...(sound ? ['-f', 'lavfi', '-i', `sine=frequency=440:duration=${seconds}`, '-c:a', 'aac'] : []),
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', ...options, file],
  ]);
  return file;
}

/** What ffprobe says of a film: its frames counted one by one, seconds, size, and the codecs of its sound. */
export function videoFacts(file: string) {
  const text = runTool('ffprobe', [
    '-loglevel',
    'error',
    '-count_frames',
    '-show_streams',
    '-show_format',
    '-of',
    'json',
    file,
  ]);
  const { streams, format } = JSON.parse(text) as {
    readonly streams: readonly Readonly<Record<string, string | number>>[];
    readonly format: { readonly duration: string };
  };
  const video = streams.find(({ codec_type }) => codec_type === 'video')!;
  return {
    frames: Number(video.nb_read_frames),
    seconds: Number(format.duration),
    size: [video.width, video.height],
    sound: streams.filter(({ codec_type }) => codec_type === 'audio').map(({ codec_name }) => codec_name),
  };
}

/** When each frame of a film is shown, seconds. */
export function frameTimes(file: string): readonly number[] {
  const args = [
    '-loglevel',
    'error',
    '-select_streams',
    'v',
    '-show_entries',
    'frame=pts_time',
    '-of',
    'csv=p=0',
    file,
  ];
  return (runTool('ffprobe', args).match(/[\d.]+/g) ?? []).map(Number);
}

/** Runs ffmpeg or ffprobe; @returns its stdout */
export function runTool(program: 'ffmpeg' | 'ffprobe', args: readonly string[]): string {
  return execFileSync(program, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
}
