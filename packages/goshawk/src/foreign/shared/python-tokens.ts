// The words of a Python file that holds data, each with its line. Nothing is run.
import { InputError } from '@goshawk/core';

export type PythonToken =
  | { readonly kind: 'name'; readonly line: number; readonly text: string }
  | { readonly kind: 'number'; readonly line: number; readonly value: number }
  | { readonly kind: 'string'; readonly line: number; readonly value: string }
  | { readonly kind: 'sign'; readonly line: number; readonly text: string }
  /** The end of a statement: a line's end outside of brackets, or a semicolon. */
  | { readonly kind: 'end'; readonly line: number };

const NUMBER = /(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?/y;
const HEXADECIMAL = /0[xX][\da-fA-F]+/y;
const NAME = /[\p{L}_][\p{L}\p{N}_]*/uy;
const STRING =
  /([A-Za-z]{0,2})("""(?:[^\\]|\\[\s\S])*?"""|'''(?:[^\\]|\\[\s\S])*?'''|"(?:[^"\\\n]|\\[\s\S])*"|'(?:[^'\\\n]|\\[\s\S])*')/y;
const SIGN = /\*\*|\/\/|[-+*/%=,:()[\]{}.@<>!&|^~]/y;
const BLANK = /[ \t\f\r]+|\\\r?\n|#[^\n]*/y;

/** @throws InputError (config-invalid) with the line of a text or bracket that is not closed, or of a sign that Python lacks */
export function tokenizePython(text: string, file: string): PythonToken[] {
  const tokens: PythonToken[] = [];
  const open: { sign: string; line: number }[] = [];
  let position = text.startsWith('\uFEFF') ? 1 : 0;
  let line = 1;
  const match = (pattern: RegExp): RegExpExecArray | undefined => {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found === null || found[0] === '') return undefined;
    position = pattern.lastIndex;
    return found;
  };
  const wrong = (message: string, at = line): InputError =>
    new InputError('config-invalid', `${file}:${at}: ${message}`);
  while (position < text.length) {
    const start = line;
    const sign = text[position];
    if (sign === '\n' || sign === ';') {
      position += 1;
      if (open.length === 0) tokens.push({ kind: 'end', line });
      if (sign === '\n') line += 1;
      continue;
    }
    const blank = match(BLANK);
    if (blank) {
      line += newlines(blank[0]);
      continue;
    }
    const string = match(STRING);
    if (string) {
      line += newlines(string[0]);
      tokens.push({ kind: 'string', line: start, value: stringValue(string, (message) => wrong(message, start)) });
      continue;
    }
    if (sign === '"' || sign === "'") throw wrong('a text has no end: close it with the quote that it begins with');
    const number = match(HEXADECIMAL) ?? match(NUMBER);
    if (number) {
      tokens.push({ kind: 'number', line, value: Number(number[0].replaceAll('_', '')) });
      continue;
    }
    const name = match(NAME);
    if (name) {
      tokens.push({ kind: 'name', line, text: name[0] });
      continue;
    }
    const found = match(SIGN)?.[0];
    if (found === undefined) throw wrong(`'${sign}' is no sign of Python: is it a config of mmdetection?`);
    if ('([{'.includes(found)) open.push({ sign: found, line });
    else if (')]}'.includes(found)) {
      const opened = open.pop();
      if (opened === undefined) throw wrong(`'${found}' closes nothing: remove it`);
      if (PARTNERS[opened.sign] !== found)
        throw wrong(`'${found}' does not close the '${opened.sign}' of line ${opened.line}: correct one of them`);
    }
    tokens.push({ kind: 'sign', line, text: found });
  }
  const left = open.pop();
  if (left !== undefined) throw wrong(`'${left.sign}' is never closed: add '${PARTNERS[left.sign]}'`, left.line);
  tokens.push({ kind: 'end', line });
  return tokens;
}

const PARTNERS: Readonly<Record<string, string>> = { '(': ')', '[': ']', '{': '}' };

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '\n': '', '0': '\0' };

function stringValue([, prefix = '', quoted = '']: RegExpExecArray, wrong: (message: string) => InputError): string {
  const kind = prefix.toLowerCase();
  if (kind.includes('f')) throw wrong('a text with f in front is computed, which is not read here: write it out');
  if (kind !== '' && kind !== 'r' && kind !== 'u')
    throw wrong(`a text with ${prefix} in front is not read here: remove the ${prefix}`);
  const quotes = quoted.startsWith('"""') || quoted.startsWith("'''") ? 3 : 1;
  const inner = quoted.slice(quotes, -quotes);
  return kind === 'r'
    ? inner
    : inner.replace(/\\([\s\S])/g, (all, sign: string) => ESCAPES[sign] ?? ('\'"\\'.includes(sign) ? sign : all));
}

function newlines(text: string): number {
  return text.split('\n').length - 1;
}
