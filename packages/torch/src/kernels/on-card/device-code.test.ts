// The code of own kernels for a card: it compiles for cards, and computes what the CPU's kernels compute. Each kernel's own test
// compares it on the emulated card.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';
import { findNvrtc } from '../../libtorch/nvrtc.js';
import { scope, Tensor } from '../../tensor/index.js';
import { libtorch, native } from '../../tensor/native.js';
import { DEVICE_SCALARS, deviceCodeFiles, kernelsOf } from '../../testing/emulated-card.js';

const nativeDir = fileURLToPath(new URL('../../../native/', import.meta.url));
const files = deviceCodeFiles();

function run(command: string, args: readonly string[]): string | undefined {
  try {
    return execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

test('each file of device code has kernels', () => {
  for (const file of files) assert.ok(kernelsOf(file).length > 0, file);
});

const nvrtc = findNvrtc(libtorch);

test('device code compiles by NVRTC for compute capability 8.0, 9.0 and 10.0, and is kept', {
  skip: nvrtc === undefined ? `the libtorch in use brings no NVRTC (${libtorch.libDir})` : false,
}, () => {
  const cache = mkdtempSync(join(tmpdir(), 'goshawk-device-code-'));
  try {
    native.setDeviceCode(nativeDir, nvrtc!, cache);
    for (const file of files)
      for (const scalar of DEVICE_SCALARS)
        for (const architecture of [80, 90, 100]) {
          const compile = () =>
            scope(() => Buffer.from(new Tensor(native.compileDeviceCode(file, scalar, architecture)).toBytes()));
          const code = compile();
          assert.equal(code.subarray(1, 4).toString(), 'ELF', `${file} ${scalar} ${architecture}`);
          for (const kernel of kernelsOf(file)) assert.ok(code.includes(kernel), `${file}: ${kernel}`);
          assert.deepEqual(compile(), code);
        }
  } finally {
    rmSync(cache, { recursive: true });
  }
});

const nvcc = nvrtc === undefined ? run('nvcc', ['--version']) : undefined;

test('device code compiles by nvcc for compute capability 8.0 and 9.0', {
  skip:
    nvrtc !== undefined
      ? 'NVRTC compiles it'
      : nvcc === undefined
        ? 'neither NVRTC nor nvcc is on this machine'
        : false,
}, () => {
  const folder = mkdtempSync(join(tmpdir(), 'goshawk-nvcc-'));
  try {
    const source = join(folder, 'all.cu');
    writeFileSync(source, files.map((file) => `#include "device/code/${file}.cu"\n`).join(''));
    for (const [scalar, architecture] of [
      [0, 80],
      [1, 90],
      [2, 90],
      [3, 90],
    ]) {
      // prettier-ignore
      run('nvcc', [
        '-cubin',
        `-arch=sm_${architecture}`,
        '-std=c++17',
        '--fmad=false',
        // How well it is compiled is no matter here, and would take twice as long.
        ...['-Xcicc', '-O0', '-Xptxas', '-O0'],
        `-DGOSHAWK_SCALAR=${scalar}`,
        `-I${nativeDir}`,
        '-o',
        join(folder, 'all.cubin'),
        source,
      ]);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
});
