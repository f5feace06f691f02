// Runs the tests of all packages and of bench/ with Node's test runner.
//   npm test                    all
//   npm test -- masks rle       those whose path contains one of the words
//   npm test -- --test-name-pattern=resume    options go on to `node --test`
import { spawn } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

/** Files at a time. Some wait, for a process to end or a time limit to pass: one more than the processors of a small machine. */
const concurrency = 3;
/** Threads of the engine in each: those that compute together have the processors for themselves. */
const computing = 2;
const options = process.argv.slice(2).filter((argument) => argument.startsWith('-'));
const words = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
const files = compiledTests().filter((file) => words.length === 0 || words.some((word) => file.includes(word)));
if (files.length === 0) {
  const sought = words.length === 0 ? 'compiled' : `with ${words.map((word) => `'${word}'`).join(' or ')} in its path`;
  console.error(`test: no test file ${sought}: run \`npm run build\`, or check the words`);
  process.exit(2);
}

const threads = process.env.OMP_NUM_THREADS ?? String(Math.max(1, Math.floor(availableParallelism() / computing)));
const child = spawn(
  process.execPath,
  [
    '--test',
    '--test-reporter=./scripts/spec-with-times.mjs',
    `--test-concurrency=${concurrency}`,
    ...options,
    ...files,
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
