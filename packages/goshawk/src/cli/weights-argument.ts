// Where a command may be given a file of weights in the place of a config: one of ours holds its config.
import { InputError } from '@goshawk/core';
import { isOnnxFile } from '@goshawk/torch/checkpoint';

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

/** @throws InputError where an exported file, or a foreign one, stands for weights or a config */
export function refuseOnnx(file: string): void {
  if (!isOnnxFile(file)) return;
  throw new InputError(
    'checkpoint-invalid',
    `${file}: is an ONNX file, from which neither weights nor a config are read: give the weights that it was exported from, or run it by goshawk serve or @goshawk/runtime`,
  );
}
