// The detector and ONNX Runtime, away from the page's own thread.
import { answerDetections } from '@goshawk/runtime';
import * as ort from 'onnxruntime-web/wasm';

/** More of them wait for each other on most machines. */
const MOST_THREADS = 4;

ort.env.wasm.wasmPaths = new URL('./', location.href).href;
ort.env.wasm.numThreads = crossOriginIsolated ? Math.min(MOST_THREADS, navigator.hardwareConcurrency) : 1;
answerDetections(ort, self);
