// What people and programs write out of the habits of other notations, and what JSON has for it.

const foreignWords: Readonly<Record<string, string>> = {
  True: 'true',
  TRUE: 'true',
  False: 'false',
  FALSE: 'false',
  None: 'null',
  NULL: 'null',
  Null: 'null',
  nil: 'null',
  undefined: 'null',
  nan: 'null',
  NAN: 'null',
  inf: 'null',
  Inf: 'null',
  yes: 'true',
  no: 'false',
};
const pythonWords: ReadonlySet<string> = new Set(['True', 'False', 'None', 'nan', 'inf']);

/** The value that a word of another language means there, and the remedy; undefined for words that mean none. */
export function jsonWordFor(word: string): { readonly expected: string; readonly remedy: string } | undefined {
  const meant = Object.hasOwn(foreignWords, word) ? foreignWords[word] : undefined;
  if (meant === undefined) return undefined;
  const remedy = pythonWords.has(word) ? `${word} is Python's word, write the file with json.dump, or ` : '';
  return { expected: meant, remedy: `${remedy}write ${meant}` };
}

/** What to do about a number as JSON does not write it. */
export function numberRemedy(word: string): string {
  if (word.startsWith('+')) return 'write it without the +';
  if (/^-?\.\d/.test(word)) return 'write 0 in front of the point';
  if (/^-?\d+\.([eE]|$)/.test(word)) return 'write a digit behind the point';
  if (/^-?0\d+/.test(word)) return 'write it without leading zeros';
  if (/^-?0x/i.test(word)) return 'write it in decimal';
  if (/^-?[\d_]+$/.test(word)) return 'write it without _';
  return 'write a number, or text in double quotes';
}
