// YAML as a document whose places are known, read in a time that grows with its length alone.
import { type Document, isScalar, LineCounter, type Node, parseDocument, visit } from 'yaml';

export interface YamlDocument {
  readonly document: Document;
  readonly lines: LineCounter;
  /** The first thing that makes it no YAML, with its line. */
  readonly error?: { readonly line: number; readonly message: string } | undefined;
}

/**
 * @param version of YAML: Python's reader follows 1.1
 * @throws RangeError where it is nested too deeply
 */
export function readYaml(text: string, version: '1.1' | '1.2' = '1.2'): YamlDocument {
  const lines = new LineCounter();
  // The reader would compare every key with every other one.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, uniqueKeys: false, version });
  const [error] = document.errors;
  if (error !== undefined) {
    const message = error.message.split('\n')[0]!;
    return { document, lines, error: { line: lines.linePos(error.pos[0]).line, message: lowerFirst(message) } };
  }
  return { document, lines, error: repeatedKey(document, lines) };
}

function repeatedKey(document: Document, lines: LineCounter): YamlDocument['error'] {
  let error: YamlDocument['error'];
  visit(document, {
    Map(_, map) {
      const firstLines = new Map<unknown, number>();
      for (const { key } of map.items) {
        if (!isScalar(key)) continue;
        const { line } = lines.linePos((key as Node).range?.[0] ?? 0);
        const first = firstLines.get(key.value);
        if (first !== undefined) {
          error = { line, message: `${String(key.value).slice(0, 40)} is given twice, first on line ${first}` };
          return visit.BREAK;
        }
        firstLines.set(key.value, line);
      }
      return undefined;
    },
  });
  return error;
}

function lowerFirst(message: string): string {
  return message.charAt(0).toLowerCase() + message.slice(1);
}
