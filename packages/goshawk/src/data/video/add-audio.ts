// The sound of a film beside its drawn frames.
import { type Ffmpeg, runFfmpeg } from './ffmpeg.js';

export interface AddAudioOptions {
  /** The drawn film, which has no sound. */
  readonly video: string;
  /** The film that it was made from. */
  readonly source: string;
  /** Codecs of the source's sound. */
  readonly codecs: readonly string[];
  /** When the source's first frame is shown, seconds; sound may begin before or after. */
  readonly firstFrame: number;
  /** Where the work ended early: sound up to here, seconds of the source. */
  readonly until?: number | undefined;
  /** To be written; ends in .mp4. */
  readonly file: string;
  readonly ffmpeg: Ffmpeg;
}

/** Codecs that MP4 holds as they are. */
const COPIED: ReadonlySet<string> = new Set(['aac', 'mp3', 'mp2', 'ac3', 'eac3', 'alac', 'opus']);

/**
 * Copies frames and sound into one film; sound that MP4 does not hold becomes AAC.
 * @returns why it could not be done, undefined where it was
 */
export async function addAudio(options: AddAudioOptions): Promise<string | undefined> {
  const { video, source, codecs, firstFrame, until, file } = options;
  const { code, reason } = await runFfmpeg('ffmpeg', [
    ...['-nostdin', '-hide_banner', '-nostats', '-loglevel', 'repeat+level+error'],
    ...(firstFrame === 0 ? [] : ['-itsoffset', firstFrame.toFixed(6)]),
    ...['-i', `file:${video}`],
    ...(until === undefined ? [] : ['-t', until.toFixed(6)]),
    ...['-protocol_whitelist', 'file', '-i', `file:${source}`],
    ...['-map', '0:v', '-map', '1:a', '-map_metadata', '1', '-c:v', 'copy'],
    ...codecs.flatMap((codec, index) => [`-c:a:${index}`, COPIED.has(codec) ? 'copy' : 'aac']),
    ...['-f', 'mp4', '-y', `file:${file}`],
  ]);
  return code === 0 ? undefined : (reason ?? `ffmpeg ended with exit code ${code}`);
}
