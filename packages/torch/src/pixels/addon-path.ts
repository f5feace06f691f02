// Where set-up puts the addon for pictures, and where it is loaded from.
import { fileURLToPath } from 'node:url';
import { capabilityEnding } from '../libtorch/processor.js';

export const pixelAddonPath = fileURLToPath(
  new URL(`../../build/pixels${capabilityEnding()}/goshawk_pixels.node`, import.meta.url),
);
