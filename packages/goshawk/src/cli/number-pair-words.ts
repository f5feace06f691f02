// Options of two numbers as people write them, `--shape 640 480` (mmdetection's tools) and `--range 0 100` (Detectron's): both words
// belong to the option, and what follows does not.

/** What an option's two numbers are joined by. */
const JOINTS: ReadonlyMap<string, string> = new Map([
  ['--shape', 'x'],
  ['--range', ':'],
]);

/** The arguments with `--shape 640 480` as `--shape 640x480`, and `--range 0 100` as `--range 0:100`. */
export function joinNumberPairs(words: readonly string[]): string[] {
  const joined: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const joint = JOINTS.get(word);
    const [first, second] = words.slice(index + 1);
    if (word === '--') return [...joined, ...words.slice(index)];
    joined.push(word);
    if (joint === undefined || !isNumber(first) || !isNumber(second)) continue;
    joined.push(`${first}${joint}${second}`);
    index += 2;
  }
  return joined;
}

/** Also a negative one, which is then refused with both. */
function isNumber(word: string | undefined): boolean {
  return /^-?\d+$/.test(word ?? '');
}
