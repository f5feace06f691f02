// goshawk train with a folder of photos instead of a config: makes one, in the folder of the run.
import { existsSync, readdirSync } from 'node:fs';
import { basename, extname, join, resolve } from 'node:path';
import { InputError } from '@goshawk/core';
import { claimOutput } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { placeFromEnvironment, rankLink } from '../processes/index.js';
import { startInConfig } from '../starter/start-words.js';
import { type StarterCommandOptions, wishesOf } from './starter-options.js';
import type { TrainCommandOptions } from './train.js';

/** The config that a run was begun with, as it was written; config.yaml beside it has every default too. */
const CONFIG = 'train.yaml';

export type TrainDataOptions = TrainCommandOptions & StarterCommandOptions;

export interface MadeConfig {
  readonly config: string;
  /** What the command's own become. */
  readonly options: TrainCommandOptions;
}

/**
 * The config in the run's folder: made from the data, or, where the run is resumed or this is one of its processes, that of before.
 * @throws InputError where the data cannot be trained on, or the folder holds another run
 */
export async function configForData(data: string, options: TrainDataOptions): Promise<MadeConfig> {
  const output = options.output ?? join('runs', nameOf(data));
  const config = join(output, CONFIG);
  const isOneOfSeveral = rankLink() !== undefined || placeFromEnvironment(process.env) !== undefined;
  if (existsSync(config) && (options.resume || isOneOfSeveral))
    return { config, options: { ...ownOptions(options), output } };
  if (isOneOfSeveral)
    throw new InputError(
      'usage',
      `${data}: is data, and processes that another program starts need a config: write one with goshawk init ${data}`,
    );
  if (options.resume)
    throw new InputError('usage', `${output}: has no ${CONFIG} of an earlier training to resume: leave out --resume`);
  if (options.save === false)
    throw new InputError(
      'usage',
      `--no-save: training from data writes a config and parts of the data: write them with goshawk init ${data}, then train with that`,
    );
  const checkpoints = join(output, 'checkpoints');
  if (existsSync(checkpoints) && readdirSync(checkpoints).length > 0)
    throw new InputError(
      'usage',
      `${output}: has checkpoints of an earlier training: continue it with --resume, or choose another --output`,
    );
  const wishes = wishesOf(options);
  const { makeStarter } = await import('../starter/index.js');
  // The training has its own way to end.
  const forget = endTidilyOnSignals();
  const claim = claimOutput(output, { work: 'goshawk train', files: [CONFIG] });
  try {
    await makeStarter({
      data,
      config,
      folder: join(output, 'data'),
      wishes,
      isTimed: true,
      say: (line) => console.log(line),
      ...(options.images !== undefined && { images: options.images }),
      ...(options.init !== undefined && { init: options.init }),
      ...(options.set && { sets: options.set }),
    });
  } finally {
    claim.release();
    forget();
  }
  console.log(`config: ${config} - train with it again by goshawk train ${config}`);
  return { config, options: { ...ownOptions(options), output } };
}

/** Weights that the config names, or that are random, are not `--init`'s any more. */
function ownOptions(options: TrainDataOptions): TrainCommandOptions {
  const { init, ...others } = options;
  return init === undefined || startInConfig(init) ? others : options;
}

/** Of a folder or file, also of `.`; YOLO's data.yaml is named after its folder. */
export function nameOf(data: string): string {
  const path = resolve(data);
  const name = basename(path, extname(path));
  return (name === 'data' ? basename(resolve(path, '..')) : name) || 'data';
}
