// The configs that come with this package, and the one rule by which they are named.
import { existsSync } from 'node:fs';
import { isAbsolute, join, normalize, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Beside dist/ in the published package; a clone has them at its root. */
const roots = [new URL('../../', import.meta.url), new URL('../../../../', import.meta.url)].map((url) =>
  fileURLToPath(url),
);

/**
 * Where a shipped config lies.
 * @param name such as `configs/demo/mask_rcnn_r18_tiny.yaml`
 * @returns undefined for a name that is not below `configs/`, and one that is not there
 */
export function shippedConfig(name: string): string | undefined {
  const path = normalize(name);
  if (isAbsolute(path) || !path.startsWith(`configs${sep}`)) return undefined;
  return roots.map((root) => join(root, path)).find((file) => existsSync(file));
}
