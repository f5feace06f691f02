// The worker's end: the detector lives here.
import { InputError } from '@goshawk/core';
import { createDetector, type OnnxDetector } from './create-detector.js';
import type { OnnxRuntime } from './onnx-runtime.js';
import type { AnswerOf, MessageEnd, RequestKind, SentError, WorkerAnswer, WorkerRequest } from './worker-messages.js';

/**
 * Makes a worker serve the detector that `createDetectorInWorker` opens from outside.
 * @param ort onnxruntime-web, as it was set up in the worker
 * @param end the worker's `self`
 */
export function answerDetections(ort: OnnxRuntime, end: MessageEnd): void {
  let detector: OnnxDetector | undefined;
  const opened = (): OnnxDetector => {
    if (!detector) throw new Error('internal: no detector is open in this worker');
    return detector;
  };
  const answer = async (request: WorkerRequest): Promise<AnswerOf[RequestKind]> => {
    switch (request.kind) {
      case 'open':
        detector = await createDetector(ort, request.bytes, request.options);
        return detector.description;
      case 'detect':
        return opened().detect(request.images, request.options);
      case 'check':
        return opened().selfCheck();
    }
  };
  end.addEventListener('message', ({ data }) => {
    const request = data as WorkerRequest;
    const send = (message: WorkerAnswer): void => end.postMessage(message);
    answer(request).then(
      (value) => send({ id: request.id, value }),
      (error: unknown) => send({ id: request.id, error: sentError(error) }),
    );
  });
}

function sentError(error: unknown): SentError {
  if (error instanceof InputError) return { message: error.message, code: error.code };
  return { message: error instanceof Error ? error.message : String(error) };
}
