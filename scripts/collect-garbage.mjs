// Frees what nothing refers to any more, tensors as well: their memory goes in the turns behind the collection.
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

export async function collectGarbage() {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  for (let turn = 0; turn < 2; turn++) {
    collect();
    await setImmediate();
  }
}
