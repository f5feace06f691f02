// YAML text as a document. The yaml package compares each key of a mapping with all before it: a file of 200,000 keys would take
// half an hour. Here the keys of a mapping are looked up instead.
import {
  type Document,
  type DocumentOptions,
  isNode,
  isScalar,
  LineCounter,
  type ParseOptions,
  parseDocument,
  type SchemaOptions,
  visit,
  YAMLParseError,
} from 'yaml';

/** As yaml's parseDocument, with a key that a mapping has twice as the last of the document's errors. */
export function parseYaml(text: string, options: ParseOptions & DocumentOptions & SchemaOptions = {}): Document.Parsed {
  const lines = options.lineCounter ?? new LineCounter();
  const document = parseDocument(text, { ...options, lineCounter: lines, uniqueKeys: false });
  // Behind a syntax error mappings are guesses.
  if (document.errors.length > 0) return document;
  visit(document, {
    Map(_, { items }) {
      const starts = new Map<unknown, number>();
      for (const { key } of items) {
        if (!isScalar(key) || !isNode(key)) continue;
        const [start, end] = key.range ?? [0, 0];
        const first = starts.get(key.value);
        if (first === undefined) starts.set(key.value, start);
        else {
          const message = `${String(key.value)} stands there twice, first on line ${lines.linePos(first).line}: keep one`;
          document.errors.push(new YAMLParseError([start, end], 'DUPLICATE_KEY', message));
          return visit.BREAK;
        }
      }
      return undefined;
    },
  });
  return document;
}
