// What stands beside the data in a Python file of data: imports, classes and functions. They are passed over, not run.
import type { PythonEntry } from './python-data.js';

export interface PythonParts {
  /** The text with empty lines in the place of its code, so that every line keeps its number. */
  readonly data: string;
  /** Names that the imports make known, each as a text of itself. */
  readonly imported: ReadonlyMap<string, PythonEntry>;
}

const IMPORT = /^(?:import|from)\b/;
const DEFINITION = /^(?:class|def|async def|@)/;

/** Code is what begins at the first column with one of Python's words for it, to the next line that does not belong to it. */
export function partsOfPython(text: string): PythonParts {
  const imported = new Map<string, PythonEntry>();
  let inside: 'import' | 'definition' | undefined;
  // Of an import: open brackets, and whether its line goes on.
  let open = 0;
  let isContinued = false;
  const data = text.split('\n').map((line, index) => {
    if (inside === 'import' && open === 0 && !isContinued) inside = undefined;
    if (inside === 'definition' && /^[^\s#]/.test(line)) inside = undefined;
    if (inside === undefined) {
      if (IMPORT.test(line)) inside = 'import';
      else if (DEFINITION.test(line)) inside = 'definition';
    }
    if (inside === undefined) return line;
    if (inside === 'import') {
      for (const name of importedNames(line)) imported.set(name, nameItself(name, index + 1));
      const code = line.replace(/#.*/, '');
      open = Math.max(0, open + code.split('(').length - code.split(')').length);
      isContinued = /\\\s*$/.test(code);
    }
    return '';
  });
  return { data: data.join('\n'), imported };
}

/** Of one line of an import: what comes behind `import`, by its new name where it gets one. */
function importedNames(line: string): string[] {
  const list = line.replace(/#.*/, '').replace(/^.*\bimport\b/, '');
  return list
    .split(',')
    .map((part) => /(\w+)\s*\)?\s*\\?\s*$/.exec(part.trim())?.[1])
    .filter((name) => name !== undefined);
}

function nameItself(name: string, line: number): PythonEntry {
  return { line, value: { line, content: { kind: 'plain', value: name } } };
}
