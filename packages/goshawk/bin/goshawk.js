#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

try {
  await import('../dist/cli/main.js');
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
