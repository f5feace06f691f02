#!/usr/bin/env node
// In a clone that was not set up there is nothing to run yet.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/cli/main.js', import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  const clone = fileURLToPath(new URL('../../../', import.meta.url));
  process.stderr.write(`goshawk: not compiled yet: run \`npm run setup\` in ${clone}\n`);
  process.exitCode = 2;
}
