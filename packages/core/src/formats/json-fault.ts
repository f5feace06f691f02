// Where and why a text is no JSON (RFC 8259). Engines say it in words that differ between their versions, and not always
// where; this walk over the text runs only after an engine has refused it, and knows the mistakes that people and programs make.
import { jsonWordFor, numberRemedy } from './json-habits.js';

export interface JsonFault {
  /** Of the character that cannot stand there; the text's length where it ends too early. */
  readonly index: number;
  /** The text is the start of a JSON text. */
  readonly isCut: boolean;
  /** What is there, what belongs there, and the remedy, as the parts of a message. */
  readonly got: string;
  readonly expected: string;
  readonly remedy: string;
  /** Another place that belongs to it, such as that of the comma or bracket before: its index, and the words around it. */
  readonly related?: { readonly index: number; readonly words: string };
}

interface Fault extends Omit<JsonFault, 'isCut'> {
  readonly isCut?: boolean;
}

/** An open list or object. */
interface Open {
  readonly index: number;
  readonly bracket: '[' | '{';
}

/** The first fault of the text, or undefined where there is none. Bare NaN, Infinity and -Infinity pass, as readJson lets them. */
export function findJsonFault(text: string): JsonFault | undefined {
  try {
    new Walk(text).run();
    return undefined;
  } catch (thrown) {
    if (!(thrown instanceof FaultFound)) throw thrown;
    return { isCut: false, ...thrown.fault };
  }
}

class FaultFound {
  readonly fault: Fault;
  constructor(fault: Fault) {
    this.fault = fault;
  }
}

const closerOf = { '[': ']', '{': '}' } as const;
const nounOf = { '[': 'list', '{': 'object' } as const;

const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?(?![-+.\w])/y;
const numberLike = /[-+.\w]+/y;
const wordLike = /[\p{L}_$][\p{L}\p{N}_$-]*/uy;

// One character after the other, without recursion: a file may nest its lists as deep as it likes.
class Walk {
  private at = 0;
  private readonly text: string;
  private readonly open: Open[] = [];

  constructor(text: string) {
    this.text = text;
  }

  run(): void {
    let needsValue = true;
    for (;;) {
      this.skipSpace();
      const inner = this.open.at(-1);
      if (this.at >= this.text.length) {
        if (inner === undefined && !needsValue) return;
        this.failCut();
      }
      if (needsValue) {
        needsValue = !this.readValue();
        continue;
      }
      if (inner === undefined) this.failAfterEnd();
      const closer = closerOf[inner.bracket];
      if (this.text[this.at] === closer) {
        this.open.pop();
        this.at++;
        continue;
      }
      const comma = this.readComma(closer);
      this.skipSpace();
      if (this.text[this.at] === closer) this.failTrailingComma(comma, closer);
      if (inner.bracket === '{') this.readKey();
      needsValue = true;
    }
  }

  /** true behind a value; false behind the bracket or key in front of another. */
  private readValue(): boolean {
    const { text } = this;
    const character = text[this.at]!;
    switch (character) {
      case '[':
      case '{': {
        this.open.push({ index: this.at++, bracket: character });
        this.skipSpace();
        if (this.at < text.length && text[this.at] === closerOf[character]) {
          this.open.pop();
          this.at++;
          return true;
        }
        if (character === '{' && this.at < text.length) this.readKey();
        return false;
      }
      case '"':
        this.readString();
        return true;
    }
    if ('-0123456789+.'.includes(character)) this.readNumber();
    else this.readWord();
    return true;
  }

  private readKey(): void {
    const { text } = this;
    const character = text[this.at];
    if (character === undefined) this.failCut();
    if (character !== '"') {
      this.failForeignMark();
      const word = /^[\p{L}\p{N}_$-]+/u.exec(text.slice(this.at, this.at + 100))?.[0];
      if (word !== undefined)
        this.fail({ got: quote(word), expected: 'a key in double quotes', remedy: `write ${JSON.stringify(word)}` });
      if (character === ',')
        this.fail({ got: quote(','), expected: 'a key in double quotes', remedy: 'remove the comma' });
      this.failBracket('a key in double quotes');
      this.fail({ got: this.found(), expected: 'a key in double quotes', remedy: 'write "name": value' });
    }
    this.readString();
    this.skipSpace();
    if (this.at >= text.length) this.failCut();
    if (text[this.at] !== ':')
      this.fail({
        got: this.found(),
        expected: "':' behind the key",
        remedy: text[this.at] === '=' ? "write ':'" : 'write "name": value',
      });
    this.at++;
    this.skipSpace();
    if (this.at >= text.length) this.failCut();
  }

  private readComma(closer: ']' | '}'): number {
    const character = this.text[this.at]!;
    if (character === ',') return this.at++;
    this.failForeignMark();
    this.failBracket(`',' or '${closer}'`);
    const isNext = /["[{\w.-]/.test(character);
    this.fail({
      got: this.found(),
      expected: `',' or '${closer}'`,
      remedy: isNext ? 'put a comma in front of it, or close the string before it' : 'remove it',
    });
  }

  private readString(): void {
    const { text } = this;
    const start = this.at++;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code === 0x22) {
        this.at++;
        return;
      }
      if (Number.isNaN(code)) this.failCut('the end of a string', { index: start, words: 'which starts at' });
      if (code < 0x20) this.failControl(code, start);
      if (code !== 0x5c) {
        this.at++;
        continue;
      }
      const escaped = text[this.at + 1];
      if (escaped === undefined) {
        this.at++;
        this.failCut('the end of a string', { index: start, words: 'which starts at' });
      }
      if (escaped === 'u') {
        const digits = text.slice(this.at + 2, this.at + 6);
        const isHex = /^[\da-f]*$/i.test(digits);
        if (isHex && digits.length < 4) {
          this.at = text.length;
          this.failCut('the end of a string', { index: start, words: 'which starts at' });
        }
        if (!isHex)
          this.fail({
            got: quote(`\\u${/^[\da-f]*/i.exec(digits)![0]}`),
            expected: 'four hexadecimal digits behind \\u',
            remedy: 'write a backslash in a string as \\\\',
          });
        this.at += 6;
      } else if ('"\\/bfnrt'.includes(escaped)) this.at += 2;
      else
        this.fail({
          got: quote(`\\${escaped}`),
          expected: 'a backslash only in \\" \\\\ \\/ \\b \\f \\n \\r \\t \\u',
          remedy: escaped === "'" ? "write ' alone" : 'write a backslash in a string as \\\\, and folders with /',
        });
    }
  }

  private readNumber(): void {
    const { text } = this;
    number.lastIndex = this.at;
    if (number.test(text)) {
      this.at = number.lastIndex;
      return;
    }
    const start = this.at;
    // As far as a person means it: 0x1F, 1_000 and 1.2.3 are taken whole.
    numberLike.lastIndex = start;
    const word = numberLike.exec(text)![0];
    const end = start + word.length;
    if (word === '-Infinity') {
      this.at = end;
      return;
    }
    if (end === text.length && (/^-?(0|[1-9]\d*)?(\.\d*)?([eE][-+]?)?$/.test(word) || '-Infinity'.startsWith(word))) {
      this.at = end;
      this.failCut('a number');
    }
    if (word.startsWith('..'))
      this.fail({ got: quote(word), expected: 'all of the data', remedy: 'write what was left out' });
    this.fail({ got: quote(word), expected: 'a number such as -0.5 or 1e3', remedy: numberRemedy(word) });
  }

  private readWord(): void {
    const { text } = this;
    const word = this.wordAt(this.at);
    if (['true', 'false', 'null', 'NaN', 'Infinity'].includes(word)) {
      this.at += word.length;
      return;
    }
    const isLast = this.at + word.length === text.length;
    if (isLast && word !== '' && ['true', 'false', 'null', 'NaN', 'Infinity'].some((one) => one.startsWith(word))) {
      this.at = text.length;
      this.failCut('a value');
    }
    const meant = jsonWordFor(word);
    if (meant !== undefined) this.fail({ got: quote(word), ...meant });
    this.failForeignMark();
    if (this.open.length === 0)
      this.fail({ got: this.found(), expected: "'{' or '['", remedy: 'check that it is the right file' });
    if (word !== '')
      this.fail({
        got: quote(word),
        expected: 'a value',
        remedy: `write text in double quotes: ${JSON.stringify(word)}`,
      });
    this.failBracket('a value');
    if (text[this.at] === ',')
      this.fail({ got: "','", expected: 'a value', remedy: 'remove the comma, or write null' });
    this.fail({ got: this.found(), expected: 'a value', remedy: 'remove it' });
  }

  /** Marks that other notations have: quotes of another kind, comments. */
  private failForeignMark(): void {
    const { text } = this;
    const character = text[this.at]!;
    const two = text.slice(this.at, this.at + 2);
    if (character === "'" || character === '`')
      this.fail({
        got: character === "'" ? `"'"` : quote(character),
        expected: 'text in double quotes',
        remedy: `write ", not ${character}; Python's str() writes such text, json.dump writes JSON`,
      });
    if (/[\u2018-\u201f\u00ab\u00bb]/.test(character))
      this.fail({ got: this.found(), expected: 'straight double quotes', remedy: 'write "' });
    if (two === '//' || two === '/*' || character === '#')
      this.fail({
        got: quote(character === '#' ? '#' : two),
        expected: 'no comment, which JSON does not have',
        remedy: 'remove it',
      });
  }

  /** A closing bracket where none may stand. */
  private failBracket(expected: string): void {
    const character = this.text[this.at];
    if (character !== ']' && character !== '}') return;
    const inner = this.open.at(-1);
    if (inner === undefined)
      this.fail({ got: quote(character), expected, remedy: 'remove it, or open the list or object before' });
    if (closerOf[inner.bracket] === character)
      this.fail({ got: quote(character), expected, remedy: 'write the value, or null' });
    this.fail({
      got: quote(character),
      expected: `'${closerOf[inner.bracket]}'`,
      related: { index: inner.index, words: `for the ${nounOf[inner.bracket]} that starts at` },
      remedy: `close the ${nounOf[inner.bracket]} first`,
    });
  }

  private failTrailingComma(comma: number, closer: ']' | '}'): never {
    this.fail({
      got: quote(closer),
      expected: `another ${closer === ']' ? 'value' : 'key'}`,
      related: { index: comma, words: 'behind the comma at' },
      remedy: 'remove that comma',
    });
  }

  private failControl(code: number, start: number): never {
    const names: Readonly<Record<number, readonly [string, string]>> = {
      9: ['a tab', '\\t'],
      10: ['a line break', '\\n'],
      13: ['a line break', '\\r'],
    };
    const [name, escaped] = names[code] ?? [codePointName(code), `\\u${code.toString(16).padStart(4, '0')}`];
    const isBreak = code === 10 || code === 13;
    this.fail({
      got: name,
      expected: isBreak ? `'"' at the end of the string` : `${escaped} in a string`,
      related: { index: start, words: 'which starts at' },
      remedy: isBreak ? `close the string, or write ${escaped}` : `write ${escaped}`,
    });
  }

  private failAfterEnd(): never {
    const isNext = /["[{\w.-]/.test(this.text[this.at]!);
    this.failForeignMark();
    this.fail({
      got: this.found(),
      expected: 'nothing behind the end of the value',
      remedy: isNext ? 'put several values into one list, with commas between them' : 'remove it',
    });
  }

  private failCut(what?: string, related?: Fault['related']): never {
    const inner = this.open.at(-1);
    const start =
      related ??
      (inner === undefined
        ? undefined
        : { index: inner.index, words: `for the ${nounOf[inner.bracket]} that starts at` });
    this.at = this.text.length;
    this.fail({
      isCut: true,
      got: 'the end of the file',
      expected: what ?? (inner === undefined ? 'a value' : `'${closerOf[inner.bracket]}'`),
      ...(start && { related: start }),
      remedy: 'get a complete copy of the file',
    });
  }

  private fail(fault: Omit<Fault, 'index'>): never {
    throw new FaultFound({ index: this.at, ...fault });
  }

  private skipSpace(): void {
    const { text } = this;
    for (;;) {
      const code = text.charCodeAt(this.at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
      this.at++;
    }
  }

  private wordAt(index: number): string {
    wordLike.lastIndex = index;
    return wordLike.exec(this.text)?.[0] ?? '';
  }

  /** What stands here: a word or number, or one character, by name where it does not show. */
  private found(): string {
    const word = this.wordAt(this.at);
    if (word !== '') return quote(word);
    const number = /^[-+.\d][-+.\w]*/.exec(this.text.slice(this.at, this.at + 40))?.[0];
    if (number !== undefined) return quote(number);
    const codePoint = this.text.codePointAt(this.at)!;
    const character = String.fromCodePoint(codePoint);
    if (character === '"') return quote(/^"[^"\n]{0,30}"?/.exec(this.text.slice(this.at, this.at + 40))![0]);
    return /[\p{C}\p{Z}\uFFFD]/u.test(character) ? codePointName(codePoint) : quote(character);
  }
}

function codePointName(codePoint: number): string {
  return `the character U+${codePoint.toString(16).toUpperCase().padStart(4, '0')}`;
}

function quote(text: string): string {
  return `'${text.length > 30 ? `${text.slice(0, 30)}...` : text}'`;
}
