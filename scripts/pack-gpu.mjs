// What `npm run check:gpu` needs on a machine with a card that has PyTorch, torchvision and g++, and neither this clone nor
// npm: one archive of compiled programs, native sources, the packages needed at run time and a parity case.
//   npm run pack:gpu [-- --with-node] [--output goshawk-gpu.tar.xz]
// --with-node adds this machine's Node binary, stripped, for a machine without. Prints the line that unpacks and starts it.
// Exit code 1 where the archive is larger than 55 MB.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values: options } = parseArgs({
  options: {
    'with-node': { type: 'boolean', default: false },
    output: { type: 'string', default: 'goshawk-gpu.tar.xz' },
  },
});
const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const MOST_BYTES = 55_000_000;
const packages = ['core', 'runtime', 'torch', 'goshawk'];
const LAUNCHER = `#!/bin/sh
# Checks the card of this machine: ./check-gpu [--python PYTHON] [--json FILE]; see docs/gpu.md of the project.
here=$(cd "$(dirname "$0")" && pwd)
node=node
[ -x "$here/node" ] && node="$here/node"
exec "$node" "$here/bench/dist/gpu/check.js" "$@"
`;

const started = Date.now();
const staging = mkdtempSync(path.join(tmpdir(), 'pack-gpu-'));
const folder = path.join(staging, 'goshawk-gpu');
mkdirSync(path.join(folder, 'node_modules/@goshawk'), { recursive: true });
try {
  for (const name of packages) copyPackage(name);
  for (const name of runtimePackages()) copyModule(name);
  copy('bench/dist', isProgram);
  copy('bench/peers');
  writeFileSync(path.join(folder, 'package.json'), JSON.stringify({ type: 'module', private: true }));
  writeFileSync(path.join(folder, 'check-gpu'), LAUNCHER);
  chmodSync(path.join(folder, 'check-gpu'), 0o755);
  if (options['with-node']) copyNode();
  const output = path.resolve(options.output);
  const owner = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name'];
  execFileSync('tar', ['-cJf', output, ...owner, '-C', staging, 'goshawk-gpu'], {
    env: { ...process.env, XZ_OPT: '-6 -T0' },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const bytes = statSync(output).size;
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  console.log(
    `${output}: ${(bytes / 1e6).toFixed(1)} MB, ${options['with-node'] ? `with Node ${process.versions.node}` : 'without Node'} (${seconds} s)`,
  );
  console.log(`tar xf ${path.basename(output)} && cd goshawk-gpu && ./check-gpu --python python3`);
  if (bytes > MOST_BYTES) {
    console.error(`pack-gpu: the archive must have at most ${MOST_BYTES / 1e6} MB`);
    process.exitCode = 1;
  }
} finally {
  rmSync(staging, { recursive: true, force: true });
}

function copyPackage(name) {
  const place = `packages/${name}`;
  const manifest = JSON.parse(readFileSync(path.join(root, place, 'package.json'), 'utf8'));
  copy(`${place}/package.json`);
  copy(`${place}/dist`, isProgram);
  for (const own of [`${place}/bin`, `${place}/native`, `${place}/fonts`])
    if (existsSync(path.join(root, own))) copy(own);
  if (name === 'goshawk') copy(`${place}/src/parity/fixtures/torchvision_maskrcnn_r50_fpn`);
  symlinkSync(
    path.relative(path.join(folder, 'node_modules', path.dirname(manifest.name)), path.join(folder, place)),
    path.join(folder, 'node_modules', manifest.name),
  );
}

/** Of the packages that ours need when they run, and of those that these need: all that are installed here. */
function runtimePackages() {
  const found = new Set();
  const add = (manifest) => {
    for (const name of Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies })) {
      const file = path.join(root, 'node_modules', name, 'package.json');
      if (name.startsWith('@goshawk/') || found.has(name) || !existsSync(file)) continue;
      found.add(name);
      add(JSON.parse(readFileSync(file, 'utf8')));
    }
  };
  for (const name of packages) add(JSON.parse(readFileSync(path.join(root, 'packages', name, 'package.json'), 'utf8')));
  return [...found].sort();
}

function copyModule(name) {
  copy(`node_modules/${name}`, (file) => !/\.(d\.[cm]?ts|[cm]?ts|map|md|flow)$/i.test(file));
}

/** What runs: neither types, source maps nor tests. */
function isProgram(file) {
  return !/\.(d\.ts|map|tsbuildinfo)$|\.test\.js$/.test(file);
}

function copy(place, keep = () => true) {
  cpSync(path.join(root, place), path.join(folder, place), {
    recursive: true,
    filter: (source) => statSync(source).isDirectory() || keep(source),
  });
}

function copyNode() {
  const node = path.join(folder, 'node');
  cpSync(process.execPath, node, { dereference: true });
  execFileSync('strip', [node]);
}
