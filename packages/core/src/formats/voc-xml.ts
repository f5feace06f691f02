// The XML of one annotation file, read so that no file can make the reader open another, wait or fill the memory:
// the parser expands no entity of a document's own, and a file that refers to one is refused.
import { DOMParser, type Element, ParseError } from '@xmldom/xmldom';
import type { DataIssueList } from './data-issue.js';
import { decodeText } from './read-json.js';

/**
 * The root element, which must be `rootName`; undefined with an error in `issues`.
 * @param mebibytes what such a file has at most; VOC's have a few kilobytes, and beyond 8 it is another file
 */
export function readXml(
  input: string | Uint8Array,
  rootName: string,
  issues: DataIssueList,
  mebibytes = 8,
): Element | undefined {
  if (input.length > mebibytes * 2 ** 20) {
    const size = (input.length / 2 ** 20).toFixed(0);
    issues.error(
      'xml-syntax',
      '',
      `has ${size} MiB (expected an annotation file of at most ${mebibytes}): check the file`,
    );
    return undefined;
  }
  const decoded =
    typeof input === 'string'
      ? input.replace(/^\uFEFF/, '')
      : decodeText(input, 'xml-syntax', issues, declaredEncoding(input));
  if (decoded === undefined) return undefined;
  // An XML declaration has to come first; blanks before it, as files have that were put together by hand, say nothing.
  const text = decoded.trimStart();
  if (text === '') {
    issues.error('xml-syntax', '', 'is empty (expected XML): get a complete copy of the file');
    return undefined;
  }
  let complaint: string | undefined;
  const onError = (level: 'warning' | 'error' | 'fatalError', message: string): void => {
    if (level === 'warning') return;
    complaint ??= message;
    throw new ParseError(message);
  };
  try {
    const root = new DOMParser({ onError }).parseFromString(text, 'text/xml').documentElement;
    if (root?.nodeName === rootName) return root;
    issues.error(
      'top-level',
      root?.nodeName.slice(0, 40) ?? '',
      `is the outermost element (expected ${rootName}): check that it is the right file`,
    );
  } catch (error) {
    issues.error('xml-syntax', '', `is not XML that can be read: ${describeFailure(complaint ?? String(error))}`);
  }
  return undefined;
}

/** What the declaration at the head of a file says of its bytes. */
function declaredEncoding(bytes: Uint8Array): string | undefined {
  const head = String.fromCharCode(...bytes.subarray(0, 200));
  return /^\s*<\?xml\s[^>]*?encoding\s*=\s*["']([\w.:-]+)["']/.exec(head)?.[1];
}

/** The children of that name, not their children: a `part` within an object has a `bndbox` of its own. */
export function childElements(parent: Element, name: string): Element[] {
  const found: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeName === name) found.push(node as Element);
  }
  return found;
}

/** The trimmed text of the first child of that name; undefined where there is none. */
export function childText(parent: Element, name: string): string | undefined {
  return childElements(parent, name)[0]?.textContent?.trim();
}

function describeFailure(complaint: string): string {
  const words = complaint.split('\n')[0] ?? '';
  const entity = /entity not found:\s*(&[^;\s]{1,40};?)/.exec(words)?.[1];
  if (entity !== undefined)
    return `it uses the entity ${entity}, and entities of a file's own are never expanded: write the text itself`;
  const short = words.length > 80 ? `${words.slice(0, 80)}...` : words;
  return `${short}: get a complete copy of the file, or mend it`;
}
