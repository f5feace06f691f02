#!/usr/bin/env node
import { existsSync, readFileSync, statSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

// A few files instead of several hundred, where they are made from what is compiled now.
const files = isBundled() ? '../bundle' : '../dist/cli';
try {
  // One prediction waits for all that is loaded before it.
  if (process.argv[2] === 'predict') (await import(`${files}/load-ahead.js`)).loadAhead(process.argv);
  await import(`${files}/main.js`);
} catch (error) {
  // Nothing is compiled, or a package is missing: a clone before its set-up.
  if (error.code !== 'ERR_MODULE_NOT_FOUND') throw error;
  const root = fileURLToPath(new URL('../../../', import.meta.url));
  const remedy = existsSync(`${root}scripts/setup.mjs`)
    ? `run \`npm run setup\` in ${root}`
    : 'install the package goshawk again, with its dependencies';
  process.stderr.write(`goshawk: not set up: ${remedy}\n`);
  process.exitCode = 2;
}

/** In a clone the compiler says when it last wrote; a package from npm holds what was bundled with it. */
function isBundled() {
  try {
    const compiled = JSON.parse(readFileSync(new URL('../bundle/compiled.json', import.meta.url), 'utf8'));
    return Object.entries(compiled).every(([name, time]) => {
      const info = new URL(`../../${name}/dist/.tsbuildinfo`, import.meta.url);
      return (statSync(info, { throwIfNoEntry: false })?.mtimeMs ?? time) === time;
    });
  } catch {
    return false;
  }
}
