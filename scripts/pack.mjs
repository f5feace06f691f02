// What `npm pack` and `npm publish` need around them, run by npm in the folder of the package:
//   node ../../scripts/pack.mjs before    compiles, removes what is left of deleted sources, brings goshawk's configs, page and bundle
//   node ../../scripts/pack.mjs after     takes the configs away again: they lie at the root of the repository
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const folder = process.cwd();
const isGoshawk = path.basename(folder) === 'goshawk';
const configs = path.join(folder, 'configs');

if (isGoshawk) rmSync(configs, { recursive: true, force: true });
if (process.argv[2] === 'before') {
  execFileSync(process.execPath, [path.join(root, 'node_modules/typescript/bin/tsc'), '-b', folder], {
    stdio: ['ignore', 2, 2],
  });
  removeLeftovers(path.join(folder, 'dist'), path.join(folder, 'src'));
  if (isGoshawk) {
    cpSync(path.join(root, 'configs'), configs, { recursive: true });
    for (const name of ['build-browser-page', 'bundle-cli'])
      execFileSync(process.execPath, [path.join(root, `scripts/${name}.mjs`)], { stdio: ['ignore', 2, 2] });
  }
}

function removeLeftovers(dist, src) {
  for (const name of readdirSync(dist, { recursive: true })) {
    const source = name.replace(/(\.d\.ts|\.js)(\.map)?$/, '.ts');
    if (source !== name && !existsSync(path.join(src, source))) rmSync(path.join(dist, name));
  }
}
