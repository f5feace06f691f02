// Names as one sees them. Letters with accents are stored in two ways (Unicode's NFC, and NFD, which macOS' archives have), and Windows and
// macOS do not tell capitals: an annotation file made there may name IMG_1.JPG what lies here as IMG_1.jpg.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Finds what a path means in folders that are listed once each: every part of it as it stands or, where nothing is called so, the only entry
 * that looks the same.
 */
export class LookAlikes {
  private readonly listed = new Map<string, ReadonlyMap<string, readonly string[]>>();

  /**
   * @param path below `folder`, its parts separated by `/`
   * @returns the path as it is stored, below `folder` too; undefined where nothing, or more than one thing, looks like it
   */
  find(folder: string, path: string): string | undefined {
    const found: string[] = [];
    for (const part of path.split('/')) {
      if (part === '' || part === '.') continue;
      const names = this.namesIn(join(folder, ...found)).get(lookOf(part)) ?? [];
      const name = names.includes(part) ? part : names.length === 1 ? names[0] : undefined;
      if (name === undefined || part === '..') return undefined;
      found.push(name);
    }
    return found.join('/');
  }

  /** Entries of a folder by how they look. */
  private namesIn(folder: string): ReadonlyMap<string, readonly string[]> {
    const known = this.listed.get(folder);
    if (known !== undefined) return known;
    const names = new Map<string, string[]>();
    for (const name of entriesOf(folder)) names.set(lookOf(name), [...(names.get(lookOf(name)) ?? []), name]);
    this.listed.set(folder, names);
    return names;
  }
}

/** The same for names that look the same. */
export function lookOf(name: string): string {
  return name.normalize('NFC').toLowerCase();
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
