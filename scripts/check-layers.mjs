// Checks that imports point down only, as docs/architecture.md draws them: between the packages, between the folders of
// goshawk/src, whose order is read from that page's table, and between files, where none may come back to itself. What
// only tests need lies in rooms of its own (testing/), which no other code imports. Prints each import that does
// not; exit code 1.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

/** What each package may import besides its own files; `node:` stands for Node's modules. */
const allowed = {
  core: { code: ['@xmldom/xmldom'], tests: ['node:', 'fast-check'] },
  runtime: { code: ['@goshawk/core'], tests: ['node:', 'onnxruntime-node'] },
  torch: { code: ['node:', 'node-api-headers'], tests: ['fast-check'] },
  goshawk: {
    code: [
      'node:',
      '@goshawk/core',
      '@goshawk/runtime',
      '@goshawk/torch',
      '@goshawk/torch/checkpoint',
      '@goshawk/torch/libtorch',
      '@goshawk/torch/native-build',
      '@goshawk/torch/pixels',
      '@hono/node-server',
      '@napi-rs/canvas',
      'chart.js',
      'hono',
      'image-size',
      'onnxruntime-node',
      'pdfkit',
      'sharp',
      'zod',
      'yaml',
      'commander',
    ],
    tests: ['esbuild', 'fast-check', 'puppeteer-core', 'typescript'],
  },
};
const nodeGlobals = /(?<![.\w$'"`])(process|Buffer|__dirname|__filename|require|setImmediate)\b(?=\s*[.([])/;

const folderRules = readFolderRules('docs/architecture.md');
const problems = [];
/** File to the files of its package that it imports. */
const imports = new Map();
for (const [name, rules] of Object.entries(allowed)) {
  const source = path.join('packages', name, 'src');
  if (!existsSync(source)) continue;
  for (const entry of readdirSync(source, { recursive: true }).sort()) {
    if (entry.endsWith('.ts') && !entry.includes('node_modules')) checkFile(name, rules, source, entry);
  }
}
for (const circle of circles(imports)) problems.push(`a circle of imports: ${circle.join(' -> ')}`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`check-layers: ${problems.length} imports against docs/architecture.md`);
  process.exit(1);
}
console.log(`check-layers: ${imports.size} files, imports point down`);

function checkFile(name, rules, source, entry) {
  const file = path.join(source, entry);
  const text = readFileSync(file, 'utf8');
  const isTest = isForTests(entry);
  const targets = new Set();
  imports.set(file, targets);
  const modules = isTest ? [...rules.code, ...rules.tests] : rules.code;
  for (const { fileName: target, pos } of ts.preProcessFile(text, true, true).importedFiles) {
    const where = `${file}:${text.slice(0, pos).split('\n').length}`;
    if (target.startsWith('.')) {
      const resolved = path.relative(source, path.join(path.dirname(file), target));
      if (resolved.startsWith('..'))
        problems.push(`${where}: '${target}' leaves the package: import it by its package name`);
      else if (isForTests(resolved) && !isTest) problems.push(`${where}: '${target}' is for tests alone`);
      else if (name === 'goshawk') {
        checkFolders(where, target, entry, resolved);
        checkDialects(where, target, entry, resolved);
      }
      targets.add(path.join(source, resolved.replace(/\.js$/, '.ts')));
    } else if (!modules.some((module) => target === module || (module === 'node:' && target.startsWith(module)))) {
      problems.push(`${where}: packages/${name} may not import '${target}'`);
    }
  }
  if ((name === 'core' || name === 'runtime') && !isTest) checkGlobals(name, file, text);
}

function checkFolders(where, target, entry, resolved) {
  const from = topFolder(entry);
  const to = topFolder(resolved);
  // Files at the top (the package's index) may import everything; nothing imports them.
  if (from === undefined || from === to) return;
  // What tests share is built from the parts that it helps to test, and is below every test.
  if (from === 'testing' || to === 'testing') return;
  const rule = folderRules.get(from);
  if (rule === undefined) problems.push(`${where}: folder ${from}/ is not in the table of docs/architecture.md`);
  else if (to === undefined || !rule.has(to)) problems.push(`${where}: ${from}/ may not import '${target}'`);
}

/** A system's folder in foreign/ uses shared/ and what lies at the top, never another system's. */
function checkDialects(where, target, entry, resolved) {
  const dialectOf = (file) => /^foreign[/\\](.+?)[/\\]/.exec(file)?.[1] ?? 'shared';
  const [from, to] = [dialectOf(entry), dialectOf(resolved)];
  // The table of dialects, at the top, names them all.
  const isTop = /^foreign[/\\][^/\\]+$/.test(entry);
  if (topFolder(entry) === 'foreign' && !isTop && to !== 'shared' && from !== to)
    problems.push(`${where}: a dialect may not import '${target}', which is another's`);
}

function isForTests(entry) {
  if (topFolder(entry) === 'testing') return true;
  return entry.endsWith('.test.ts') || entry.endsWith('.test.js') || /(^|[/\\])(fixtures|parity)[/\\]/.test(entry);
}

/** Each circle once, from its first file in the order of names. */
function circles(graph) {
  const found = [];
  const done = new Set();
  const walk = (file, way) => {
    const at = way.indexOf(file);
    if (at >= 0) {
      found.push([...way.slice(at), file]);
      return;
    }
    if (done.has(file)) return;
    for (const target of graph.get(file) ?? []) walk(target, [...way, file]);
    done.add(file);
  };
  for (const file of graph.keys()) walk(file, []);
  return found;
}

function topFolder(file) {
  const parts = file.split(path.sep);
  return parts.length > 1 ? parts[0] : undefined;
}

/** Core and the runtime run in a browser, though their tests bring Node's types into the compilation. */
function checkGlobals(name, file, text) {
  const withoutComments = text
    .replace(/\/\*[\s\S]*?\*\//g, (comment) => comment.replace(/[^\n]/g, ' '))
    .replace(/\/\/.*$/gm, '');
  withoutComments.split('\n').forEach((line, index) => {
    const match = nodeGlobals.exec(line);
    if (match) problems.push(`${file}:${index + 1}: packages/${name} may not use Node's '${match[1]}'`);
  });
}

/** Rows `| cli/ | holds | may import |` of the page's table, top floor first. */
function readFolderRules(page) {
  const rows = [...readFileSync(page, 'utf8').matchAll(/^\| ([a-z]+)\/ +\|.*\| ([^|]+?) +\|$/gm)];
  if (rows.length === 0) throw new Error(`${page}: no table of folders found`);
  const names = rows.map((row) => row[1]);
  return new Map(
    rows.map(([, name, imports], index) => {
      if (imports === 'all below') return [name, new Set(names.slice(index + 1))];
      return [name, new Set(imports === '-' ? [] : imports.split(/,\s*/))];
    }),
  );
}
