// Writes configs/detectron/: each config that Detectron.pytorch ships, in this project's form, without what is a default.
// Also the table of their parameters in docs/detectron.md. Run after a build: node scripts/write-detectron-configs.mjs.
// Tests hold the files against the translation, and the parameters against the original's.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { sparse, tableRow, toYaml, writeTable } from './own-form.mjs';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const dist = '../packages/goshawk/dist';
const { readDetectronConfig } = await import(`${dist}/foreign/detectron/config.js`);
const { ownName, shippedConfigs } = await import(`${dist}/foreign/detectron/fixtures/shipped-configs.js`);

const folder = 'configs/detectron';
mkdirSync(folder, { recursive: true });
const rows = [];
for (const shipped of shippedConfigs) {
  const text = shipped.isBroken ? shipped.text.replace(/^IMAGENET_/m, '  IMAGENET_') : shipped.text;
  const { config } = readDetectronConfig(text, { file: shipped.name, sets: [] });
  const name = ownName(shipped.name);
  writeFileSync(
    path.join(folder, `${name}.yaml`),
    `# Detectron.pytorch's configs/${shipped.name}.yaml.\n${toYaml(sparse(config))}`,
  );
  rows.push(tableRow(name, config.model));
}
writeTable('docs/detectron.md', 'write-detectron-configs.mjs', 'configs/detectron/', rows);
console.log(`${folder}: ${shippedConfigs.length} files`);
