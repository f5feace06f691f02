// The words of `--init` that a first config says itself, so that nothing has to be named again.
import { existsSync } from 'node:fs';
import { type PackagedWeights, packagedAs } from '../infer/packaged-weights.js';

const RANDOM = 'random';

/** Random weights or the package's own, where `--init` names them; undefined: it is others. A file of that name comes first. */
export function startInConfig(init: string): typeof RANDOM | PackagedWeights | undefined {
  if (existsSync(init)) return undefined;
  return init === RANDOM ? RANDOM : packagedAs(init);
}
