// What a system's config files are to us: something that can be recognised, and read into a config of ours.
import type { RunConfig } from '../config/index.js';

/** A part of a config of ours, before its own schema checks it. */
export type ConfigPart = Readonly<Record<string, unknown>>;

export interface ConfigDialect {
  /** The system's name, for messages. */
  readonly name: string;
  /** Whether `text` is such a config: told by its content, and by the ending of `file` where that decides. */
  recognises(file: string, text: string): boolean;
  /**
   * @param options.sets the `--set` options as `KEY=VALUE`, in the system's names or in ours
   * @returns `notices` are lines for the person, each complete: what has no effect, what was taken for what
   * @throws InputError, one line
   */
  read(
    text: string,
    options: { readonly file: string; readonly sets: readonly string[] },
  ): { readonly config: RunConfig; readonly notices: readonly string[] };
}
