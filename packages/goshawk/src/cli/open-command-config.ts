// The config of a command: of any system, or the one in a file of weights, with what there is to know about it on stderr.
import { InputError } from '@goshawk/core';
import { configToYaml, parseConfig, placeInSource } from '../config/index.js';
import { type OpenConfig, openConfig } from '../foreign/open-config.js';
import { readDescription } from '../infer/detector-file.js';
import { checkModel, detectorKind } from '../models/index.js';
import { isWeightsFile, refuseOnnx } from './weights-argument.js';

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
  refuseOnnx(file);
  const opened = isWeightsFile(file) ? openConfigInside(file, sets) : openConfig(file, sets);
  if (!quiet) for (const notice of opened.notices) console.error(`notice: ${notice}`);
  const { config, source, dialect } = opened;
  checkModel(config, {
    classes: detectorKind(config.model).cocoClasses,
    batchSize: training && config.train.batchSize !== 'auto' ? config.train.batchSize : 1,
    where: (path) => placeInSource(path, source, dialect === 'Goshawk'),
  });
  return opened;
}

/** @throws InputError where the file holds none */
function openConfigInside(weights: string, sets: readonly string[] = []): OpenConfig {
  const description = readDescription(weights);
  if (description === undefined)
    throw new InputError(
      'checkpoint-invalid',
      `${weights}: holds no config, as weights of goshawk train do: name the config of its model, and this file with --weights`,
    );
  const text = configToYaml(description.config);
  const file = `${weights}: the config inside`;
  return { config: parseConfig(text, { file, sets }), source: { file, text, sets }, dialect: 'Goshawk', notices: [] };
}
