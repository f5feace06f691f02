// The thread that imports a module and asks its data set for all pictures.

import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { workerData } from 'node:worker_threads';
import { InputError } from '@goshawk/core';
import { customDatasetJson } from './custom-dataset.js';
import type { ModuleReply, ModuleRequest } from './module-dataset.js';

const { path, port, done } = workerData as ModuleRequest;

const finish = (state: 1 | 2): void => {
  if (Atomics.compareExchange(done, 0, 0, state) === 0) Atomics.notify(done, 0);
};
process.on('exit', () => finish(2));

port.postMessage(await answer());
finish(1);
port.close();

async function answer(): Promise<ModuleReply> {
  try {
    const module = (await import(pathToFileURL(resolve(path)).href)) as { readonly default?: unknown };
    const exported = module.default;
    const dataset: unknown = typeof exported === 'function' ? await exported() : exported;
    return { json: customDatasetJson(dataset, path) };
  } catch (error) {
    if (error instanceof InputError) return { problem: error.message };
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    return { problem: `${path}: ${reason}: correct the module` };
  }
}
