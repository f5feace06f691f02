// A card on the processor: native/device/code compiled by the C++ compiler, with native/device/emulation in the place of CUDA. The
// operators that own kernels implement are reached as goshawk_emulated::, for tensors of the CPU.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findCompiler } from '../native-build/compiler.js';
import { callOp } from '../tensor/dispatch.js';
import { native } from '../tensor/native.js';

const nativeDir = fileURLToPath(new URL('../../native/', import.meta.url));
const buildDir = fileURLToPath(new URL('../../build/', import.meta.url));

/** The values of GOSHAWK_SCALAR: float32, float64, float16, bfloat16. */
export const DEVICE_SCALARS = ['float32', 'float64', 'float16', 'bfloat16'] as const;

/** Files of device code, without `.cu`. */
export function deviceCodeFiles(): string[] {
  return readdirSync(join(nativeDir, 'device/code'))
    .filter((name) => name.endsWith('.cu'))
    .map((name) => basename(name, '.cu'))
    .sort();
}

/** The names of a file's kernels. */
export function kernelsOf(file: string): string[] {
  const text = readFileSync(join(nativeDir, `device/code/${file}.cu`), 'utf8');
  return [...text.matchAll(/^GOSHAWK_KERNEL void (?:__launch_bounds__\([^)]*\) )?(\w+)\(/gm)].map((match) => match[1]!);
}

let isReady = false;

/** Calls an operator, as callOp('goshawk::…'), of a card's own kernels with tensors of the CPU. */
export function callOnEmulatedCard(
  operator: string,
  ...args: Parameters<typeof callOp> extends [string, ...infer Rest] ? Rest : never
): ReturnType<typeof callOp> {
  if (!isReady) native.emulateCard(buildEmulatedCard());
  isReady = true;
  return callOp(`goshawk_emulated::${operator}`, ...args);
}

/** The library's file; made where it is not there for this compiler and the sources as they are. */
function buildEmulatedCard(): string {
  const compiler = findCompiler();
  if (compiler === undefined) throw new Error('no C++ compiler for the emulated card');
  const files = deviceCodeFiles();
  const sources = ['arithmetic', 'device/code', 'device/emulation'].flatMap((folder) =>
    readdirSync(join(nativeDir, folder)).map((name) => join(nativeDir, folder, name)),
  );
  const digest = createHash('sha256')
    .update(compiler)
    .update(readFileSync(fileURLToPath(import.meta.url)));
  for (const source of sources.sort()) digest.update(readFileSync(source));
  const library = join(buildDir, `emulated-card-${digest.digest('hex').slice(0, 16)}.so`);
  if (existsSync(library)) return library;
  mkdirSync(buildDir, { recursive: true });
  const units = DEVICE_SCALARS.map((scalar, number) => {
    const unit = `${library}.${process.pid}.${scalar}.cc`;
    const entries = files.flatMap((file) => kernelsOf(file).map((kernel) => ({ file, kernel })));
    writeFileSync(
      unit,
      [
        `#define GOSHAWK_SCALAR ${number}`,
        ...files.map((file) => `#include "device/code/${file}.cu"`),
        '#include "device/emulation/kernel-table.h"',
        'using goshawk::emulated::Registration;',
        ...entries.map(
          ({ file, kernel }) =>
            `static const Registration k_${kernel}("${file}", "${kernel}", ${number}, goshawk::emulated::entry_of(goshawk::${kernel}));`,
        ),
        '',
      ].join('\n'),
    );
    return unit;
  });
  const partial = `${library}.${process.pid}`;
  try {
    execFileSync(
      compiler,
      // prettier-ignore
      [
        '-std=gnu++17',
        '-O1',
        '-fPIC',
        '-shared',
        '-ffp-contract=off',
        '-fno-strict-aliasing',
        '-Wall',
        '-Wno-unused-function',
        '-Wno-unknown-pragmas',
        `-I${nativeDir}`,
        '-o',
        partial,
        '-x',
        'c++',
        ...units,
        join(nativeDir, 'device/emulation/emulated-card.cxx'),
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    );
    renameSync(partial, library);
  } finally {
    for (const unit of units) rmSync(unit, { force: true });
  }
  return library;
}
