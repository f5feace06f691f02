// Writes ops/generated.ts: the types of `ops` and of Tensor's methods, from the schemas of the libtorch in use.
//   node packages/torch/dist/ops/generate.js [--also LIBTORCH_FOLDER]
// With --also, a signature is kept only where that other libtorch accepts every call that it allows.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findOperator, operatorNames } from '../tensor/dispatch.js';
import { isPublicOperator, TENSOR_MEMBERS } from './exclusions.js';
import { type ArgumentType, isCallable, type OperatorSchema, parseSchema, type SchemaArgument } from './schema.js';

/** Names that a parameter cannot have in JavaScript's strict mode. */
const RESERVED: ReadonlySet<string> = new Set(['function', 'default', 'in', 'var', 'this', 'new', 'with', 'arguments']);

const TYPES: Readonly<Record<ArgumentType, string>> = {
  Tensor: 'Tensor',
  'Tensor[]': 'readonly Tensor[]',
  'Tensor?[]': 'readonly (Tensor | null)[]',
  int: 'number',
  float: 'number',
  bool: 'boolean',
  Scalar: 'number',
  str: 'string',
  ScalarType: 'DType',
  MemoryFormat: 'MemoryFormat',
  Layout: 'Layout',
  Device: 'Device',
  'int[]': 'readonly number[]',
  'float[]': 'readonly number[]',
  'bool[]': 'readonly boolean[]',
  'Scalar[]': 'readonly number[]',
  other: 'never',
};

function callableSchemas(texts: readonly string[]): OperatorSchema[] {
  return texts
    .filter((text) => text.startsWith('aten::'))
    .map(parseSchema)
    .filter((schema) => isPublicOperator(schema.name) && isCallable(schema));
}

function schemaTexts(): string[] {
  return operatorNames()
    .sort()
    .map((name) => findOperator(name).schema);
}

function isPositional(argument: SchemaArgument): boolean {
  return !argument.hasDefault && !argument.keywordOnly;
}

function positionals(schema: OperatorSchema): SchemaArgument[] {
  return schema.arguments.filter(isPositional);
}

/** The options that JavaScript can pass; a Generator, say, is left to its default. */
function optionsOf(schema: OperatorSchema): SchemaArgument[] {
  return schema.arguments.filter((argument) => !isPositional(argument) && argument.type !== 'other');
}

/** Whether `other` takes every call that `schema` describes; a required argument may have got a default there. */
function accepts(other: OperatorSchema, schema: OperatorSchema): boolean {
  const named = new Map(other.arguments.map((argument) => [argument.name, argument]));
  const fits = (argument: SchemaArgument): boolean => {
    const match = named.get(argument.name);
    return match !== undefined && (match.type === argument.type || match.type === 'Scalar');
  };
  const inPlace = positionals(schema).every((argument, i) => other.arguments[i]?.name === argument.name);
  const asked = new Set(schema.arguments.map((argument) => argument.name));
  return (
    inPlace &&
    schema.arguments.every((argument) => argument.type === 'other' || fits(argument)) &&
    other.arguments.every((argument) => argument.hasDefault || asked.has(argument.name)) &&
    other.results.length === schema.results.length
  );
}

function typeOf(argument: SchemaArgument): string {
  const type = argument.fixedLength > 0 ? `number | ${TYPES[argument.type]}` : TYPES[argument.type];
  return argument.optional ? `${type} | null` : type;
}

function resultType(schema: OperatorSchema): string {
  const types = schema.results.map(({ type }) => (type.endsWith('[]') ? TYPES[type].slice(9) : TYPES[type]));
  if (types.length === 0) return 'void';
  if (types.length === 1) return types[0] ?? 'void';
  const names = schema.results.map((result) => result.name);
  return `readonly [${types.map((type, i) => (names[i] ? `${names[i]}: ${type}` : type)).join(', ')}]`;
}

function signature(schema: OperatorSchema, asMethod: boolean): string {
  const parameters = positionals(schema)
    .slice(asMethod ? 1 : 0)
    .map((argument) => `${RESERVED.has(argument.name) ? `${argument.name}_` : argument.name}: ${typeOf(argument)}`);
  const options = optionsOf(schema);
  if (options.length > 0) {
    const fields = options.map((option) => `${option.name}${option.hasDefault ? '?' : ''}: ${typeOf(option)}`);
    parameters.push(`options${options.every((option) => option.hasDefault) ? '?' : ''}: { ${fields.join('; ')} }`);
  }
  return `${schema.name}(${parameters.join(', ')}): ${resultType(schema)};`;
}

function isMethod(schema: OperatorSchema): boolean {
  const first = schema.arguments[0];
  return (
    first?.name === 'self' && first.type === 'Tensor' && isPositional(first) && !TENSOR_MEMBERS.includes(schema.name)
  );
}

function members(schemas: readonly OperatorSchema[], asMethod: boolean): string {
  return [...new Set(schemas.map((schema) => `  ${signature(schema, asMethod)}\n`))].join('');
}

function nameList(schemas: readonly OperatorSchema[]): string {
  const names = [...new Set(schemas.map((schema) => schema.name))].sort();
  const lines: string[] = [];
  for (let i = 0; i < names.length; i += 10)
    lines.push(
      `  ${names
        .slice(i, i + 10)
        .map((name) => `'${name}',`)
        .join(' ')}\n`,
    );
  return lines.join('');
}

function generated(schemas: readonly OperatorSchema[]): string {
  const methods = schemas.filter(isMethod);
  return `// GENERATED by \`npm run generate:ops\` from libtorch's schemas: do not edit (exceptions: ops/exclusions.ts).
import type { DType } from '../tensor/dtype.js';
import type { Device, MemoryFormat, Tensor } from '../tensor/tensor.js';

type Layout = 'strided';

/** The engine's operators as functions: required arguments in order, then one object of options, names as in PyTorch. */
export interface Ops {
${members(schemas, false)}}

/** Those whose first argument is \`self\`, as methods. */
export interface TensorMethods {
${members(methods, true)}}

/** Names of all functions of \`ops\`. */
export const OP_NAMES: readonly (keyof Ops)[] = [
${nameList(schemas)}];

/** Names of all operators that are methods of Tensor. */
export const METHOD_NAMES: readonly (keyof TensorMethods)[] = [
${nameList(methods)}];
`;
}

function groupByName(schemas: readonly OperatorSchema[]): Map<string, OperatorSchema[]> {
  const groups = new Map<string, OperatorSchema[]>();
  for (const schema of schemas) groups.set(schema.name, [...(groups.get(schema.name) ?? []), schema]);
  return groups;
}

function schemasOf(libtorchFolder: string): string[] {
  const env = { ...process.env, LIBTORCH: libtorchFolder };
  const script = fileURLToPath(import.meta.url);
  const text = execFileSync(process.execPath, [script, '--schemas'], { env, encoding: 'utf8', maxBuffer: 1 << 26 });
  return text.trim().split('\n');
}

function main(args: readonly string[]): void {
  if (args.includes('--schemas')) {
    process.stdout.write(`${schemaTexts().join('\n')}\n`);
    return;
  }
  let schemas = callableSchemas(schemaTexts());
  const also = args.indexOf('--also');
  if (also >= 0) {
    const others = groupByName(callableSchemas(schemasOf(args[also + 1] ?? '')));
    const before = schemas.length;
    schemas = schemas.filter((schema) => others.get(schema.name)?.some((other) => accepts(other, schema)));
    console.log(`${before - schemas.length} of ${before} signatures are not those of the other libtorch: left out`);
  }
  // The engine lists overloads by name; people read the plain one first, then tensors before numbers.
  const weight = (schema: OperatorSchema): number =>
    schema.overload === '' ? 0 : /Scalar/.test(schema.overload) ? 2 : 1;
  schemas.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : weight(a) - weight(b)));
  const file = fileURLToPath(new URL('../../src/ops/generated.ts', import.meta.url));
  writeFileSync(file, generated(schemas));
  console.log(`wrote ${schemas.length} signatures to ${file}`);
}

main(process.argv.slice(2));
