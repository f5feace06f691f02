// The schema as a tree that can be asked: which keys are known at a path, and what was expected there.
// Error messages and the reference page are made from it.
import { z } from 'zod';
import { EPOCHS } from './bounds.js';
import { runConfigSchema } from './run-config.js';

/** The part of JSON Schema that zod writes for our schema. */
export interface SchemaNode {
  readonly type?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly items?: SchemaNode;
  readonly prefixItems?: readonly SchemaNode[];
  readonly oneOf?: readonly SchemaNode[];
  readonly anyOf?: readonly SchemaNode[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxLength?: number;
  readonly pattern?: string;
}

export type ConfigPath = readonly (string | number)[];

let root: SchemaNode | undefined;

export function schemaTree(): SchemaNode {
  root ??= z.toJSONSchema(runConfigSchema, { io: 'input' }) as SchemaNode;
  return root;
}

/** The nodes that describe `path`: several where a union's kind is not settled by `value`, none for an unknown path. */
export function nodesAt(path: ConfigPath, value: unknown): readonly SchemaNode[] {
  let nodes: readonly SchemaNode[] = [schemaTree()];
  let here = value;
  for (const key of path) {
    nodes = nodes.flatMap((node) => {
      const next = variants(node, here).flatMap((variant) => childOf(variant, key));
      return next.filter((child) => child !== undefined);
    });
    here = isRecord(here) || Array.isArray(here) ? (here as Record<string | number, unknown>)[key] : undefined;
  }
  return nodes.flatMap((node) => variants(node, here));
}

/** The keys that may stand in the group at `path`. */
export function keysAt(path: ConfigPath, value: unknown): readonly string[] {
  return [...new Set(nodesAt(path, value).flatMap((node) => Object.keys(node.properties ?? {})))];
}

/** The whole paths of all keys, `train.optimizer.lr` and so on. */
export function allPaths(node: SchemaNode = schemaTree(), prefix = ''): readonly string[] {
  const paths = (node.oneOf ?? [node]).flatMap((option) =>
    Object.entries(option.properties ?? {}).flatMap(([key, child]) => [
      `${prefix}${key}`,
      ...allPaths(child, `${prefix}${key}.`),
    ]),
  );
  return [...new Set(paths)];
}

/** In words, such as `a whole number from 1 to 64`. */
export function expectedAt(path: ConfigPath, value: unknown): string {
  return joinWords([...new Set(nodesAt(path, value).map(describeNode))]);
}

/** In words, such as `pool or none`. */
export function describeNode(node: SchemaNode): string {
  if (node.const !== undefined) return String(node.const);
  if (node.enum !== undefined) return joinWords(node.enum.map(String));
  if (node.anyOf !== undefined) return joinWords(node.anyOf.map(describeNode));
  switch (node.type) {
    case 'integer':
      return `a whole number${describeRange(node)}`;
    case 'number':
      return `a number${describeRange(node)}`;
    case 'boolean':
      return 'true or false';
    case 'string':
      if (node.pattern === EPOCHS.source) return "epochs as in '3 epochs'";
      return node.pattern === undefined ? 'text' : 'cpu, cuda or cuda:N';
    case 'array':
      return describeList(node);
    default:
      return 'a group of keys';
  }
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Of a union the option whose `type` the value names; all options where it names none of them. */
function variants(node: SchemaNode, value: unknown): readonly SchemaNode[] {
  if (node.oneOf === undefined) return [node];
  const kind = isRecord(value) ? value.type : undefined;
  const match = node.oneOf.filter((option) => {
    const type = option.properties?.type;
    return type !== undefined && type.const === (kind ?? type.default);
  });
  return match.length > 0 ? match : node.oneOf;
}

function childOf(node: SchemaNode, key: string | number): readonly SchemaNode[] {
  if (typeof key === 'number') {
    const item = node.prefixItems?.[key] ?? node.items;
    return item === undefined ? [] : [item];
  }
  const properties = node.properties ?? {};
  return Object.hasOwn(properties, key) ? [properties[key]!] : [];
}

function describeRange(node: SchemaNode): string {
  // zod bounds whole numbers by the safe integers; nobody wants to read that.
  const maximum = node.maximum === Number.MAX_SAFE_INTEGER ? undefined : node.maximum;
  const minimum = node.minimum === Number.MIN_SAFE_INTEGER ? undefined : node.minimum;
  if (minimum !== undefined && maximum !== undefined) return ` from ${minimum} to ${maximum}`;
  const low = minimum !== undefined ? `of at least ${minimum}` : undefined;
  const above = node.exclusiveMinimum !== undefined ? `above ${node.exclusiveMinimum}` : undefined;
  const isBetween = minimum !== undefined || node.exclusiveMinimum !== undefined;
  const high = maximum !== undefined ? `${isBetween ? '' : 'of '}at most ${maximum}` : undefined;
  const below = node.exclusiveMaximum !== undefined ? `below ${node.exclusiveMaximum}` : undefined;
  const parts = [low ?? above, high ?? below].filter((part) => part !== undefined);
  return parts.length === 0 ? '' : ` ${parts.join(' and ')}`;
}

function describeList(node: SchemaNode): string {
  if (node.prefixItems !== undefined) return `a list of ${node.prefixItems.length} numbers`;
  const least = describeLength(node);
  const { items } = node;
  if (items?.properties !== undefined || items?.oneOf !== undefined) return `a list of ${least}groups of keys`;
  if (items?.type === 'array') return `a list of ${least}lists of numbers`;
  if (items?.anyOf?.some(({ pattern }) => pattern === EPOCHS.source))
    return `a list of ${least}whole numbers or epochs as in '3 epochs'`;
  const kinds: Readonly<Record<string, string>> = { integer: 'whole numbers', string: 'texts' };
  return `a list of ${least}${kinds[items?.type ?? ''] ?? 'numbers'}`;
}

function describeLength({ minItems, maxItems }: SchemaNode): string {
  if (maxItems === undefined) return minItems === undefined ? '' : `${minItems} or more `;
  return minItems === undefined ? `up to ${maxItems} ` : `${minItems} to ${maxItems} `;
}

function joinWords(words: readonly string[]): string {
  return words.length < 2 ? words.join('') : `${words.slice(0, -1).join(', ')} or ${words.at(-1)}`;
}
