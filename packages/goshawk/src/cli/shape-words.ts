// `--shape HEIGHT WIDTH`, as mmdetection's tools take it, beside HEIGHTxWIDTH.

/** The arguments with `--shape 640 480` as `--shape 640x480`. */
export function joinShapeWords(words: readonly string[]): string[] {
  const at = words.indexOf('--shape');
  const [height, width] = at < 0 ? [] : words.slice(at + 1, at + 3);
  if (!isNumber(height) || !isNumber(width)) return [...words];
  return [...words.slice(0, at + 1), `${height}x${width}`, ...words.slice(at + 3)];
}

function isNumber(word: string | undefined): boolean {
  return /^\d+$/.test(word ?? '');
}
