// The page's files as they lie in this package.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import type { PageFiles } from './page-server.js';

const PAGE = fileURLToPath(new URL('../../browser/', import.meta.url));

/** @throws InputError where they were not put there: the package brings them, a clone makes them */
export function builtPage(folder = PAGE): PageFiles {
  if (!existsSync(join(folder, 'index.html')))
    throw new InputError(
      'file-not-found',
      `${folder}: the browser's page is not there: run \`npm run setup\` in the clone, or install the package again`,
    );
  return new Map(readdirSync(folder).map((name) => [`/${name}`, readFileSync(join(folder, name))]));
}
