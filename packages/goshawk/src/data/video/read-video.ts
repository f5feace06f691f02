// A film's frames for programs: an async iterable, as PictureDetector.detectEach takes it.
import type { RgbImage } from '@goshawk/core';
import { FrameDecoder } from './decode-frames.js';
import { requireFfmpeg } from './ffmpeg.js';
import { probeVideo } from './probe-video.js';
import { sourceName, type VideoSource } from './video-source.js';

export interface VideoFrame extends RgbImage {
  /** Place in the film, counted from 0. */
  readonly index: number;
  /** When it is shown, seconds from the film's begin. */
  readonly seconds: number;
}

/**
 * The frames of a film, upright, each decoded when it is asked for; leaving the loop ends the decoding.
 * @param source a file's path, a camera or a stream
 * @throws InputError where ffmpeg is missing, or finds no film there
 */
export async function* readVideo(source: string | VideoSource): AsyncGenerator<VideoFrame, void, undefined> {
  const opened: VideoSource = typeof source === 'string' ? { kind: 'file', path: source } : source;
  const ffmpeg = requireFfmpeg(sourceName(opened));
  const facts = await probeVideo(opened);
  const decoder = new FrameDecoder({ source: opened, facts, ffmpeg });
  const { width, height } = facts;
  try {
    for (let index = 0; ; index++) {
      const data = new Uint8Array(width * height * 3);
      const seconds = await decoder.read(data);
      if (seconds === undefined) return;
      yield { data, width, height, index, seconds };
    }
  } finally {
    decoder.stop();
    await decoder.end();
  }
}
