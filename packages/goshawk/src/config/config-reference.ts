// The reference of all config keys as Markdown, made from the schema; `node scripts/write-config-reference.mjs` puts it
// into docs/config.md.
import { describeNode, type SchemaNode, schemaTree } from './schema-node.js';

/** Tables of keys, in the schema's order: one for each group, and where kinds of a group differ one for each kind. */
export function configReference(): string {
  const sections = Object.entries(schemaTree().properties ?? {}).flatMap(([key, node]) =>
    tables([{ path: key, node }]),
  );
  return sections.map(({ title, rows }) => [`### ${title}`, '', ...formatRows(rows)].join('\n')).join('\n\n');
}

interface Table {
  readonly title: string;
  readonly rows: readonly Row[];
}

interface Row {
  readonly key: string;
  readonly value: string;
  readonly standard: string;
  readonly description: string;
}

/** Kinds that hold lists of themselves are told once: what stands in the inner list is what the outer one's tables say. */
function isToldAbove(node: SchemaNode, outer: readonly SchemaNode[]): boolean {
  const kinds = node.oneOf?.map(kindOf);
  if (kinds === undefined) return false;
  return outer.some(({ oneOf = [] }) => kinds.every((kind) => oneOf.some((option) => kindOf(option) === kind)));
}

/** A group as one kind of what holds it has it: models of every kind have anchors, but not the same keys in them. */
interface Variant {
  readonly path: string;
  readonly node: SchemaNode;
  /** The kind, such as `mask_rcnn`; absent where what holds it does not come in kinds. */
  readonly kind?: string;
}

/**
 * The tables of one group, which several kinds of what holds it have in the same form or each in its own; then of the groups
 * in it.
 * @param allKinds how many kinds of what holds it there are
 * @param outer the groups that hold it
 */
function tables(variants: readonly Variant[], allKinds = 0, outer: readonly SchemaNode[] = []): Table[] {
  const forms = groupBy(variants, ({ node }) => JSON.stringify(node));
  return forms.flatMap((same) => {
    const { path, node } = same[0]!;
    const kinds = same.flatMap(({ kind }) => kind ?? []);
    const title = kinds.length < allKinds ? `${path} of ${kinds.join(', ')}` : path;
    const options = node.oneOf ?? [node];
    const own = options.flatMap((option) =>
      tableOf(options.length > 1 ? `${title} (type: ${kindOf(option)})` : title, option),
    );
    const inner = options.flatMap((option) =>
      groupsOf(option)
        .filter(([, child]) => !isToldAbove(child, [...outer, node]))
        .map(([key, child]) => ({
          path: `${path}.${key}`,
          node: child,
          ...(options.length > 1 && { kind: kindOf(option) }),
        })),
    );
    return [
      ...own,
      ...groupBy(inner, (variant) => variant.path).flatMap((group) =>
        tables(group, options.length > 1 ? options.length : 0, [...outer, node]),
      ),
    ];
  });
}

function tableOf(title: string, node: SchemaNode): Table[] {
  const entries = Object.entries(node.properties ?? {}).filter(([, child]) => !isGroup(child));
  return entries.length === 0
    ? []
    : [{ title, rows: entries.map(([key, child]) => rowOf(key, child, node.required ?? [])) }];
}

function groupsOf(node: SchemaNode): (readonly [string, SchemaNode])[] {
  return Object.entries(node.properties ?? {}).flatMap(([key, child]) => {
    if (isGroup(child)) return [[key, child] as const];
    // A list of groups: what stands in each.
    return child.items !== undefined && isGroup(child.items) ? [[`${key}[]`, child.items] as const] : [];
  });
}

function isGroup(node: SchemaNode): boolean {
  return node.properties !== undefined || node.oneOf !== undefined;
}

const kindOf = (option: SchemaNode): string => String(option.properties?.type?.const);

function groupBy<T>(values: readonly T[], keyOf: (value: T) => string): T[][] {
  const groups = new Map<string, T[]>();
  for (const value of values) {
    const key = keyOf(value);
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [value]);
    else group.push(value);
  }
  return [...groups.values()];
}

function rowOf(key: string, node: SchemaNode, required: readonly string[]): Row {
  const standard = node.default === undefined ? (required.includes(key) ? 'required' : '-') : showDefault(node.default);
  return { key, value: describeNode(node), standard, description: node.description ?? '' };
}

function showDefault(value: unknown): string {
  if (value === 1 / 255) return '1/255';
  if (value === 1 / 9) return '1/9';
  return typeof value === 'string' ? value : JSON.stringify(value).replaceAll(',', ', ');
}

function formatRows(rows: readonly Row[]): string[] {
  const lines = rows.map(
    ({ key, value, standard, description }) => `| ${key} | ${value} | ${standard} | ${description} |`,
  );
  return ['| key | value | default | what it does |', '| --- | --- | --- | --- |', ...lines];
}
