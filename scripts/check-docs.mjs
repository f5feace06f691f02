// Checks what README.md, those of the packages, and docs/ show: TypeScript blocks compile against the built packages, config blocks are valid, JSON
// parses, links, repository paths and npm scripts exist, and goshawk commands have the options that they are shown with.
// Needs a finished `tsc -b`. Prints each problem as `page:line: what`; exit code 1.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { buildProgram } from '../packages/goshawk/dist/cli/program.js';
import { parseConfig } from '../packages/goshawk/dist/config/index.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);

const readmes = ['core', 'runtime', 'torch', 'goshawk'].map((name) => `packages/${name}/README.md`);
const pages = ['README.md', ...readmes, ...listPages('docs')].map((file) => readPage(file));
const { scripts } = JSON.parse(readFileSync('package.json', 'utf8'));
const problems = [];
const report = (page, line, what) => problems.push(`${page.file}:${line}: ${what}`);

for (const page of pages) {
  checkLinks(page);
  checkPaths(page);
  for (const [index, text] of page.lines.entries()) checkNpmScripts(page, index + 1, text);
  for (const block of page.blocks) checkBlock(page, block);
}
checkTypeScript(
  pages.flatMap((page) => page.blocks.filter(({ language }) => language === 'ts').map((block) => ({ page, block }))),
);

for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`check-docs: ${problems.length} problems`);
  process.exit(1);
}
console.log(`check-docs: ${pages.length} pages, ${pages.flatMap((page) => page.blocks).length} blocks`);

function listPages(folder) {
  return readdirSync(folder, { recursive: true })
    .filter((name) => name.endsWith('.md'))
    .sort()
    .map((name) => path.join(folder, name));
}

/** A page's lines, its fenced blocks with the line of their first text, and the anchors of its headings. */
function readPage(file) {
  const lines = readFileSync(file, 'utf8').split('\n');
  const blocks = [];
  const anchors = new Set();
  const prose = [];
  let open;
  for (const [index, text] of lines.entries()) {
    const fence = /^```(\w*)/.exec(text);
    if (fence && open) {
      blocks.push(open);
      open = undefined;
    } else if (fence) open = { language: fence[1], line: index + 2, lines: [] };
    else if (open) open.lines.push(text);
    else {
      prose.push({ line: index + 1, text });
      const heading = /^#+ (.*)$/.exec(text)?.[1];
      if (heading) anchors.add(anchorOf(heading));
    }
  }
  if (open) problems.push(`${file}:${open.line}: the block is not closed`);
  return { file, lines, blocks, anchors, prose };
}

/** The anchor that GitHub makes of a heading. */
function anchorOf(heading) {
  const kept = heading.toLowerCase().replace(/[^\p{Letter}\p{Number}_ -]/gu, '');
  return kept.replaceAll(' ', '-');
}

function checkLinks(page) {
  for (const { line, text } of page.prose) {
    for (const [, target] of text.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      const [file, anchor] = target.split('#');
      const linked = file === '' ? page.file : path.join(path.dirname(page.file), file);
      if (!existsSync(linked)) report(page, line, `the link leads to ${linked}, which does not exist`);
      else if (anchor && !pages.find((other) => other.file === linked)?.anchors.has(anchor))
        report(page, line, `the link leads to a heading #${anchor} that ${linked} does not have`);
    }
  }
}

/** Paths of the repository named anywhere; compiled files stand for their sources. */
function checkPaths(page) {
  for (const [index, text] of page.lines.entries()) {
    for (const [shown] of text.matchAll(/(?<![\w/.-])(?:bench|configs|examples|packages|scripts)\/[\w./-]*[\w/]/g)) {
      const source = shown.replace(/\/dist\/(.*)\.js$/, '/$1.ts');
      if (![shown, source, source.replace(/^(packages\/\w+)\//, '$1/src/')].some((file) => existsSync(file)))
        report(page, index + 1, `${shown} does not exist`);
    }
  }
}

function checkNpmScripts(page, line, text) {
  for (const [, run, test] of text.matchAll(/\bnpm (?:run ([\w:-]+)|(test)\b)/g))
    if (!((run ?? test) in scripts)) report(page, line, `package.json has no script '${run ?? test}'`);
}

function checkBlock(page, block) {
  const text = block.lines.join('\n');
  try {
    if (block.language === 'json') JSON.parse(text);
    if (block.language === 'yaml' && text.startsWith('model:')) parseConfig(text, { file: 'config' });
  } catch (error) {
    report(page, block.line, error instanceof Error ? error.message : String(error));
  }
  if (block.language === 'sh') for (const one of commandsOf(block)) checkCommand(page, one);
}

/** The commands of a shell block as words, continued lines joined, comments left out. */
function commandsOf({ line, lines }) {
  const found = [];
  let joined = '';
  for (const [index, text] of lines.entries()) {
    joined += text.replace(/\\$/, ' ');
    if (text.endsWith('\\')) continue;
    const words = [...joined.matchAll(/'[^']*'|"[^"]*"|#.*$|[^\s'"#][^\s]*/g)]
      .map(([word]) => word)
      .filter((word) => !word.startsWith('#'));
    while (/^(npx|[A-Z_]+=\S*)$/.test(words[0] ?? '')) words.shift();
    if (words.length > 0) found.push({ line: line + index, words });
    joined = '';
  }
  return found;
}

/** A goshawk command line must name a command, options that it has, and everything that it requires. */
function checkCommand(page, { line, words }) {
  if (words[0] !== 'goshawk') return;
  let command = buildProgram();
  let at = 1;
  for (; command.commands.length > 0 && !words[at]?.startsWith('-'); at++) {
    const next = command.commands.find((one) => one.name() === words[at]);
    if (next === undefined) return report(page, line, `goshawk has no command '${words.slice(1, at + 1).join(' ')}'`);
    command = next;
  }
  const given = new Set();
  let operands = 0;
  for (; at < words.length; at++) {
    if (words[at] === '--') {
      // What goshawk launch runs is a command itself.
      checkCommand(page, { line, words: ['goshawk', ...words.slice(at + 1)] });
      operands++;
      break;
    }
    if (!words[at].startsWith('--')) {
      operands++;
      continue;
    }
    const [flag, value] = words[at].split('=', 2);
    if (flag === '--help') return;
    const option = command.options.find(({ long }) => long === flag);
    if (option === undefined) return report(page, line, `goshawk ${command.name()} has no option ${flag}`);
    given.add(flag);
    if (option.required && value === undefined) at++;
  }
  const missing = command.options.find((option) => option.mandatory && !given.has(option.long));
  if (missing) report(page, line, `goshawk ${command.name()} needs ${missing.long}`);
  const required = command.registeredArguments.filter((argument) => argument.required);
  if (operands < required.length) report(page, line, `goshawk ${command.name()} needs <${required[operands].name()}>`);
}

/** Compiles every block as a module of its own, as if it lay beside its page. */
function checkTypeScript(entries) {
  const { config } = ts.readConfigFile('tsconfig.base.json', ts.sys.readFile);
  const { options } = ts.convertCompilerOptionsFromJson(
    // An example may show a value that nothing uses yet.
    { ...config.compilerOptions, noUnusedLocals: false, composite: false, incremental: false, declaration: false },
    root,
  );
  const settings = { ...options, declarationMap: false, sourceMap: false, noEmit: true, types: ['node'] };
  const virtual = new Map(
    entries.map(({ page, block }) => {
      const name = path.join(root, path.dirname(page.file), `${path.basename(page.file)}.${block.line}.ts`);
      return [name, { page, block, text: `${block.lines.join('\n')}\nexport {};\n` }];
    }),
  );
  const host = ts.createCompilerHost(settings);
  const { getSourceFile, fileExists, readFile } = host;
  host.getSourceFile = (name, version, ...rest) => {
    const text = virtual.get(path.normalize(name))?.text;
    if (text !== undefined) return ts.createSourceFile(name, text, version, true);
    return getSourceFile.call(host, name, version, ...rest);
  };
  host.fileExists = (name) => virtual.has(path.normalize(name)) || fileExists.call(host, name);
  host.readFile = (name) => virtual.get(path.normalize(name))?.text ?? readFile.call(host, name);
  const program = ts.createProgram([...virtual.keys()], settings, host);
  for (const diagnostic of ts.getPreEmitDiagnostics(program)) {
    const message = ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ');
    const entry = diagnostic.file && virtual.get(path.normalize(diagnostic.file.fileName));
    if (!entry) {
      problems.push(`${diagnostic.file?.fileName ?? 'TypeScript'}: ${message}`);
      continue;
    }
    const { line } = ts.getLineAndCharacterOfPosition(diagnostic.file, diagnostic.start ?? 0);
    report(entry.page, entry.block.line + line, message);
  }
}
