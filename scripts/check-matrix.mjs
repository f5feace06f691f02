// Builds every detector on every backbone with every neck that fits, takes a training step with each and predicts; writes what
// works as the table of docs/models.md:
//   npm run check:matrix -- --table      the table alone, of what the schema takes, without trying it
//   npm run check:matrix [-- WORD...]    only cells whose detector, backbone or neck is one of the words, and no table
import { readFileSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { matrixCells, matrixTable, tryModel } from '../packages/goshawk/dist/testing/model-matrix.js';

const isTableAlone = process.argv.includes('--table');
const words = process.argv.slice(2).filter((word) => word !== '--table');
const cells = [...matrixCells()].filter(
  ({ detector, backbone, neck }) =>
    words.length === 0 || words.some((word) => [detector, backbone, neck].includes(word)),
);
const started = performance.now();
let failed = 0;
for (const { detector, backbone, neck, model } of isTableAlone ? [] : cells) {
  const start = performance.now();
  const label = `${detector} on ${backbone} with ${neck}`;
  try {
    tryModel(model);
    // Parameters belong to the garbage collector, which tells of what it found between two turns of the event loop only.
    await setImmediate();
    console.log(`${label}: ${((performance.now() - start) / 1000).toFixed(1)} s`);
  } catch (error) {
    failed += 1;
    console.log(`${label}: FAILED: ${error.stack}\n  ${JSON.stringify(model)}`);
  }
}
if (!isTableAlone)
  console.log(`${cells.length} models, ${failed} failed, ${Math.round((performance.now() - started) / 1000)} s`);
process.exitCode = failed > 0 ? 1 : 0;
if (failed === 0 && words.length === 0) {
  const page = new URL('../docs/models.md', import.meta.url);
  const text = readFileSync(page, 'utf8');
  const [begin, end] = ['<!-- the table of npm run check:matrix -->\n', '<!-- its end -->'];
  const [before, rest] = [text.slice(0, text.indexOf(begin)), text.slice(text.indexOf(end))];
  writeFileSync(page, `${before}${begin}\n${matrixTable(cells)}\n\n${rest}`);
}
