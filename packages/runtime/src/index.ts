export { answerDetections } from './answer-detections.js';
export * from './create-detector.js';
export { createDetectorInWorker, type DetectorWorker } from './detector-in-worker.js';
export * from './model-description.js';
export type { OnnxRuntime, OnnxSession, OnnxTensor } from './onnx-runtime.js';
export { type ProbeReport, probeInput } from './probe.js';
export { type RgbaImage, rgbOfRgba } from './rgb-of-rgba.js';
export type { MessageEnd } from './worker-messages.js';
