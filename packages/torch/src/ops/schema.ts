// The engine's operator schemas, read from their text, such as
// `aten::add.Tensor(Tensor self, Tensor other, *, Scalar alpha=1) -> Tensor`.

/** What an argument takes, apart from being optional. `other` stands for types that JavaScript cannot pass. */
export type ArgumentType =
  | 'Tensor'
  | 'Tensor[]'
  | 'Tensor?[]'
  | 'int'
  | 'float'
  | 'bool'
  | 'Scalar'
  | 'str'
  | 'ScalarType'
  | 'MemoryFormat'
  | 'Layout'
  | 'Device'
  | 'int[]'
  | 'float[]'
  | 'bool[]'
  | 'Scalar[]'
  | 'other';

export interface SchemaArgument {
  readonly name: string;
  readonly type: ArgumentType;
  /** Whether None may be passed. */
  readonly optional: boolean;
  /** n of `int[n]`, for which one number stands for n equal ones; 0 otherwise. */
  readonly fixedLength: number;
  readonly hasDefault: boolean;
  readonly keywordOnly: boolean;
  /** Whether the operator writes to it. */
  readonly written: boolean;
}

export interface SchemaResult {
  /** Empty where the schema names none. */
  readonly name: string;
  readonly type: ArgumentType;
}

export interface OperatorSchema {
  /** Such as `aten::add.Tensor`. */
  readonly fullName: string;
  /** Such as `add`. */
  readonly name: string;
  /** Such as `Tensor`; empty for an operator's first. */
  readonly overload: string;
  readonly arguments: readonly SchemaArgument[];
  readonly results: readonly SchemaResult[];
}

const TYPES: Readonly<Record<string, ArgumentType>> = {
  Tensor: 'Tensor',
  int: 'int',
  SymInt: 'int',
  float: 'float',
  bool: 'bool',
  Scalar: 'Scalar',
  number: 'Scalar',
  str: 'str',
  ScalarType: 'ScalarType',
  MemoryFormat: 'MemoryFormat',
  Layout: 'Layout',
  Device: 'Device',
};

const LIST_TYPES: Readonly<Record<string, ArgumentType>> = {
  Tensor: 'Tensor[]',
  'Tensor?': 'Tensor?[]',
  int: 'int[]',
  SymInt: 'int[]',
  float: 'float[]',
  bool: 'bool[]',
  Scalar: 'Scalar[]',
};

/** @throws Error where the text is no schema */
export function parseSchema(text: string): OperatorSchema {
  const open = text.indexOf('(');
  const close = closingParenthesis(text, open);
  const arrow = text.indexOf('->', close);
  if (open < 0 || close < 0 || arrow < 0) throw new Error(`internal: not a schema: '${text}'`);
  const fullName = text.slice(0, open);
  const [name = '', overload = ''] = fullName.slice(fullName.indexOf('::') + 2).split('.');
  const args: SchemaArgument[] = [];
  let keywordOnly = false;
  for (const part of splitAtCommas(text.slice(open + 1, close))) {
    if (part === '*') keywordOnly = true;
    else args.push(parseArgument(part, keywordOnly));
  }
  return { fullName, name, overload, arguments: args, results: parseResults(text.slice(arrow + 2).trim()) };
}

/**
 * Whether one overload can be called from here: it takes no out= tensors, no dimension names (the engine never
 * finished them), and nothing of a type that JavaScript cannot pass unless it may be left out.
 */
export function isCallable(schema: OperatorSchema): boolean {
  if (/name/i.test(schema.overload)) return false;
  if (schema.results.some((result) => result.type === 'other')) return false;
  return schema.arguments.every(
    (argument) =>
      !(argument.written && (argument.keywordOnly || /(^|_)out\d*$/.test(argument.name))) &&
      (argument.type !== 'other' || argument.hasDefault),
  );
}

function parseArgument(text: string, keywordOnly: boolean): SchemaArgument {
  const equals = text.indexOf('=');
  const declared = (equals < 0 ? text : text.slice(0, equals)).trim();
  const space = declared.lastIndexOf(' ');
  const { type, optional, fixedLength, written } = parseType(declared.slice(0, space));
  return {
    name: declared.slice(space + 1),
    type,
    optional,
    fixedLength,
    hasDefault: equals >= 0,
    keywordOnly,
    written,
  };
}

function parseResults(text: string): SchemaResult[] {
  const inner = text.startsWith('(') ? text.slice(1, -1) : text;
  return splitAtCommas(inner).map((part) => {
    const named = /^(.*\S) (\w+)$/.exec(part);
    return { name: named?.[2] ?? '', type: parseType(named?.[1] ?? part).type };
  });
}

function parseType(text: string): { type: ArgumentType; optional: boolean; fixedLength: number; written: boolean } {
  // `Tensor(a!)`, `Tensor(a -> *)`: which memory is shared, and `!` that it is written.
  const plain = text.replace(/\([^)]*\)/g, '').trim();
  const optional = plain.endsWith('?');
  const bare = optional ? plain.slice(0, -1) : plain;
  const list = /^(.*)\[(\d*)\]$/.exec(bare);
  const type = list ? LIST_TYPES[list[1] ?? ''] : TYPES[bare];
  return { type: type ?? 'other', optional, fixedLength: Number(list?.[2] ?? 0), written: text.includes('!') };
}

function closingParenthesis(text: string, open: number): number {
  let depth = 0;
  for (let i = open; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return -1;
}

function splitAtCommas(text: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= text.length; i++) {
    const c = text[i];
    if (c === '(' || c === '[') depth++;
    else if (c === ')' || c === ']') depth--;
    else if (c === undefined || (c === ',' && depth === 0)) {
      const part = text.slice(start, i).trim();
      if (part) parts.push(part);
      start = i + 1;
    }
  }
  return parts;
}
