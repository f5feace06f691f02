// A page of what becomes of each of a system's keys, made from the keys themselves.
import { isKey, type Key, type KeyTree, keysOf } from './key-kinds.js';
import { show } from './yaml-settings.js';

export interface OptionsPage {
  /** What stands above the tables, in Markdown. */
  readonly introduction: string;
  readonly tree: KeyTree;
  /** What holds for all keys of a group, by its name. */
  readonly sectionNotes?: Readonly<Record<string, string>>;
  /** The names that keys of parts of the network can have. */
  readonly partNames: Readonly<Record<string, readonly string[]>>;
}

/** The whole page as Markdown: a table for each group of keys, and one of those without a group. */
export function optionsPage({ introduction, tree, sectionNotes = {}, partNames }: OptionsPage): string {
  const sections = groupsOf(tree, '').map(([title, group]) =>
    section(title, group, `${title}.`, { sectionNotes, partNames }),
  );
  const single = onlyKeys(tree);
  const rest = section('Outside of groups', single, '', { sectionNotes, partNames });
  return `${introduction}\n${[...sections, rest].join('\n\n')}\n`;
}

/** Every group with keys of its own, with its path. */
function groupsOf(tree: KeyTree, prefix: string): (readonly [title: string, group: KeyTree])[] {
  return Object.entries(tree).flatMap(([name, node]) => {
    if (isKey(node)) return [];
    const title = `${prefix}${name}`;
    // Small groups inside of others stand among their keys.
    const isDeep = Object.values(node).filter((child) => !isKey(child)).length > DEEP;
    return isDeep ? [[title, onlyKeys(node)] as const, ...groupsOf(node, `${title}.`)] : [[title, node] as const];
  });
}

const DEEP = 5;

const onlyKeys = (tree: KeyTree): KeyTree => Object.fromEntries(Object.entries(tree).filter(([, node]) => isKey(node)));

type Notes = Pick<Required<OptionsPage>, 'sectionNotes' | 'partNames'>;

function section(title: string, tree: KeyTree, prefix: string, { sectionNotes, partNames }: Notes): string {
  const note = sectionNotes[title];
  const rows = keysOf(tree, prefix).map(
    ([path, key]) => `| \`${path}\` | ${defaultOf(key)} | ${fate(key, partNames[path])} |`,
  );
  return [
    `## ${title}`,
    '',
    ...(note ? [note, ''] : []),
    '| key | default | here |',
    '| --- | --- | --- |',
    ...rows,
  ].join('\n');
}

function defaultOf({ standard }: Key): string {
  if (standard === null) return '';
  const isLoneItem = Array.isArray(standard) && standard.length === 1;
  return `\`${isLoneItem ? `(${show(standard[0])},)` : show(standard)}\``;
}

function fate(key: Key, parts: readonly string[] | undefined): string {
  const names = (key.choices ?? parts)?.filter((name) => name !== '').map((name) => `\`${name}\``);
  switch (key.effect) {
    case 'used': {
      const limits = [...(names ? [names.join(', ')] : []), ...(key.note ? [key.note] : [])];
      return limits.length === 0 ? 'works' : `works: ${limits.join('; ')}`;
    }
    case 'settled':
    case 'none':
      return `no effect: ${key.reason}${names ? `; has to be one of ${names.join(', ')}` : ''}`;
    case 'fixed':
      return `other values are refused: ${key.reason}`;
  }
}
