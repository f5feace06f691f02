// `--set` in the forms that people write: KEY=VALUE as here; KEY VALUE as Detectron's tools take it, where one --set may be
// followed by several; and KEY VALUE at the end without any --set, as maskrcnn-benchmark's take it.
import { existsSync } from 'node:fs';

const ownForm = /^[A-Za-z_][\w.[\]]*=/;
const capitalKey = /^[A-Z][A-Z0-9_]*(\.[A-Z0-9_]+)*$/;
/** A key of the groups of such configs, so that no picture that is missing is taken for one. */
const groupedKey = /^((MODEL|INPUT|DATASETS|DATALOADER|SOLVER|TEST)(\.[A-Z0-9_]+)+|PATHS_CATALOG|OUTPUT_DIR|DTYPE)$/;

/**
 * The arguments with one `--set KEY=VALUE` for each pair: `--set TEST.NMS 0.4 TEST.SCALE 600` becomes two, and so does `TEST.NMS
 * 0.4 TEST.SCALE 600` behind the other arguments. Names of files that follow stay arguments: only keys in capitals take the
 * next word as their value.
 */
export function joinSetWords(words: readonly string[]): string[] {
  const joined: string[] = [];
  let index = 0;
  while (index < words.length) {
    const word = words[index]!;
    index += 1;
    const isBare = beginsPairs(words, index - 1);
    if (isBare) index -= 1;
    else joined.push(word);
    if (word === '--') return [...joined, ...words.slice(index)];
    if (word !== '--set' && !isBare) continue;
    if (!isBare) joined.pop();
    const pairs = readPairs(words, index);
    index = pairs.end;
    joined.push(...(pairs.found.length === 0 ? ['--set'] : pairs.found.flatMap((pair) => ['--set', pair])));
  }
  return joined;
}

/** Whether the word at `index` is a key with a value behind it, and no file. */
function beginsPairs(words: readonly string[], index: number): boolean {
  const [word = '', value] = [words[index], words[index + 1]];
  return groupedKey.test(word) && value !== undefined && !value.startsWith('--') && !existsSync(word);
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
