// The detector: the one that lies beside the page, or a person's own file.
import { InputError } from '@goshawk/core';
import { createDetectorInWorker, type OnnxDetector } from '@goshawk/runtime';

/** Nothing where the page has none. */
export async function modelBesidePage(): Promise<Uint8Array | undefined> {
  const answer = await fetch('model.onnx').catch((cause: unknown) => {
    throw new InputError('file-unreadable', 'model.onnx: does not arrive: look whether the server still runs', {
      cause,
    });
  });
  if (answer.status === 404) return undefined;
  if (!answer.ok)
    throw new InputError('file-unreadable', `model.onnx: the server answers ${answer.status}: look what it says`);
  return new Uint8Array(await answer.arrayBuffer());
}

/** In a worker of its own: with the worker all memory of a model goes. */
export function openModel(bytes: Uint8Array, name: string): Promise<OnnxDetector> {
  return createDetectorInWorker(new Worker('detector-worker.js', { type: 'module' }), bytes, { name });
}
