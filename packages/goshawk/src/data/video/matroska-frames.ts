// Raw frames with their times as ffmpeg reads them from a pipe: a Matroska stream (RFC 9559) of uncompressed video. Raw bytes alone
// have no times, and a film's frames need not be evenly spaced.
import type { Ratio } from './probe-video.js';

/** Element ids of EBML (RFC 8794) and Matroska. */
const ID = {
  ebml: 0x1a45dfa3,
  docType: 0x4282,
  docTypeVersion: 0x4287,
  docTypeReadVersion: 0x4285,
  segment: 0x18538067,
  info: 0x1549a966,
  timestampScale: 0x2ad7b1,
  muxingApp: 0x4d80,
  writingApp: 0x5741,
  tracks: 0x1654ae6b,
  trackEntry: 0xae,
  trackNumber: 0xd7,
  trackUid: 0x73c5,
  trackType: 0x83,
  codec: 0x86,
  defaultDuration: 0x23e383,
  video: 0xe0,
  width: 0xb0,
  height: 0xba,
  uncompressedFourCc: 0x2eb524,
  cluster: 0x1f43b675,
  timestamp: 0xe7,
  simpleBlock: 0xa3,
} as const;

/** Of a time stamp. */
const NANOSECONDS = 1000;
const VIDEO_TRACK = 1;
const UNKNOWN_SIZE = Buffer.from('01ffffffffffffff', 'hex');
/** Track 1, no time beyond the cluster's, a key frame. */
const BLOCK_HEAD = Buffer.from([0x80 | VIDEO_TRACK, 0, 0, 0x80]);

export interface FrameFormat {
  readonly width: number;
  readonly height: number;
  readonly frameRate: Ratio;
}

/** What stands before all frames. Pixels are red, green, blue, a byte each. */
export function streamHead({ width, height, frameRate }: FrameFormat): Buffer {
  const duration = Math.round((1e9 * frameRate.denominator) / frameRate.numerator);
  return Buffer.concat([
    element(ID.ebml, text(ID.docType, 'matroska'), uint(ID.docTypeVersion, 4), uint(ID.docTypeReadVersion, 2)),
    idBytes(ID.segment),
    UNKNOWN_SIZE,
    element(
      ID.info,
      uint(ID.timestampScale, NANOSECONDS),
      text(ID.muxingApp, 'goshawk'),
      text(ID.writingApp, 'goshawk'),
    ),
    element(
      ID.tracks,
      element(
        ID.trackEntry,
        uint(ID.trackNumber, VIDEO_TRACK),
        uint(ID.trackUid, 1),
        uint(ID.trackType, 1),
        text(ID.codec, 'V_UNCOMPRESSED'),
        uint(ID.defaultDuration, duration),
        element(
          ID.video,
          uint(ID.width, width),
          uint(ID.height, height),
          element(ID.uncompressedFourCc, Buffer.from('RGB\x18', 'latin1')),
        ),
      ),
    ),
  ]);
}

/** What stands before the `bytes` of a frame. @param microseconds its time */
export function frameHead(microseconds: number, bytes: number): Buffer {
  const time = uint(ID.timestamp, microseconds);
  const block = Buffer.concat([idBytes(ID.simpleBlock), sizeBytes(BLOCK_HEAD.length + bytes), BLOCK_HEAD]);
  return Buffer.concat([idBytes(ID.cluster), sizeBytes(time.length + block.length + bytes), time, block]);
}

function element(id: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  return Buffer.concat([idBytes(id), sizeBytes(body.length), body]);
}

function uint(id: number, value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(value));
  return element(id, bytes);
}

function text(id: number, value: string): Buffer {
  return element(id, Buffer.from(value));
}

function idBytes(id: number): Buffer {
  const hex = id.toString(16);
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex');
}

/** Eight bytes, the first of which says so. */
function sizeBytes(size: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE(BigInt(size) | (1n << 56n));
  return bytes;
}
