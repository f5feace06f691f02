// Puts in place what a fresh clone lacks: npm packages, compiled TypeScript, and by way of `goshawk setup` libtorch, the
// native addon, and ffmpeg, whose tests are skipped where it cannot be had.
// Silent and quick when nothing is missing. Plain Node without packages, since it runs before there are any.
//   node scripts/setup.mjs [--no-native]     --no-native: packages and TypeScript only
// Exit code 0 ready, 1 a step failed, 2 something is missing that must be installed by hand.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const minimumNode = [20, 19];

process.chdir(root);
await main();

async function main() {
  checkNode();
  await installPackages();
  await run('compiling TypeScript', process.execPath, ['node_modules/typescript/bin/tsc', '-b'], { quiet: true });
  const page = 'scripts/build-browser-page.mjs';
  await run("bundling the browser's page", process.execPath, [page], { quiet: true });
  await run('bundling the command line', process.execPath, ['scripts/bundle-cli.mjs'], { quiet: true });
  if (process.argv.includes('--no-native')) return;
  const wanted = ['--install-libtorch', '--install-ffmpeg', '--quiet'];
  await run('', process.execPath, ['packages/goshawk/bin/goshawk.js', 'setup', ...wanted], { inherit: true });
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
    // No package needs its own script; onnxruntime-node's would download what only its graphics cards need.
    await run('installing npm packages', npm, ['ci', '--no-audit', '--no-fund', '--ignore-scripts'], {
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
