// Runs the tests of all packages and of bench/ with Node's test runner.
//   npm test                    all
//   npm test -- masks rle       those whose path contains one of the words
//   npm test -- --test-name-pattern=resume    options go on to `node --test`
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

/** Files at a time. Some wait, for a process to end or a time limit to pass: more than the processors of a small machine. */
const concurrency = 4;
/** Threads of the engine in each: those that compute together have the processors for themselves. */
const computing = 2;
/**
 * A process takes a second to start with the engine and the modules, longer than most files' tests. Files share one, a suite each, unless
 * they take long, or touch what a process has once: other processes and threads, its streams, folder and environment, its settings and
 * its memory, or much of all that by a training.
 */
const ALONE =
  /child_process|worker_threads|node:v[8m]|\bprocess\.(on|once|exit|kill|env|chdir|std|memory|argv)|\bmock\.|setThreads\((?!1\))|liveTensors|hostMemory|goshawkHere|runInTwo|runPage|[Tt]inyTrainings|startTinyServer|\btrain\(|globalThis/;
const LONG = /[\\/](parity|detectors|export)[\\/]/;
/** So many that the processes are busy to the end. */
const SHARING = 8;

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

/** The files that stand alone, and files that import the others, those of a package together. */
function inProcesses(tests) {
  const alone = tests.filter((file) => LONG.test(file) || ALONE.test(readFileSync(file, 'utf8')));
  const isAlone = new Set(alone);
  const packages = [...new Set(tests.map(packageOf))];
  const together = packages.flatMap((name) => {
    const own = tests.filter((file) => packageOf(file) === name && !isAlone.has(file));
    const count = Math.ceil(own.length / SHARING);
    return Array.from({ length: count }, (_, i) => {
      const share = own.slice((i * own.length) / count, ((i + 1) * own.length) / count);
      return share.length === 1 ? share[0] : importing(share, `${name} ${i + 1} of ${count}`);
    });
  });
  return [...together, ...alone];
}

function packageOf(file) {
  return file.split(path.sep, 2).join('-');
}

function importing(tests, name) {
  const suites = tests.map((file) => {
    const [title, url] = [file, pathToFileURL(path.resolve(file)).href].map((text) => JSON.stringify(text));
    return `describe(${title}, () => import(${url}));\n`;
  });
  const file = path.join(folder, `${name}.test.mjs`);
  writeFileSync(file, `import { describe } from 'node:test';\n${suites.join('')}`);
  return file;
}
