// Compiles native/ into build/<libtorch>/goshawk_torch.node with the system's C++ compiler.
// Usage: node build-addon.js [LIBTORCH_FOLDER] [--if-needed]
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { explainDiscovery, type Libtorch, libtorchKey } from '../libtorch/discover.js';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const nativeDir = join(packageDir, 'native');

interface Compiler {
  readonly command: string;
  readonly flags: readonly string[];
  /** Where headers lie: places, so no part of what an object file was made from. */
  readonly includes: readonly string[];
}

function sources(extension: RegExp): string[] {
  return (readdirSync(nativeDir, { recursive: true }) as string[])
    .filter((name) => extension.test(name))
    .sort()
    .map((name) => join(nativeDir, name));
}

function compilerFor(libtorch: Libtorch): Compiler {
  const command = process.env.CXX ?? 'g++';
  const major = Number(libtorch.version.split('.')[0]);
  const minor = Number(libtorch.version.split('.')[1]);
  const nodeHeaders = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  return {
    command,
    flags: [
      // The engine's own headers ask for the newer language from 2.10 on.
      `-std=gnu++${major > 2 || (major === 2 && minor >= 9) ? 20 : 17}`,
      '-O3',
      '-fPIC',
      '-fopenmp',
      // The addon is built where it runs; without contraction the arithmetic is that of the definitions.
      '-march=native',
      '-ffp-contract=off',
      '-Wall',
      '-Wextra',
      '-DNAPI_VERSION=8',
      '-DNODE_GYP_MODULE_NAME=goshawk_torch',
      '-D_GLIBCXX_USE_CXX11_ABI=1',
    ],
    includes: [
      `-I${nativeDir}`,
      ...[nodeHeaders, ...libtorch.includeDirs].flatMap((dir) => (dir === '/usr/include' ? [] : ['-isystem', dir])),
    ],
  };
}

function processorFlags(): string {
  try {
    return /^flags.*$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[0] ?? '';
  } catch {
    return process.arch;
  }
}

/** Where the addon for this libtorch lies, built or not. */
function addonPath(libtorch: Libtorch): string {
  return join(packageDir, 'build', libtorchKey(libtorch), 'goshawk_torch.node');
}

async function build(libtorch: Libtorch, ifNeeded: boolean): Promise<void> {
  const compiler = compilerFor(libtorch);
  const headers = createHash('sha256');
  for (const file of sources(/\.h$/)) headers.update(readFileSync(file));
  headers.update(compiler.flags.join(' ')).update(processorFlags());
  const common = headers.digest('hex');
  const addon = addonPath(libtorch);
  const buildDir = dirname(addon);
  const units = sources(/\.cc$/).map((source) => {
    const digest = createHash('sha256').update(common).update(readFileSync(source)).digest('hex').slice(0, 16);
    const name = relative(nativeDir, source).replace(/[/\\]/g, '-').replace(/\.cc$/, '');
    return { source, object: join(buildDir, `${name}.${digest}.o`) };
  });
  const fingerprint = units.map((unit) => basename(unit.object)).join('\n');
  const stamp = join(buildDir, 'built-from');
  const current = existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint;
  if (current && ifNeeded) return;
  mkdirSync(buildDir, { recursive: true });
  const pending = units.filter((unit) => !existsSync(unit.object));
  let finished = 0;
  const work = [...pending];
  const started = Date.now();
  const compileNext = async (): Promise<void> => {
    for (let unit = work.shift(); unit; unit = work.shift()) {
      const partial = `${unit.object}.${process.pid}`;
      await run(compiler.command, [...compiler.flags, ...compiler.includes, '-c', unit.source, '-o', partial]);
      renameSync(partial, unit.object);
      finished++;
      const seconds = ((Date.now() - started) / 1000).toFixed(0);
      console.error(`  compiled ${finished}/${pending.length} ${relative(nativeDir, unit.source)} (${seconds} s)`);
    }
  };
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 4) }, compileNext));
  const partial = `${addon}.${process.pid}`;
  await run(compiler.command, [
    '-shared',
    '-fopenmp',
    '-o',
    partial,
    ...units.map((unit) => unit.object),
    `-L${libtorch.libDir}`,
    `-Wl,-rpath,${libtorch.libDir}`,
    '-Wl,--no-as-needed',
    '-ltorch_cpu',
    '-lc10',
  ]);
  renameSync(partial, addon);
  writeFileSync(stamp, fingerprint);
  console.error(`built the addon against libtorch ${libtorch.version} (${libtorch.libDir})`);
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    execFile(command, args, { maxBuffer: 1 << 26 }, (error, _stdout, stderr) => {
      if (stderr) process.stderr.write(stderr);
      if (!error) done();
      else fail(new Error(`${command} failed on ${args.find((arg) => arg.endsWith('.cc')) ?? 'the link'}`));
    });
  });
}

function requireCompiler(): void {
  const command = process.env.CXX ?? 'g++';
  try {
    execFileSync(command, ['--version'], { stdio: 'ignore' });
  } catch {
    throw new Error(`no C++ compiler (${command}): install g++, or name one in CXX`);
  }
}

async function main(args: readonly string[]): Promise<number> {
  const folder = args.find((arg) => !arg.startsWith('--'));
  const env = folder ? { ...process.env, LIBTORCH: resolve(folder) } : process.env;
  const { found, steps } = explainDiscovery(env);
  if (!found) {
    console.error(`no libtorch: ${steps.map((step) => `${step.place}: ${step.outcome}`).join('; ')}`);
    return 2;
  }
  try {
    requireCompiler();
    await build(found, args.includes('--if-needed'));
    return 0;
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

process.exitCode = await main(process.argv.slice(2));
