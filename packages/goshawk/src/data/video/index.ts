export { type AddAudioOptions, addAudio } from './add-audio.js';
export { type DecodingEnd, FrameDecoder } from './decode-frames.js';
export { EncodingError, FrameEncoder } from './encode-frames.js';
export { FFMPEG_REMEDY, type Ffmpeg, findFfmpeg, requireFfmpeg } from './ffmpeg.js';
export { framesPerSecond, probeVideo, type Ratio, type VideoFacts } from './probe-video.js';
export { readVideo, type VideoFrame } from './read-video.js';
export { sourceName, streamSource, type VideoSource } from './video-source.js';
