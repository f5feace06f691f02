// The config of a command: of any system, with what there is to know about it on stderr.
import { placeInSource } from '../config/index.js';
import { type OpenConfig, openConfig } from '../foreign/open-config.js';
import { checkModel, detectorKind } from '../models/index.js';

/**
 * Reads a config, shows its notices, and makes sure that its model can be built and held.
 * @param options.quiet shows no notices: in ranks of which another one does
 * @param options.training whether batches of the training pass through the model, or single pictures
 * @throws InputError as `openConfig` and `checkModel` do
 */
export function openCommandConfig(
  file: string,
  sets?: readonly string[],
  { training = false, quiet = false }: { readonly training?: boolean; readonly quiet?: boolean } = {},
): OpenConfig {
  const opened = openConfig(file, sets);
  if (!quiet) for (const notice of opened.notices) console.error(`notice: ${notice}`);
  const { config, source, dialect } = opened;
  checkModel(config, {
    classes: detectorKind(config.model).cocoClasses,
    batchSize: training ? config.train.batchSize : 1,
    where: (path) => placeInSource(path, source, dialect === 'Goshawk'),
  });
  return opened;
}
