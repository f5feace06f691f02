// Folders that appear whole or not at all.
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '@goshawk/core';
import { flushFolder } from '@goshawk/torch/checkpoint';
import { describeWriteError } from './atomic-file.js';
import { claimOutput } from './output-folder.js';
import { LOCK_NAME } from './run-lock.js';
import { atExit } from './tidy-end.js';

/**
 * Fills a new folder by `fill` and then gives it its name; until then it is called `<name>.partial`. When `fill` fails, or the process
 * ends, nothing remains. What `kill -9` leaves, the next writing of the same folder clears away.
 * @param fill gets the folder to write into
 * @param options.work what writes it, for others that find it begun, such as `goshawk data synth`
 * @throws InputError when there already is something under that name, when another process is writing it, and when it cannot be written
 */
export async function writeFolderAtomic<T>(
  folder: string,
  fill: (partial: string) => Promise<T>,
  { work = 'goshawk' }: { readonly work?: string } = {},
): Promise<T> {
  const target = path.resolve(folder);
  refuseExisting(folder, target);
  const partial = `${target}.partial`;
  if (existsSync(partial) && !existsSync(path.join(partial, LOCK_NAME)))
    throw new InputError('usage', `${partial}: is in the way of ${folder}: move it away`);
  const claim = claimOutput(partial, { work });
  const clear = (): void => rmSync(partial, { recursive: true, force: true });
  const forget = atExit(clear);
  try {
    for (const name of readdirSync(partial))
      if (name !== LOCK_NAME) rmSync(path.join(partial, name), { recursive: true, force: true });
    const result = await fill(partial);
    refuseExisting(folder, target);
    claim.release();
    flushFolder(partial);
    renameSync(partial, target);
    flushFolder(path.dirname(target));
    return result;
  } catch (error) {
    clear();
    throw describeWriteError(folder, error);
  } finally {
    forget();
    claim.release();
  }
}

function refuseExisting(folder: string, target: string): void {
  if (existsSync(target)) throw new InputError('usage', `${folder}: is there already: name a new folder or remove it`);
}
