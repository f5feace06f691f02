// Names of tensors turned into ours by rules.

/** A rule of renaming; the first that matches a name decides. */
export interface Renaming {
  readonly from: RegExp;
  /** The new name, or undefined for what is no part of a model. */
  readonly to: (match: RegExpExecArray) => string | undefined;
}

/** Names that no rule knows stay, so that they are reported as left over. */
export function renameState<T>(
  state: ReadonlyMap<string, T>,
  rules: readonly Renaming[],
): { readonly state: Map<string, T>; readonly orphans: readonly string[] } {
  const renamed = new Map<string, T>();
  const orphans: string[] = [];
  for (const [name, value] of state) {
    const to = renameOne(name, rules);
    if (to === undefined) orphans.push(name);
    else renamed.set(to, value);
  }
  return { state: renamed, orphans };
}

function renameOne(name: string, rules: readonly Renaming[]): string | undefined {
  for (const { from, to } of rules) {
    const match = from.exec(name);
    if (match) return to(match);
  }
  return name;
}
