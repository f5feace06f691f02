// Which sources are compiled together, as if they were one: names in their unnamed namespaces must differ. The engine's
// headers take a compiler seven seconds and most of our files less than that, so that a file at a time spends three
// quarters of the set-up on the same headers.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

export interface Source {
  /** Path below native/, with slashes. */
  readonly name: string;
  readonly bytes: number;
}

export interface TranslationUnit {
  /** Such as `kernels-2`. */
  readonly name: string;
  readonly sources: readonly string[];
}

// Small enough that four processors have something to do, and that a change to one kernel compiles in 15 seconds.
const UNIT_BYTES = 48_000;

/**
 * The sources of a folder go, in order of their names, into units of about the same size, none of much more than
 * 48 kB. The result depends on names and sizes alone, so that every checkout makes the same units.
 */
export function translationUnits(sources: readonly Source[]): TranslationUnit[] {
  const folders = new Map<string, Source[]>();
  for (const source of [...sources].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const folder = dirname(source.name);
    folders.set(folder, [...(folders.get(folder) ?? []), source]);
  }
  return [...folders].flatMap(([folder, members]) => {
    const total = members.reduce((sum, { bytes }) => sum + bytes, 0);
    const count = Math.max(1, Math.ceil(total / UNIT_BYTES));
    const groups = Array.from({ length: count }, (): string[] => []);
    let before = 0;
    for (const { name, bytes } of members) {
      // A file belongs where its middle falls.
      groups[Math.min(count - 1, Math.floor(((before + bytes / 2) / total) * count))]!.push(name);
      before += bytes;
    }
    return groups
      .filter((group) => group.length > 0)
      .map((group, index) => ({ name: `${folder.replaceAll('/', '-')}-${index + 1}`, sources: group }));
  });
}

/** The text that the compiler is given: the files as they are, found below native/. */
export function unitText({ sources }: TranslationUnit): string {
  return sources.map((name) => `#include "${name}"\n`).join('');
}

/**
 * Sources and what of `root` they include in quotes, directly or not, each once, in order of their names: a name in quotes is looked
 * for beside the file that includes it, then below `root`, as compilers do.
 */
export function withIncludes(root: string, sources: readonly string[]): string[] {
  const seen = new Set<string>();
  const pending = [...sources];
  for (let name = pending.pop(); name !== undefined; name = pending.pop()) {
    if (seen.has(name)) continue;
    seen.add(name);
    const text = readFileSync(join(root, name), 'utf8');
    for (const [, included] of text.matchAll(/^\s*#\s*include\s+"([^"]+)"/gm)) {
      const places = [normalize(join(dirname(name), included!)), included!];
      const found = places.find((place) => existsSync(join(root, place)));
      if (found !== undefined) pending.push(found);
    }
  }
  return [...seen].sort();
}
