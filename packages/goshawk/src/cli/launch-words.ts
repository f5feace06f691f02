// goshawk launch in the forms that users of torchrun write: underscores in the names of options, and the command without -- before it.

/** What runs in processes of several machines. */
export const LAUNCHED = ['train', 'eval', 'predict'] as const;
export type Launched = (typeof LAUNCHED)[number];

export function isLaunched(word: string): word is Launched {
  return (LAUNCHED as readonly string[]).includes(word);
}

/** The words after `goshawk`, of a launch with `--node-rank` for `--node_rank` and with `--` before the command that it runs. */
export function splitLaunchWords(words: readonly string[]): string[] {
  if (words[0] !== 'launch') return [...words];
  const own = ['launch'];
  for (const [index, word] of words.entries()) {
    if (index === 0) continue;
    if (word === '--') return [...own, ...words.slice(index)];
    if (isLaunched(word)) return [...own, '--', ...words.slice(index)];
    own.push(word.startsWith('--') ? withDashes(word) : word);
  }
  return own;
}

function withDashes(option: string): string {
  const end = option.indexOf('=');
  const name = end < 0 ? option : option.slice(0, end);
  return name.replaceAll('_', '-') + option.slice(name.length);
}
