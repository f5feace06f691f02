// Runs the tests of all packages and of bench/ with Node's test runner.
//   npm test                    all
//   npm test -- masks rle       those whose path contains one of the words
//   npm test -- --test-name-pattern=resume    options go on to `node --test`
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { processFile } from './test-process-names.mjs';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

/** Files at a time. Some wait, for a process to end or a time limit to pass: more than the processors of a small machine. */
const concurrency = 4;
/** Threads of the engine in each: those that compute together have the processors for themselves. */
const computing = 2;
/**
 * A process takes seconds of a processor to start with the engine and the modules, longer than most files' tests. Files share one, a
 * suite each, in which those of one folder are spread; what a file mocks, sets and changes it puts back. By themselves stand those
 * that look at what a process has once: its memory, and the number of the engine's threads.
 */
const ALONE = /hostMemory|process\.memory|node:v[8m]|setThreads\((?!1\))|worker_threads/;
/** The files in a process. */
const SHARING = 16;
/** What takes a file of tests a quarter of a minute of a processor and more: by themselves, and begun first, the longest at the head. */
const LONGEST = [
  ...['train/across-ranks', 'cli/several-processes', 'browser/runtime-in-browser', 'models/detectors/rcnn-kinds'],
  ...['parity/sparse-rcnn-training', 'parity/torchvision-models', 'export/export-detector', 'cli/early-ends'],
  ...['train/own-program', 'cli/predict-videos', 'parity/torchvision-trainings', 'parity/detectron-rcnn', 'cli/serve'],
  ...['cli/many-tensors', 'parity/torchvision-mask-rcnn', 'parity/solov2-training'],
  ...['browser/browser-page', 'cli/two-machines'],
];
/** Compile the emulated card where it is not there: one after the other, so that one does. */
const ON_CARD = /[\\/]on-card[\\/]/;
/** Of tensors that are alive a test sees those of the files before, until they are collected. */
const COUNTS_TENSORS = /liveTensors/;

const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const words = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = compiledTests().filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
if (files.length === 0) {
  const sought = words.length === 0 ? 'compiled' : `with ${words.map((word) => `'${word}'`).join(' or ')} in its path`;
  console.error(`test: no test file ${sought}: run \`npm run build\`, or check the words`);
  process.exit(2);
}

const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-tests-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));
const threads = process.env.OMP_NUM_THREADS ?? String(Math.max(1, Math.floor(availableParallelism() / computing)));
const child = spawn(
  process.execPath,
  [
    '--test',
    '--test-reporter=./scripts/spec-with-times.mjs',
    `--test-concurrency=${concurrency}`,
    ...options,
    ...inProcesses(files),
  ],
  { stdio: 'inherit', env: { ...process.env, OMP_NUM_THREADS: threads } },
);
child.on('close', (code, signal) => {
  process.exitCode = signal ? 1 : (code ?? 1);
});

/** Compiled tests that still have their source; what is left of deleted ones is removed. */
function compiledTests() {
  const tests = [];
  const places = [...readdirSync('packages').sort()].map((name) => [`packages/${name}/dist`, `packages/${name}/src`]);
  for (const [dist, src] of [...places, ['bench/dist', 'bench']]) {
    if (!existsSync(dist)) continue;
    for (const file of readdirSync(dist, { recursive: true }).sort()) {
      if (!file.endsWith('.test.js')) continue;
      const compiled = path.join(dist, file);
      if (existsSync(path.join(src, file.replace(/\.js$/, '.ts')))) tests.push(compiled);
      else rmSync(compiled);
    }
  }
  return tests;
}

/** Files that import those of a process, in the order in which they are to begin: the runner goes by their names. */
function inProcesses(tests) {
  const rank = new Map(
    tests.map((file) => [file, LONGEST.findIndex((word) => file.endsWith(inPlace(`/${word}.test.js`)))]),
  );
  const longest = tests.filter((file) => rank.get(file) >= 0).sort((a, b) => rank.get(a) - rank.get(b));
  const onCard = tests.filter((file) => ON_CARD.test(file));
  const short = tests.filter((file) => rank.get(file) < 0 && !ON_CARD.test(file));
  const alone = short.filter((file) => ALONE.test(readFileSync(file, 'utf8')));
  const isAlone = new Set(alone);
  const packages = [...new Set(tests.map(packageOf))];
  const together = packages.flatMap((name) => {
    const own = short.filter((file) => packageOf(file) === name && !isAlone.has(file));
    const count = Math.ceil(own.length / SHARING);
    return Array.from({ length: count }, (_, share) => ({
      name: `${name} ${share + 1} of ${count}`,
      files: own.filter((_, place) => place % count === share),
    }));
  });
  const single = (files) => files.map((file) => ({ name: file, files: [file] }));
  const card = onCard.length === 0 ? [] : [{ name: 'on an emulated card', files: onCard }];
  const processes = [...single(longest), ...card, ...together.reverse(), ...single(alone)];
  return processes.map(({ name, files }, order) => importing(files, files.length === 1 ? files[0] : name, order));
}

function inPlace(file) {
  return file.replaceAll('/', path.sep);
}

function packageOf(file) {
  return file.split(path.sep, 2).join('-');
}

function importing(tests, name, order) {
  const suites = tests.map((file) => {
    const [title, url] = [file, pathToFileURL(path.resolve(file)).href].map((text) => JSON.stringify(text));
    const first = COUNTS_TENSORS.test(readFileSync(file, 'utf8')) ? 'before(collectGarbage);' : '';
    return `describe(${title}, () => {${first} return import(${url}); });\n`;
  });
  const file = path.join(folder, processFile(name, order));
  const collecting = JSON.stringify(new URL('./collect-garbage.mjs', import.meta.url).href);
  const imports = `import { before, describe } from 'node:test';\nimport { collectGarbage } from ${collecting};\n`;
  writeFileSync(file, `${imports}${suites.join('')}`);
  return file;
}
