// Where a command may be given a file of weights in the place of a config: one of ours holds its config.
import { InputError } from '@goshawk/core';

export function isWeightsFile(file: string): boolean {
  return file.endsWith('.safetensors');
}

/** The weights of a command. @throws InputError where it is given none, or two */
export function weightsOf(
  command: string,
  first: string,
  { weights }: { readonly weights?: string | undefined },
): string {
  if (weights === undefined && isWeightsFile(first)) return first;
  if (weights === undefined)
    throw new InputError(
      'usage',
      `goshawk ${command}: ${first} is a config, and weights are missing: name them with --weights, or a file of weights that goshawk train wrote in place of the config`,
    );
  return weights;
}
