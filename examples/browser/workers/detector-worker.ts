// The detector and ONNX Runtime, away from the page's own thread.
import { answerDetections } from '@goshawk/runtime';
import * as ort from 'onnxruntime-web/wasm';

// Threads that wait for one another keep a processor busy, and are many times slower than one where they have to share it: half of
// the processors are left to others.
const MOST_THREADS = 4;
const threads = Math.floor(navigator.hardwareConcurrency / 2);

ort.env.wasm.wasmPaths = new URL('./', location.href).href;
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(MOST_THREADS, Math.max(1, threads)) : 1;
answerDetections(ort, self);
