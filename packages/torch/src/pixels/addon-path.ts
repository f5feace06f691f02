// Where set-up puts the addon for pictures, and where it is loaded from.
import { fileURLToPath } from 'node:url';

export const pixelAddonPath = fileURLToPath(new URL('../../build/pixels/goshawk_pixels.node', import.meta.url));
