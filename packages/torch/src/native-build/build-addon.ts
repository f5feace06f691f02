// Compiles native/ into build/<libtorch>/goshawk_torch.node with the system's C++ compiler.
import { execFile, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { availableParallelism } from 'node:os';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Libtorch, libtorchKey } from '../libtorch/discover.js';
import { SetUpError } from './set-up-error.js';
import { translationUnits, unitText, withIncludes } from './translation-units.js';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const nativeDir = join(packageDir, 'native');

interface Compiler {
  readonly command: string;
  /** Its first line of `--version`: objects of another compiler are not taken for its own. */
  readonly version: string;
  readonly flags: readonly string[];
  /** Where headers lie: places, so no part of what an object file was made from. */
  readonly includes: readonly string[];
}

interface Unit {
  readonly text: string;
  readonly object: string;
  /** What a person reads while it compiles. */
  readonly title: string;
}

/** Paths below native/, with slashes. */
function sources(extension: RegExp): string[] {
  return (readdirSync(nativeDir, { recursive: true }) as string[])
    .filter((name) => extension.test(name))
    .map((name) => name.replaceAll(sep, '/'))
    .sort();
}

/** The compiler that CXX names, else the first of these that is there. */
export function findCompiler(): string | undefined {
  const names = process.env.CXX ? [process.env.CXX] : ['g++', 'c++', 'clang++'];
  return names.find((name) => compilerVersion(name) !== undefined);
}

function compilerVersion(command: string): string | undefined {
  try {
    return execFileSync(command, ['--version'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).split(
      '\n',
    )[0];
  } catch {
    return undefined;
  }
}

function compilerFor(libtorch: Libtorch): Compiler {
  const command = findCompiler();
  if (command === undefined)
    throw new SetUpError(`no C++ compiler (${process.env.CXX ?? 'g++'}): install g++, or name one in CXX`, 1);
  const [major = 0, minor = 0] = libtorch.version.split('.').map(Number);
  const nodeHeaders = join(dirname(createRequire(import.meta.url).resolve('node-api-headers/package.json')), 'include');
  return {
    command,
    version: compilerVersion(command) ?? '',
    flags: [
      // The engine's own headers ask for the newer language from 2.10 on.
      `-std=gnu++${major > 2 || (major === 2 && minor >= 9) ? 20 : 17}`,
      '-O3',
      '-fPIC',
      '-fopenmp',
      // The addon is built where it runs; without contraction the arithmetic is that of the definitions.
      '-march=native',
      '-ffp-contract=off',
      // A root is an instruction then, and loops with one are vectorised; the values are the same.
      '-fno-math-errno',
      '-Wall',
      '-Wextra',
      // g++ 13 finds faults of this kind in the engine's headers, in std::vector<bool>, that are none.
      '-Wno-array-bounds',
      '-DNAPI_VERSION=8',
      '-DNODE_GYP_MODULE_NAME=goshawk_torch',
      '-D_GLIBCXX_USE_CXX11_ABI=1',
    ],
    includes: [
      // In place of headers that the engine's own include and no package of it brings.
      `-I${join(nativeDir, 'distributed/gloo-names')}`,
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

/** Object names say what they are made from, not where the checkout lies: checkouts can share a build folder's content. */
function planUnits(compiler: Compiler, buildDir: string): Unit[] {
  const shared = [compiler.version, compiler.flags.join(' '), processorFlags()].join('\n');
  const all = sources(/\.cc$/).map((name) => ({ name, bytes: statSync(join(nativeDir, name)).size }));
  return translationUnits(all).map((unit) => {
    const text = unitText(unit);
    const digest = createHash('sha256').update(shared).update(text);
    for (const name of withIncludes(nativeDir, unit.sources)) digest.update(readFileSync(join(nativeDir, name)));
    return {
      text,
      object: join(buildDir, `${unit.name}.${digest.digest('hex').slice(0, 16)}.o`),
      title: unit.sources.map((name) => name.replace(/\.cc$/, '')).join(' '),
    };
  });
}

/**
 * Compiles what changed and links the addon for this libtorch; returns whether there was anything to do.
 * @param report is told a line at a time what happens
 * @throws SetUpError without a compiler, for a folder that cannot be written, and where compiling fails
 */
export async function buildAddon(libtorch: Libtorch, report: (line: string) => void): Promise<boolean> {
  const compiler = compilerFor(libtorch);
  const buildDir = join(packageDir, 'build', libtorchKey(libtorch));
  const addon = join(buildDir, 'goshawk_torch.node');
  const units = planUnits(compiler, buildDir);
  const fingerprint = units.map(({ object }) => basename(object)).join('\n');
  const stamp = join(buildDir, 'built-from');
  const current = existsSync(addon) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint;
  if (current) return false;
  makeWritable(buildDir);
  const pending = units.filter(({ object }) => !existsSync(object));
  if (pending.length === units.length)
    report(
      `compiling the addon for libtorch ${libtorch.version}: a minute and a half on two quiet processors, minutes on busy ones`,
    );
  await compileAll(compiler, pending, report);
  const partial = `${addon}.${process.pid}`;
  await run(compiler.command, [
    '-shared',
    '-fopenmp',
    '-o',
    partial,
    ...units.map(({ object }) => object),
    `-L${libtorch.libDir}`,
    `-Wl,-rpath,${libtorch.libDir}`,
    '-Wl,--no-as-needed',
    '-ltorch_cpu',
    '-lc10',
  ]);
  renameSync(partial, addon);
  writeFileSync(stamp, fingerprint);
  report(`built the addon against libtorch ${libtorch.version} (${libtorch.libDir})`);
  return true;
}

async function compileAll(compiler: Compiler, pending: readonly Unit[], report: (line: string) => void): Promise<void> {
  const work = [...pending];
  const started = Date.now();
  let finished = 0;
  const compileNext = async (): Promise<void> => {
    for (let unit = work.shift(); unit; unit = work.shift()) {
      const partial = `${unit.object}.${process.pid}`;
      const source = `${partial}.cc`;
      writeFileSync(source, unit.text);
      try {
        await run(compiler.command, [...compiler.flags, ...compiler.includes, '-c', source, '-o', partial]);
        renameSync(partial, unit.object);
      } catch (error) {
        work.length = 0;
        throw error;
      } finally {
        rmSync(source, { force: true });
      }
      finished++;
      const seconds = ((Date.now() - started) / 1000).toFixed(0);
      report(`  compiled ${finished}/${pending.length} (${seconds} s): ${unit.title}`);
    }
  };
  // Each takes a gigabyte or two of memory.
  await Promise.all(Array.from({ length: Math.min(availableParallelism(), 8) }, compileNext));
}

function makeWritable(buildDir: string): void {
  try {
    mkdirSync(buildDir, { recursive: true });
    accessSync(buildDir, constants.W_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new SetUpError(
      `${buildDir}: the addon belongs there, and this user cannot write there (${code}): run this as the user who installed the package, or install it in a folder of your own`,
      2,
    );
  }
}

function run(command: string, args: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    execFile(command, args, { maxBuffer: 1 << 26 }, (error, _stdout, stderr) => {
      if (stderr) process.stderr.write(stderr);
      if (!error) done();
      else
        fail(
          new SetUpError(
            `${command} failed on ${args.includes('-c') ? 'the sources' : 'the link'} of the addon: see above`,
            1,
          ),
        );
    });
  });
}
