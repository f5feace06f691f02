// No number, list or text of a config is without an end: what no network needs is one line that names the file and the key.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { processorMs } from '../testing/processor-time.js';
import { loadConfig, parseConfig, validateConfig } from './index.js';
import { type ConfigPath, type SchemaNode, schemaTree } from './schema-node.js';

interface Place {
  readonly path: ConfigPath;
  readonly node: SchemaNode;
  /** A config in which the place may stand, up to it. */
  readonly around: (value: unknown) => unknown;
}

/** Every place of the schema that is no group: numbers, texts, choices, lists and what is in them. */
function places(node: SchemaNode, at: ConfigPath, around: Place['around']): Place[] {
  if (node.oneOf !== undefined) return node.oneOf.flatMap((option) => places(option, at, around));
  if (node.properties !== undefined) {
    const required = smallest(node) as Record<string, unknown>;
    return Object.entries(node.properties).flatMap(([key, child]) =>
      places(child, [...at, key], (value) => around({ ...required, [key]: value })),
    );
  }
  const own: Place = { path: at, node, around };
  if (node.type !== 'array') return [own];
  const items = node.prefixItems ?? [node.items!];
  const inside = items.flatMap((item, index) =>
    places(item, [...at, index], (value) => {
      const others = items.map(smallest);
      return around(others.with(index, value));
    }),
  );
  return [own, ...inside];
}

/** The least that stands for a node: what is required in it. */
function smallest(node: SchemaNode): unknown {
  if (node.const !== undefined) return node.const;
  if (node.enum !== undefined) return node.enum[0];
  if (node.oneOf !== undefined) return smallest(node.oneOf[0]!);
  if (node.anyOf !== undefined) return smallest(node.anyOf[0]!);
  if (node.properties !== undefined) {
    const needed = Object.entries(node.properties).filter(
      ([key, child]) => node.required?.includes(key) || (key === 'type' && child.const !== undefined),
    );
    return Object.fromEntries(needed.map(([key, child]) => [key, smallest(child)]));
  }
  if (node.type === 'array') return (node.prefixItems ?? [node.items!]).map(smallest);
  if (node.type === 'string') return 'x';
  return node.minimum ?? (node.exclusiveMinimum ?? 0) + 0.5;
}

const whole = schemaTree();
const all = places(whole, [], (value) => value);
const nameOf = (at: ConfigPath): string =>
  at.map((key, i) => (typeof key === 'number' ? `[${key}]` : i === 0 ? key : `.${key}`)).join('');

function isAllowed(node: SchemaNode, value: number): boolean {
  if (node.anyOf !== undefined) return node.anyOf.some((option) => isAllowed(option, value));
  if (node.const !== undefined || node.enum !== undefined) return false;
  if (node.type !== 'number' && node.type !== 'integer') return false;
  return (
    Number.isFinite(value) &&
    value >= (node.minimum ?? -Infinity) &&
    value > (node.exclusiveMinimum ?? -Infinity) &&
    value <= (node.maximum ?? Infinity) &&
    value < (node.exclusiveMaximum ?? Infinity)
  );
}

/** What is said of a config, or undefined where it is taken. */
function problem(read: () => unknown): string | undefined {
  const started = processorMs();
  try {
    read();
    return undefined;
  } catch (error) {
    assert.ok(error instanceof InputError, String(error));
    assert.ok(!error.message.includes('\n'), error.message);
    return error.message;
  } finally {
    assert.ok(processorMs() - started < 5000, 'a second on a quiet machine');
  }
}

describe('every place of a config', () => {
  test('is found by this test', () => {
    const names = new Set(all.map((place) => nameOf(place.path)));
    for (const name of ['model.anchors.sizes[0][0]', 'model.backbone.blocks[0].parents[1]', 'data.test.images'])
      assert.ok(names.has(name), name);
  });

  test('has bounds: a number on both sides, a list and a text in length', () => {
    const unbounded = all.flatMap(({ path: at, node }) => {
      const kinds = node.anyOf ?? [node];
      return kinds.some((kind) => !isBounded(kind)) ? [nameOf(at)] : [];
    });
    assert.deepEqual(unbounded, []);
  });

  const million = Array.from({ length: 1_000_000 }, () => 1);
  for (const [word, value] of [
    ['1e8', 1e8],
    ['-1e8', -1e8],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
    ['1e308', 1e308],
    ['a list of a million', million],
    ['a text of a million characters', 'x'.repeat(1_000_000)],
  ] as const) {
    test(`refuses ${word} in one line that names it, or has it within its bounds`, () => {
      for (const { path: at, node, around } of all) {
        const message = problem(() => validateConfig(around(value), 'config.yaml'));
        if (typeof value === 'number' && isAllowed(node, value)) continue;
        assert.ok(message !== undefined, `${nameOf(at)} takes ${word}`);
        assert.ok(message.startsWith('config.yaml: '), message);
        // A union without a kind is named by the group that lacks it.
        assert.ok(message.includes(nameOf(at)), `${nameOf(at)}: ${message}`);
      }
    });
  }
});

function isBounded(node: SchemaNode): boolean {
  if (node.const !== undefined || node.enum !== undefined || node.type === 'boolean') return true;
  switch (node.type) {
    case 'integer':
    case 'number': {
      const low = node.minimum ?? node.exclusiveMinimum;
      const high = node.maximum ?? node.exclusiveMaximum;
      return low !== undefined && high !== undefined && low >= -1e6 && high <= 1e10;
    }
    case 'string':
      return node.maxLength !== undefined || node.pattern !== undefined;
    case 'array':
      return node.prefixItems !== undefined || node.maxItems !== undefined;
    default:
      return false;
  }
}

describe('a config file', () => {
  test('with more entries than a config has is refused before it is parsed', (t) => {
    const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-bounds-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'long.yaml');
    for (const text of [
      `model: {type: mask_rcnn}\ntrain: {schedule: {steps: [${'1,'.repeat(1_000_000)}1]}}\n`,
      `model: {type: mask_rcnn}\n${Array.from({ length: 200_000 }, (_, i) => `k${i}: 1`).join('\n')}`,
    ]) {
      writeFileSync(file, text);
      const started = processorMs();
      assert.throws(() => loadConfig(file), {
        message: /long\.yaml: has \d+ lines and entries, a config at most 30000/,
      });
      assert.ok(processorMs() - started < 1000);
    }
  });

  test('finds a key that is given twice in a time that grows with the length alone', () => {
    const keys = Array.from({ length: 25_000 }, (_, i) => `k${i}: 1`);
    const started = processorMs();
    const text = `${keys.join('\n')}\nk7: 2\n`;
    assert.throws(() => parseConfig(text, { file: 'c.yaml' }), {
      message: 'c.yaml:25001: not valid YAML: k7 is given twice, first on line 8: correct it',
    });
    // Comparing each with each takes a quarter of a minute.
    assert.ok(processorMs() - started < 8000);
  });

  for (const [what, text] of [
    ['lists', `model: ${'['.repeat(5000)}${']'.repeat(5000)}`],
    ['groups', `${'{model: '.repeat(3000)}1${'}'.repeat(3000)}`],
    ['block lists', `model:\n  ${'- '.repeat(3000)}1`],
  ] as const) {
    test(`of ${what} in one another is one line`, () => {
      assert.match(problem(() => parseConfig(text, { file: 'deep.yaml' })) ?? '', /^deep\.yaml/);
    });
  }
});

test('--set is bounded as the file is, and named', () => {
  const set = 'model.neck.channels=1e12';
  assert.equal(
    problem(() => parseConfig('model: {type: faster_rcnn}', { file: 'a.yaml', sets: [set] })),
    '--set model.neck.channels=1e12: model.neck.channels: got 1000000000000: expected a whole number from 1 to 16384',
  );
});
