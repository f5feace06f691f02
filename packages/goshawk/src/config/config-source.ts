/** Where a config was read from, for messages and records. */
export interface ConfigSource {
  readonly file: string;
  readonly text: string;
  /** The `--set` options as they were typed. */
  readonly sets: readonly string[];
}
