export {
  detectInVideo,
  type FrameDetections,
  type VideoDetectionOptions,
  type VideoOutcome,
  VideoWriteError,
} from './detect-in-video.js';
