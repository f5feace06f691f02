// The configs that come with the toolbox, and their reference page.
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { configReference, loadConfig } from './index.js';

const folder = fileURLToPath(new URL('../../../../configs', import.meta.url));
const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.yaml'));

describe('configs/', () => {
  for (const file of files) {
    test(`${file} is valid`, () => {
      loadConfig(path.join(folder, file));
    });
  }

  test('torchvision/mask_rcnn_r50_fpn.yaml steps as torchvision does: 26 epochs, steps after 16 and 22', () => {
    const { train } = loadConfig(path.join(folder, 'torchvision/mask_rcnn_r50_fpn.yaml')).config;
    // 117,266 training images of COCO 2017 have a usable object (references/detection/coco_utils.py), 16 a step.
    const epoch = Math.floor(117_266 / 16);
    assert.equal(Number(train.batchSize) * train.accumulate, 16);
    assert.equal(train.iterations, 26 * epoch);
    assert.deepEqual(train.schedule.steps, [16 * epoch, 22 * epoch]);
  });
});

describe('docs/config.md', () => {
  const page = readFileSync(fileURLToPath(new URL('../../../../docs/config.md', import.meta.url)), 'utf8');

  test('is made from the schema: else run scripts/write-config-reference.mjs', () => {
    assert.ok(page.includes(configReference()));
  });

  const rows = tableRows(page);
  for (const file of files) {
    test(`has every key and every choice of ${file}`, () => {
      const config: unknown = parse(readFileSync(path.join(folder, file), 'utf8'));
      const missing = leaves(config).filter(({ group, kinds, key, value }) => {
        const row = rows.find((candidate) => candidate.key === key && isTableOf(candidate.title, group, kinds));
        return row === undefined || (typeof value === 'string' && !allows(row.value, value));
      });
      assert.deepEqual(missing, []);
    });
  }

  test('has a table for each kind of a group', () => {
    const titles = new Set(rows.map(({ title }) => title));
    for (const title of [
      'model (type: retinanet)',
      'model.neck of retinanet (type: panet)',
      'model.backbone (type: spinenet)',
    ])
      assert.ok(titles.has(title), title);
  });
});

interface TableRow {
  readonly title: string;
  readonly key: string;
  readonly value: string;
}

function tableRows(page: string): TableRow[] {
  let title = '';
  return page.split('\n').flatMap((line) => {
    if (line.startsWith('### ')) title = line.slice(4);
    const cells = line.split(' | ');
    return line.startsWith('| ') ? [{ title, key: cells[0]!.slice(2), value: cells[1]! }] : [];
  });
}

interface Leaf {
  readonly group: string;
  /** The types of the groups that it is in, outermost first; undefined where none is given. */
  readonly kinds: readonly (string | undefined)[];
  readonly key: string;
  readonly value: unknown;
}

/** The keys of a config whose values are no groups; a list of groups counts with what is in each. */
function leaves(value: unknown, group = '', kinds: readonly (string | undefined)[] = []): Leaf[] {
  const own = (value as { readonly type?: string }).type;
  return Object.entries(value as object).flatMap(([key, child]) => {
    // A choice's steps are the same as those of the list that it stands in.
    const inner = group === '' ? key : key === 'steps' ? group.slice(0, group.indexOf('[]')) : `${group}.${key}`;
    if (isGroup(child)) return leaves(child, inner, [...kinds, own]);
    if (Array.isArray(child) && child.some(isGroup))
      return child.flatMap((item) => leaves(item, `${inner}[]`, [...kinds, own]));
    return [{ group, kinds: [...kinds, own], key, value: child }];
  });
}

function isGroup(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** `model.neck of faster_rcnn, mask_rcnn (type: fpn)` is one of model.neck in these models, for this type. */
function isTableOf(title: string, group: string, kinds: readonly (string | undefined)[]): boolean {
  const [, name, owners, type] = /^(.+?)(?: of (.+?))?(?: \(type: (.+)\))?$/.exec(title)!;
  const own = kinds.at(-1);
  // The steps of a choice are steps: their tables stand once.
  const told = group.replace(/^data\.augment\[\](\.choices\[\]\.steps\[\])+/, 'data.augment[]');
  if (name !== told || (type !== undefined && own !== undefined && type !== own)) return false;
  return owners === undefined || kinds.some((kind) => kind !== undefined && owners.split(', ').includes(kind));
}

/** Free text, or a choice that is listed. */
function allows(listed: string, value: string): boolean {
  return listed === 'text' || listed.startsWith('cpu') || listed.split(/, | or /).includes(value);
}
