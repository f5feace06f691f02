// Settings of another system's config that tell which of their keys are read.
import { isKey, type KeyTree } from '../foreign/shared/key-kinds.js';
import type { YamlSettings } from '../foreign/shared/yaml-settings.js';

/** The settings with values that tell `seen` the path of every key that is read. */
export function watchedSettings<Values extends object>(
  tree: KeyTree,
  settings: YamlSettings<Values>,
  seen: Set<string>,
): YamlSettings<Values> {
  const watch = (values: object, group: KeyTree, prefix: string): object =>
    new Proxy(values, {
      get(target, name: string) {
        const value: unknown = Reflect.get(target, name);
        const node = group[name];
        if (node === undefined) return value;
        if (!isKey(node)) return watch(value as object, node, `${prefix}${name}.`);
        seen.add(`${prefix}${name}`);
        return value;
      },
    });
  return { ...settings, values: watch(settings.values, tree, '') as Values };
}
