// The weights that come with this package: small backbones that have learned to find generated shapes (goshawk data synth), and no photo.
import { fileURLToPath } from 'node:url';

export interface PackagedWeights {
  /** As `--init` and `model.backbone.weights` take it. */
  readonly name: string;
  /** What they are of. */
  readonly backbone: { readonly depth: 18; readonly width: 32 };
  readonly parameters: number;
}

/** Made by `npm run make:weights`; filters in float16, under the names of torchvision's classifiers. */
export const packagedWeights: readonly PackagedWeights[] = [
  { name: 'shapes_resnet18_tiny', backbone: { depth: 18, width: 32 }, parameters: 2_798_880 },
];

export const PACKAGED_ON = 'generated shapes, no photos';

const folder = new URL('../../weights/', import.meta.url);

/** The file of weights of that name, undefined where none are called so. */
export function packagedFile(name: string): string | undefined {
  const known = packagedAs(name);
  return known && fileURLToPath(new URL(`${known.name}.safetensors`, folder));
}

export function packagedAs(name: string): PackagedWeights | undefined {
  return packagedWeights.find((entry) => entry.name === name);
}
