// ONNX Runtime in Node: a package that a person installs where exported detectors are to run.
import { InputError } from '@goshawk/core';
import type { OnnxRuntime } from '@goshawk/runtime';

/**
 * @param what needs it, for the message: a file's or an option's name
 * @throws InputError where it is not installed, or cannot be loaded
 */
export async function loadOnnxRuntime(what: string): Promise<OnnxRuntime> {
  try {
    return await import('onnxruntime-node');
  } catch (error) {
    throw new InputError('usage', `${what}: needs onnxruntime-node: run \`npm install onnxruntime-node\``, {
      cause: error,
    });
  }
}
