// Compiles native/ with the system's C++ compiler: native/pixels/, which needs no engine, into build/pixels/goshawk_pixels.node, and
// all else into build/<libtorch>/goshawk_torch.node.
import { execFile } from 'node:child_process';
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
import { availableParallelism, cpus } from 'node:os';
import { basename, dirname, join, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Libtorch, libtorchKey } from '../libtorch/discover.js';
import { pixelAddonPath } from '../pixels/addon-path.js';
import { type Compiler, compilerFor } from './compiler.js';
import { SetUpError } from './set-up-error.js';
import { translationUnits, unitText, withIncludes } from './translation-units.js';

const packageDir = fileURLToPath(new URL('../../', import.meta.url));
const nativeDir = join(packageDir, 'native');

interface Unit {
  readonly text: string;
  readonly object: string;
  /** What a person reads while it compiles. */
  readonly title: string;
}

/** One of the addons. */
interface Addon {
  readonly file: string;
  readonly compiler: Compiler;
  /** Whether it is made from this path below native/. */
  isMadeFrom(source: string): boolean;
  /** What a person reads before all of it is compiled, and when it stands. */
  readonly notice: string;
  readonly done: string;
}

const PIXELS = /^pixels\//;

/** Paths below native/, with slashes. */
function sources(extension: RegExp): string[] {
  return (readdirSync(nativeDir, { recursive: true }) as string[])
    .filter((name) => extension.test(name))
    .map((name) => name.replaceAll(sep, '/'))
    .sort();
}

/** What the processor has: objects compiled for another one are not taken. */
function processorFeatures(): string {
  const file = '/proc/cpuinfo';
  const line = existsSync(file) ? /^(?:flags|Features)\b.*$/m.exec(readFileSync(file, 'utf8'))?.[0] : undefined;
  return line ?? `${process.arch} ${cpus()[0]?.model}`;
}

/** Object names say what they are made from, not where the checkout lies: checkouts can share a build folder's content. */
function planUnits({ compiler, file, isMadeFrom }: Addon): Unit[] {
  const shared = [compiler.version, compiler.flags.join(' '), processorFeatures()].join('\n');
  const all = sources(/\.cc$/)
    .filter(isMadeFrom)
    .map((name) => ({ name, bytes: statSync(join(nativeDir, name)).size }));
  return translationUnits(all).map((unit) => {
    const text = unitText(unit);
    const digest = createHash('sha256').update(shared).update(text);
    for (const name of withIncludes(nativeDir, unit.sources)) digest.update(readFileSync(join(nativeDir, name)));
    return {
      text,
      object: join(dirname(file), `${unit.name}.${digest.digest('hex').slice(0, 16)}.o`),
      title: unit.sources.map((name) => name.replace(/\.cc$/, '')).join(' '),
    };
  });
}

/**
 * Compiles what changed and links the addons, the engine's for this libtorch; returns whether there was anything to do.
 * @param report is told a line at a time what happens
 * @throws SetUpError without a compiler, for a folder that cannot be written, and where compiling fails
 */
export async function buildAddons(libtorch: Libtorch, report: (line: string) => void): Promise<boolean> {
  const engine: Addon = {
    file: join(packageDir, 'build', libtorchKey(libtorch), 'goshawk_torch.node'),
    compiler: compilerFor(nativeDir, libtorch),
    isMadeFrom: (source) => !PIXELS.test(source),
    notice: `compiling the addon for libtorch ${libtorch.version}: a minute and a half on two quiet processors, minutes on busy ones`,
    done: `built the addon against libtorch ${libtorch.version} (${libtorch.libDir})`,
  };
  const pixels: Addon = {
    file: pixelAddonPath,
    compiler: compilerFor(nativeDir),
    isMadeFrom: (source) => PIXELS.test(source),
    notice: 'compiling the addon for pictures: some ten seconds',
    done: 'built the addon for pictures',
  };
  const [engineBuilt, pixelsBuilt] = [await build(engine, report), await build(pixels, report)];
  return engineBuilt || pixelsBuilt;
}

async function build(addon: Addon, report: (line: string) => void): Promise<boolean> {
  const { file, compiler } = addon;
  const buildDir = dirname(file);
  const units = planUnits(addon);
  const fingerprint = units.map(({ object }) => basename(object)).join('\n');
  const stamp = join(buildDir, 'built-from');
  const current = existsSync(file) && existsSync(stamp) && readFileSync(stamp, 'utf8') === fingerprint;
  if (current) return false;
  makeWritable(buildDir);
  const pending = units.filter(({ object }) => !existsSync(object));
  if (pending.length === units.length) report(addon.notice);
  await compileAll(compiler, pending, report);
  const partial = `${file}.${process.pid}`;
  const objects = units.map(({ object }) => object);
  await run(compiler.command, ['-o', partial, ...objects, ...compiler.linkFlags]);
  renameSync(partial, file);
  writeFileSync(stamp, fingerprint);
  report(addon.done);
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
