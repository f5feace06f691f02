// The names of the files that the tests' processes run: they tell the runner, which sorts them, the order, and the report what is in them.
import path from 'node:path';

const ENDING = '.test.mjs';

/** @param name of a file of tests, or of several together */
export function processFile(name, order) {
  return `${String(order).padStart(4, '0')}-${name.replaceAll(path.sep, '~')}${ENDING}`;
}

/** The name again. */
export function nameOfProcess(file) {
  return path.basename(file, ENDING).replace(/^\d+-/, '').replaceAll('~', path.sep);
}
