// A data set that a config names as a module: it is imported and asked for all of its pictures in a thread of its own, for which this
// one waits, as it would for a file.

import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { InputError } from '@goshawk/core';

/** What the thread is given. */
export interface ModuleRequest {
  readonly path: string;
  readonly port: MessagePort;
  /** Becomes 1 when the reply is there, 2 when there will be none. */
  readonly done: Int32Array;
}

/** What it sends. */
export type ModuleReply = { readonly json: string } | { readonly problem: string };

/** Whether a name is that of a module. */
export function isModuleFile(file: string): boolean {
  return /\.[cm]?js$/.test(file);
}

/**
 * The COCO file, as JSON, of the data set that a module exports.
 * @throws InputError naming the file and what is wrong with it or in it
 */
export function readModuleDataset(path: string): string {
  const { port1, port2 } = new MessageChannel();
  const done = new Int32Array(new SharedArrayBuffer(4));
  const workerData: ModuleRequest = { path, port: port2, done };
  const worker = new Worker(new URL('./module-dataset-worker.js', import.meta.url), {
    workerData,
    transferList: [port2],
  });
  worker.unref();
  // What goes wrong is told by the reply.
  worker.on('error', () => {});
  Atomics.wait(done, 0, 0);
  const reply = receiveMessageOnPort(port1)?.message as ModuleReply | undefined;
  port1.close();
  if (reply === undefined)
    throw new InputError(
      'annotation-invalid',
      `${path}: the module ended before it gave a data set: remove its process.exit()`,
    );
  if ('problem' in reply) throw new InputError('annotation-invalid', reply.problem);
  return reply.json;
}
