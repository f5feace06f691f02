// The config of a command: of any system, with what there is to know about it on stderr.
import { placeInSource } from '../config/index.js';
import { type OpenConfig, openConfig } from '../foreign/open-config.js';
import { checkModel } from '../models/index.js';

/** COCO's, where neither the config nor an option says how many classes there are. */
export const ASSUMED_CLASSES = 80;

/**
 * Reads a config, shows its notices, and makes sure that its model can be built and held.
 * @param options.training whether batches of the training pass through the model, or single pictures
 * @throws InputError as `openConfig` and `checkModel` do
 */
export function openCommandConfig(
  file: string,
  sets?: readonly string[],
  { training = false }: { readonly training?: boolean } = {},
): OpenConfig {
  const opened = openConfig(file, sets);
  for (const notice of opened.notices) console.error(`notice: ${notice}`);
  const { config, source, dialect } = opened;
  checkModel(config, {
    classes: ASSUMED_CLASSES,
    batchSize: training ? config.train.batchSize : 1,
    where: (path) => placeInSource(path, source, dialect === 'Goshawk'),
  });
  return opened;
}
