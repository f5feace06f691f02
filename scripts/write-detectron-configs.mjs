// Writes configs/detectron/: each config that Detectron.pytorch ships, in this project's form, without what is a default.
// Run after a build: node scripts/write-detectron-configs.mjs. A test holds the files against the translation.
import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import { Document, isCollection, isScalar, isSeq, visit } from 'yaml';

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const dist = '../packages/goshawk/dist';
const { validateConfig } = await import(`${dist}/config/index.js`);
const { readDetectronConfig } = await import(`${dist}/foreign/detectron/config.js`);
const { ownName, shippedConfigs } = await import(`${dist}/foreign/detectron/fixtures/shipped-configs.js`);

const folder = 'configs/detectron';
mkdirSync(folder, { recursive: true });
for (const shipped of shippedConfigs) {
  const text = shipped.isBroken ? shipped.text.replace(/^IMAGENET_/m, '  IMAGENET_') : shipped.text;
  const { config } = readDetectronConfig(text, { file: shipped.name, sets: [] });
  const name = ownName(shipped.name);
  writeFileSync(path.join(folder, `${name}.yaml`), `# Detectron.pytorch's configs/${shipped.name}.yaml.\n${toYaml(sparse(config))}`);
}
console.log(`${folder}: ${shippedConfigs.length} files`);

/** The config without the keys, and the groups, whose defaults say the same. */
function sparse(config) {
  const isSame = (value) => {
    try {
      return isDeepStrictEqual(validateConfig(value, ''), config);
    } catch {
      return false;
    }
  };
  let current = structuredClone(config);
  const prune = (keys) => {
    const group = keys.reduce((value, key) => value[key], current);
    for (const key of Object.keys(group)) {
      if (['type', 'conventions', 'depth', 'stage', 'lr', 'iterations'].includes(key)) continue;
      const candidate = structuredClone(current);
      delete keys.reduce((value, part) => value[part], candidate)[key];
      if (isSame(candidate)) current = candidate;
      else if (typeof group[key] === 'object' && !Array.isArray(group[key])) prune([...keys, key]);
    }
  };
  prune([]);
  return current;
}

function toYaml(value) {
  const document = new Document(value, { aliasDuplicateObjects: false });
  visit(document, {
    Seq(_, list) {
      if (list.items.every((item) => isScalar(item) || (isSeq(item) && !item.items.some(isCollection)))) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}
