// Where a film comes from: a file, or what never ends by itself and is opened only when told so by name.
import { InputError } from '@goshawk/core';

export type VideoSource =
  | { readonly kind: 'file'; readonly path: string }
  /** A device of the system's: `/dev/video0` on Linux, a number or name elsewhere. */
  | { readonly kind: 'camera'; readonly device: string }
  /** A URL that ffmpeg reads, or `lavfi:` and a graph of its filters, such as `lavfi:testsrc=size=640x360`. */
  | { readonly kind: 'stream'; readonly url: string };

/** Formats of the system's cameras in ffmpeg. */
const CAMERA_FORMATS: Readonly<Partial<Record<NodeJS.Platform, string>>> = {
  darwin: 'avfoundation',
  win32: 'dshow',
};

const GRAPH = /^lavfi:/;

/** @throws InputError where it is no URL */
export function streamSource(url: string): VideoSource {
  if (!/^[a-z][a-z0-9+.-]*:/i.test(url))
    throw new InputError(
      'usage',
      `--stream ${url}: expected a URL such as rtsp://host/path: name files and folders without --stream, cameras with --camera`,
    );
  return { kind: 'stream', url };
}

/** What ffmpeg and ffprobe are told to open it: the last of their options before the output's. */
export function inputArguments(source: VideoSource): readonly string[] {
  switch (source.kind) {
    case 'file':
      // A playlist named .mp4 must not lead to other machines; a name with a colon or a dash is a name all the same.
      return ['-protocol_whitelist', 'file', '-i', `file:${source.path}`];
    case 'camera':
      return ['-f', CAMERA_FORMATS[process.platform] ?? 'v4l2', '-i', source.device];
    case 'stream':
      if (GRAPH.test(source.url)) return ['-f', 'lavfi', '-i', source.url.replace(GRAPH, '')];
      return [...(/^rtsps?:/i.test(source.url) ? ['-rtsp_transport', 'tcp'] : []), '-i', source.url];
  }
}

/** In messages. */
export function sourceName(source: VideoSource): string {
  return source.kind === 'file' ? source.path : source.kind === 'camera' ? source.device : source.url;
}
