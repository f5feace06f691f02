// The reference of all config keys as Markdown, made from the schema; `node scripts/write-config-reference.mjs` puts it
// into docs/config.md.
import { describeNode, type SchemaNode, schemaTree } from './schema-node.js';

/** One table for each group of keys, in the schema's order. */
export function configReference(): string {
  const sections = Object.entries(schemaTree().properties ?? {}).flatMap(([key, node]) => groups(key, node));
  return sections.map(({ title, rows }) => [`### ${title}`, '', ...formatRows(rows)].join('\n')).join('\n\n');
}

interface Group {
  readonly title: string;
  readonly rows: readonly Row[];
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly standard: string;
  readonly description: string;
}

/** A group and the groups in it. Kinds of the same thing (optimizers) have a table each. */
function groups(path: string, node: SchemaNode): Group[] {
  const options = node.oneOf ?? [node];
  const kinds = options.map((option) => ({ option, kind: option.properties?.type?.const }));
  // What all kinds share is told once: models differ by a head only.
  const shared = kinds.length > 1 && path === 'model';
  const merged = shared ? [{ option: mergeKinds(options), kind: kinds.map(({ kind }) => kind).join(', ') }] : kinds;
  return merged.flatMap(({ option, kind }) => {
    const entries = Object.entries(option.properties ?? {});
    const plain = entries.filter(([, child]) => !isGroup(child));
    const nested = entries.filter(([, child]) => isGroup(child));
    const title = kinds.length > 1 && !shared ? `${path} (type: ${kind})` : path;
    const rows = plain.map(([key, child]) => rowOf(key, child, option.required ?? []));
    const own = rows.length > 0 ? [{ title, rows }] : [];
    return [...own, ...nested.flatMap(([key, child]) => groups(`${path}.${key}`, child))];
  });
}

function mergeKinds(options: readonly SchemaNode[]): SchemaNode {
  const properties = Object.assign({}, ...options.map((option) => option.properties ?? {})) as Record<
    string,
    SchemaNode
  >;
  const kinds = options.map((option) => option.properties?.type?.const);
  properties.type = { type: 'string', enum: kinds, description: properties.type?.description };
  return { properties, required: options[0]?.required };
}

function isGroup(node: SchemaNode): boolean {
  return node.properties !== undefined || node.oneOf !== undefined;
}

function rowOf(key: string, node: SchemaNode, required: readonly string[]): Row {
  const standard = node.default === undefined ? (required.includes(key) ? 'required' : '-') : showDefault(node.default);
  return { key, value: describeNode(node), standard, description: node.description ?? '' };
}

function showDefault(value: unknown): string {
  if (value === 1 / 255) return '1/255';
  return typeof value === 'string' ? value : JSON.stringify(value).replaceAll(',', ', ');
}

function formatRows(rows: readonly Row[]): string[] {
  const lines = rows.map(
    ({ key, value, standard, description }) => `| ${key} | ${value} | ${standard} | ${description} |`,
  );
  return ['| key | value | default | what it does |', '| --- | --- | --- | --- |', ...lines];
}
