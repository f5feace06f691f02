export * from './create-detector.js';
export * from './model-description.js';
export type { OnnxRuntime, OnnxSession, OnnxTensor } from './onnx-runtime.js';
export { type ProbeReport, probeInput } from './probe.js';
