// goshawk init: a config for a folder of photos, without training.
import { existsSync } from 'node:fs';
import { extname } from 'node:path';
import { InputError } from '@goshawk/core';
import { PARTS_ENDING } from '../files/made-folder.js';
import { requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { makeStarter } from '../starter/index.js';
import { startInConfig } from '../starter/start-words.js';
import { type StarterCommandOptions, wishesOf } from './starter-options.js';
import { nameOf } from './train-data.js';

export interface InitCommandOptions extends StarterCommandOptions {
  readonly output?: string;
  readonly init?: string;
  readonly set?: readonly string[];
}

export async function runInit(data: string, options: InitCommandOptions): Promise<void> {
  const { output = `${nameOf(data)}.yaml`, images, init } = options;
  const wishes = wishesOf(options);
  if (existsSync(output))
    throw new InputError('usage', `${output}: is there already: choose another --output, or move it away`);
  requireWritableFile(output);
  endTidilyOnSignals();
  await makeStarter({
    data,
    config: output,
    folder: `${output.slice(0, output.length - extname(output).length)}${PARTS_ENDING}`,
    wishes,
    isTimed: false,
    say: (line) => console.log(line),
    ...(images !== undefined && { images }),
    ...(init !== undefined && { init }),
    ...(options.set && { sets: options.set }),
  });
  const start = init === undefined || startInConfig(init) ? '' : ` --init ${init}`;
  console.log(`config: ${output} - train with it by goshawk train ${output}${start}`);
}
