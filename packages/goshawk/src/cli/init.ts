// goshawk init: a config for a folder of photos, without training.
import { extname } from 'node:path';
import { requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { makeStarter } from '../starter/index.js';
import { type StarterCommandOptions, wishesOf } from './starter-options.js';
import { nameOf } from './train-data.js';

export interface InitCommandOptions extends StarterCommandOptions {
  readonly output?: string;
  readonly init?: string;
}

export async function runInit(data: string, options: InitCommandOptions): Promise<void> {
  const { output = `${nameOf(data)}.yaml`, images, init } = options;
  const wishes = wishesOf(options);
  requireWritableFile(output);
  endTidilyOnSignals();
  await makeStarter({
    data,
    config: output,
    folder: `${output.slice(0, output.length - extname(output).length)}-data`,
    wishes,
    isTimed: false,
    say: (line) => console.log(line),
    ...(images !== undefined && { images }),
    ...(init !== undefined && { init }),
  });
  const start = init === undefined ? '' : ` --init ${init}`;
  console.log(`config: ${output} - train with it by goshawk train ${output}${start}`);
}
