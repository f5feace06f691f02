// `--set` in both forms that people write: KEY=VALUE as here, and KEY VALUE as Detectron's tools take it, where one
// --set may be followed by several.
import { existsSync } from 'node:fs';

const ownForm = /^[A-Za-z_][\w.[\]]*=/;
const capitalKey = /^[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*$/;

/**
 * The arguments with one `--set KEY=VALUE` for each pair: `--set TEST.NMS 0.4 TEST.SCALE 600` becomes two. Names of
 * files that follow stay arguments: only keys in capitals, as Detectron's, take the next word as their value.
 */
export function joinSetWords(words: readonly string[]): string[] {
  const joined: string[] = [];
  let index = 0;
  while (index < words.length) {
    const word = words[index]!;
    index += 1;
    joined.push(word);
    if (word === '--') return [...joined, ...words.slice(index)];
    if (word !== '--set') continue;
    joined.pop();
    const pairs = readPairs(words, index);
    index = pairs.end;
    joined.push(...(pairs.found.length === 0 ? ['--set'] : pairs.found.flatMap((pair) => ['--set', pair])));
  }
  return joined;
}

function readPairs(words: readonly string[], start: number): { found: string[]; end: number } {
  const found: string[] = [];
  let index = start;
  for (;;) {
    const word = words[index];
    const isFirst = index === start;
    if (word === undefined || word.startsWith('-') || (!isFirst && existsSync(word))) break;
    const value = words[index + 1];
    if (ownForm.test(word)) {
      found.push(word);
      index += 1;
    } else if (capitalKey.test(word) && value !== undefined && !value.startsWith('--')) {
      found.push(`${word}=${value}`);
      index += 2;
    } else {
      // A mistake of form, or a key at the end without a value: the message about it names the word.
      if (isFirst || capitalKey.test(word)) found.push(words[index++]!);
      break;
    }
  }
  return { found, end: index };
}
