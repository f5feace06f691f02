// Puts in place what a fresh clone lacks: npm packages, compiled TypeScript, libtorch, the native addon.
// Silent and quick when nothing is missing. Plain Node without packages, since it runs before there are any.
//   node scripts/setup.mjs [--no-native]     --no-native: packages and TypeScript only
// Exit code 0 ready, 1 a step failed, 2 something is missing that must be installed by hand.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { accessSync, constants, existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const minimumNode = [20, 19];
const debianPackages = ['libtorch-dev', 'libopenblas0-pthread'];

process.chdir(root);
await main();

async function main() {
  checkNode();
  await installPackages();
  await run('compiling TypeScript', process.execPath, ['node_modules/typescript/bin/tsc', '-b'], { quiet: true });
  if (process.argv.includes('--no-native')) return;
  await provideEngine();
  await run('', process.execPath, ['packages/torch/dist/native-build/build-addon.js', '--if-needed'], {
    inherit: true,
  });
}

function checkNode() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < minimumNode[0] || (major === minimumNode[0] && minor < minimumNode[1])) {
    stop(
      2,
      `Node ${process.versions.node} is too old (expected ${minimumNode.join('.')} or newer): install a newer Node`,
    );
  }
}

/** Runs `npm ci` when node_modules does not hold what package-lock.json asks for. */
async function installPackages() {
  const lock = readFileSync('package-lock.json');
  const hash = createHash('sha256').update(lock).digest('hex');
  const stamp = 'node_modules/.goshawk-lock-sha256';
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return;
  if (!installedMatches(JSON.parse(lock.toString('utf8')))) {
    const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
    await run('installing npm packages', npm, ['ci', '--no-audit', '--no-fund'], {
      shell: process.platform === 'win32',
    });
  }
  writeFileSync(stamp, hash);
}

/** Whether npm's own record of what it installed has each package of the lock file in its version. */
function installedMatches(lock) {
  const record = 'node_modules/.package-lock.json';
  if (!existsSync(record)) return false;
  const installed = JSON.parse(readFileSync(record, 'utf8')).packages ?? {};
  return Object.entries(lock.packages).every(([name, entry]) => {
    if (name === '' || !name.startsWith('node_modules/') || entry.link) return true;
    // Optional packages for other platforms are in the lock file and rightly not installed.
    if (installed[name] === undefined) return entry.optional === true;
    return installed[name].version === entry.version;
  });
}

/** Makes sure that a libtorch and a compiler are there: from Debian's packages where this user may install them. */
async function provideEngine() {
  const { found, steps } = await discover();
  if (found === undefined && (process.env.LIBTORCH || process.env.LIBTORCH_USE_PYTORCH === '1')) {
    const { place, outcome } = steps.at(-1);
    stop(2, `${place}: ${outcome}: name another libtorch, or unset it to use the system's`);
  }
  const missing = [];
  if (found === undefined) missing.push(...debianPackages);
  else if (isDebianLibtorch(found) && !hasOpenBlas()) missing.push('libopenblas0-pthread');
  if (!hasCompiler()) missing.push('g++');
  if (missing.length === 0) return;

  const apt = aptCommand();
  if (apt === undefined) {
    if (found !== undefined && hasCompiler()) return; // Only the fast BLAS is missing: `goshawk doctor` tells of it.
    const command = `apt-get install -y --no-install-recommends ${missing.join(' ')}`;
    stop(2, `${describe(missing)} is missing and may not be installed by this user: ${advice(command)}`);
  }
  const environment = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  await run('updating the list of Debian packages', apt[0], [...apt.slice(1), 'update', '-q'], { env: environment });
  const install = ['install', '-y', '-q', '--no-install-recommends', ...missing];
  await run(`installing ${missing.join(' ')}`, apt[0], [...apt.slice(1), ...install], { env: environment });
  if ((await discover()).found === undefined) {
    stop(
      1,
      'libtorch is still not found after installing libtorch-dev: run `node packages/goshawk/dist/cli/main.js doctor`',
    );
  }
}

async function discover() {
  const module = pathToFileURL(path.join(root, 'packages/torch/dist/libtorch/discover.js'));
  const { explainDiscovery } = await import(module.href);
  return explainDiscovery();
}

function isDebianLibtorch(found) {
  return found.source === 'system' && aptAvailable();
}

function hasOpenBlas() {
  const folders = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
  const folder = folders[process.arch];
  return folder === undefined || existsSync(`/usr/lib/${folder}/openblas-pthread/libblas.so.3`);
}

function hasCompiler() {
  return [process.env.CXX, 'c++', 'g++', 'clang++'].some((name) => name && onPath(name));
}

function onPath(name) {
  if (name.includes(path.sep)) return isExecutable(name);
  return (process.env.PATH ?? '').split(path.delimiter).some((folder) => isExecutable(path.join(folder, name)));
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `['apt-get']` for root, with sudo where it asks for no password, undefined where packages cannot be installed. */
function aptCommand() {
  if (!aptAvailable()) return undefined;
  if (process.getuid?.() === 0) return ['apt-get'];
  const sudo = onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n', '--preserve-env=DEBIAN_FRONTEND', 'apt-get'] : undefined;
}

function aptAvailable() {
  return process.platform === 'linux' && onPath('apt-get');
}

function describe(missing) {
  return missing.includes('libtorch-dev') ? 'libtorch' : missing.join(', ');
}

function advice(command) {
  const folder = 'unpack a libtorch (1.13 to 2.14) and set LIBTORCH to its folder';
  if (aptAvailable()) return `run \`sudo ${command}\`, or ${folder}`;
  return `${folder}, with a C++ compiler on PATH`;
}

/**
 * Runs one step. Its title and output appear as it works; a `quiet` step's output only when it fails; `inherit` gives
 * it the terminal. A failure ends the set-up with exit code 1, or 2 when the step itself ended with 2 and said why.
 */
function run(title, command, args, { quiet = false, inherit = false, ...options } = {}) {
  const started = Date.now();
  if (title && !quiet) console.log(`setup: ${title}`);
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: inherit ? 'inherit' : ['ignore', 'pipe', 'pipe'], ...options });
    const output = [];
    const collect = (chunk) => {
      output.push(chunk);
      if (!quiet) process.stdout.write(chunk);
    };
    child.stdout?.on('data', collect);
    child.stderr?.on('data', collect);
    // A first compilation takes a while: say so, but only then.
    const notice = quiet ? setTimeout(() => console.log(`setup: ${title}`), 1500) : undefined;
    child.on('error', (error) => stop(1, `${title || command} failed: ${error.message}`));
    child.on('close', (code) => {
      clearTimeout(notice);
      if (code !== 0) {
        if (quiet) process.stdout.write(Buffer.concat(output));
        if (inherit) process.exit(code ?? 1);
        stop(1, `${title || command} failed with exit code ${code}`);
      }
      if (title && Date.now() - started > 1500)
        console.log(`setup: ${title}: ${((Date.now() - started) / 1000).toFixed(1)} s`);
      resolve();
    });
  });
}

function stop(code, message) {
  console.error(`setup: ${message}`);
  process.exit(code);
}
