// Whether all processes of a run were started for the same: each reads its own config and data, on its own machine perhaps, and what they
// compute together would be neither's.
import { createHash } from 'node:crypto';
import { basename } from 'node:path';
import { type ProcessGroup, requireSameLines } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import type { DetectionDataset } from '../data/index.js';

/** Where a process finds things, and how it goes about its work; what data sets hold is compared itself. */
const OWN_KEYS: ReadonlySet<string> = new Set([
  'runtime',
  'data.workers',
  'data.train',
  'data.val',
  'data.test',
  'model.backbone.weights',
]);

/**
 * Every process of the group calls it at the same place.
 * @param facts by name, in the same order everywhere; numbers and texts that are to be the same besides the config
 * @throws DistributedError in all processes, naming the first key or fact that differs
 */
export function requireSameRun(group: ProcessGroup, config: RunConfig, facts: Readonly<Record<string, unknown>>): void {
  const lines = [...linesOf(config, ''), ...Object.entries(facts).map(([name, fact]) => `${name}: ${asText(fact)}`)];
  requireSameLines(group, lines, { what: 'the run', advice: 'give all the same config, options and data' });
}

/** What a data set holds, in words: pictures by number, and a checksum of their names, sizes and boxes. */
export function describeContents({ samples, categories }: Pick<DetectionDataset, 'samples' | 'categories'>): string {
  const hash = createHash('sha256');
  hash.update(JSON.stringify(categories.map(({ id, name }) => [id, name])));
  for (const { image, annotations } of samples) {
    const boxes = annotations.map(({ categoryId, bbox }) => `${categoryId} ${bbox.join(' ')}`);
    // Folders may be others on another machine.
    hash.update(`\n${basename(image.fileName)} ${image.width} ${image.height} ${boxes.join(', ')}`);
  }
  return `${samples.length} pictures (checksum ${hash.digest('hex').slice(0, 12)})`;
}

function* linesOf(value: unknown, path: string): Iterable<string> {
  if (OWN_KEYS.has(path) || value === undefined) return;
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    yield `${path}: ${asText(value)}`;
    return;
  }
  const entries = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [key, part] of entries) yield* linesOf(part, path === '' ? key : `${path}.${key}`);
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value);
}
