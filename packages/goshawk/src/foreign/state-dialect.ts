// What a system's names of tensors are to us: something that can be recognised, and turned into our names, which are
// torchvision's.

/** How a file's ResNet is normalised; undefined where the file does not tell. */
export type StateNorm = 'affine' | 'group' | 'batch';

export interface RenamedState<T> {
  /** Under our names. */
  readonly state: Map<string, T>;
  /** Names in the file of what is no part of a model here: momentum, an ImageNet classifier, idle biases. */
  readonly orphans: readonly string[];
  readonly norm?: StateNorm | undefined;
}

export interface StateDialect {
  /** The system's name, for messages. */
  readonly name: string;
  recognises(names: ReadonlySet<string>): boolean;
  rename<T>(state: ReadonlyMap<string, T>): RenamedState<T>;
}

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
