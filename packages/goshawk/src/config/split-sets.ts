// The data sets of a split, each as if it were the only one.
import { basename, extname } from 'node:path';
import type { DataSetConfig, DataSplitConfig } from './split-schema.js';

export interface NamedSet {
  /** The config's own, else after the file; no two of a split are alike. */
  readonly name: string;
  /** Its place in the config, behind that of the split: '' or `.also[0]`. */
  readonly place: string;
  /** A split of this set alone. */
  readonly split: DataSplitConfig;
}

export function setsOfSplit({ also = [], ...first }: DataSplitConfig): readonly [NamedSet, ...NamedSet[]] {
  const taken = new Set<string>();
  const named = (set: DataSetConfig, place: string): NamedSet => {
    const wanted = asFolderName(set.name ?? nameAfter(set));
    let name = wanted;
    for (let count = 2; taken.has(name); count++) name = `${wanted}-${count}`;
    taken.add(name);
    return { name, place, split: set };
  };
  return [named(first, ''), ...also.map((set, index) => named(set, `.also[${index}]`))];
}

/** Results of a set have a folder of that name. */
function asFolderName(name: string): string {
  return name.replace(/[^\p{L}\p{N}_.+-]+/gu, '-').replace(/^\.+/, '') || 'set';
}

function nameAfter({ annotations, set }: DataSetConfig): string {
  const file = basename(annotations, extname(annotations));
  return set === undefined ? file : `${file}-${set}`;
}
