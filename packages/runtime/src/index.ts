export * from './create-detector.js';
export * from './model-description.js';
export { networkFeeds, networkObjects } from './network-io.js';
export type { OnnxRuntime, OnnxSession, OnnxTensor } from './onnx-runtime.js';
export { numbersOf, SESSION_OPTIONS } from './onnx-runtime.js';
export { type ProbeReport, probeInput } from './probe.js';
