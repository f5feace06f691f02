// Names come from other people's files and may hold anything: line ends, sequences that move a terminal's cursor.

const controls = /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g;

/** The text with its control characters as JSON writes them (`\\n`, `\\u001b`), so that it stays on one line. */
export function oneLine(text: string): string {
  return text.replace(controls, (character) => {
    const escaped = JSON.stringify(character).slice(1, -1);
    return escaped === character ? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}` : escaped;
  });
}
