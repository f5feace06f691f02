// What one photo waits for: the modules that goshawk predict reads before it does anything, as their imports say.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { dirname, relative, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const ROOT = fileURLToPath(new URL('../', import.meta.url));

/** Files of this package, compiled, that come with a file's own imports; not those that it asks for as it runs (`import()`). */
function modulesOf(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  const source = ts.createSourceFile(file, readFileSync(file, 'utf8'), ts.ScriptTarget.ES2022);
  for (const statement of source.statements) {
    if (!ts.isImportDeclaration(statement) && !ts.isExportDeclaration(statement)) continue;
    const from = statement.moduleSpecifier;
    if (from && ts.isStringLiteral(from) && from.text.startsWith('.'))
      modulesOf(resolve(dirname(file), from.text), found);
  }
  return found;
}

const predict = ['main.js', 'predict.js'].flatMap((name) => [...modulesOf(`${ROOT}cli/${name}`)]);
const names = new Set(predict.map((file) => relative(ROOT, file)));

test('no photo waits for training, data sets, films, measuring, serving or another command', () => {
  assert.ok(names.has('models/build.js') && names.has('data/decode-image.js'), 'the walk finds what is there');
  const idle = [
    /^(train|report|export|serve|browser|testing)\//,
    /^starter\/(?!rules\.js$)/,
    /^data\/(index|loader|dataset|annotation-files|.*-folder|picture-files)\.js$/,
    /^data\/(augment\/|video\/index\.js)/,
    /^infer\/(index|evaluate-detector|measure-proposals|detect-each|batch-feed)\.js$/,
    /^infer\/video\//,
    /^cli\/(predict-videos|contact-sheet|picture-pdf|train|eval|serve|export|doctor)\.js$/,
  ];
  assert.deepEqual(
    [...names].filter((name) => idle.some((pattern) => pattern.test(name))),
    [],
  );
});
