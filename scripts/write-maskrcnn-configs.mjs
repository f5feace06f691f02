// Writes configs/res2net/: each config that Res2Net-maskrcnn ships, in this project's form, without what is a default. Also the
// table of their parameters in docs/maskrcnn-benchmark.md. Run after a build: node scripts/write-maskrcnn-configs.mjs.
// Tests hold the files against the translation, and the parameters against the original's.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readMaskrcnnConfig } from '../packages/goshawk/dist/foreign/maskrcnn-benchmark/config.js';
import {
  ownName,
  shippedConfigs,
} from '../packages/goshawk/dist/foreign/maskrcnn-benchmark/fixtures/shipped-configs.js';
import { sparse, tableRow, toYaml, writeTable } from './own-form.mjs';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));

const folder = 'configs/res2net';
mkdirSync(folder, { recursive: true });
const rows = [];
for (const shipped of shippedConfigs) {
  const { config } = readMaskrcnnConfig(shipped.text, { file: shipped.name, sets: [] });
  const name = ownName(shipped.name);
  writeFileSync(
    path.join(folder, `${name}.yaml`),
    `# Res2Net-maskrcnn's configs/${shipped.name}.yaml.\n${toYaml(sparse(config))}`,
  );
  rows.push(tableRow(name, config.model));
}
writeTable('docs/maskrcnn-benchmark.md', 'write-maskrcnn-configs.mjs', `${folder}/`, rows);
console.log(`${folder}: ${shippedConfigs.length} files`);
