import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Libtorch } from '../libtorch/discover.js';
import { compilerFlags, linkFlags, openMpFor } from './compiler.js';

const folder = mkdtempSync(join(tmpdir(), 'compiler-'));
after(() => rmSync(folder, { recursive: true }));

const libtorch: Libtorch = {
  source: 'LIBTORCH',
  root: '/torch',
  includeDirs: ['/torch/include'],
  libDir: '/torch/lib',
  version: '2.14.1',
  cuda: false,
};
const apple = { platform: 'darwin', arch: 'arm64' } as const;

/** With GOSHAWK_CPU_CAPABILITY as given. */
function flagsWith(capability: string | undefined, ...args: Parameters<typeof compilerFlags>): string[] {
  const before = process.env.GOSHAWK_CPU_CAPABILITY;
  if (capability === undefined) delete process.env.GOSHAWK_CPU_CAPABILITY;
  else process.env.GOSHAWK_CPU_CAPABILITY = capability;
  try {
    return compilerFlags(...args);
  } finally {
    if (before === undefined) delete process.env.GOSHAWK_CPU_CAPABILITY;
    else process.env.GOSHAWK_CPU_CAPABILITY = before;
  }
}

describe('compilerFlags', () => {
  test('take all instructions of the processor, or those that are named', () => {
    const x64 = { platform: 'linux', arch: 'x64' } as const;
    const arm64 = { platform: 'linux', arch: 'arm64' } as const;
    const cases = [
      [undefined, x64, '-march=native'],
      ['avx2', x64, '-march=x86-64-v3'],
      ['default', x64, '-march=x86-64'],
      [undefined, arm64, '-mcpu=native'],
      ['default', arm64, '-march=armv8-a'],
      [undefined, apple, '-mcpu=apple-m1'],
    ] as const;
    for (const [capability, machine, flag] of cases) {
      const flags = flagsWith(capability, machine, 'g++ 12', libtorch);
      assert.deepEqual(
        flags.filter((each) => /^-m(arch|cpu)=/.test(each)),
        [flag],
      );
      assert.ok(flags.includes('-ffp-contract=off'), 'everywhere the arithmetic is that of the definitions');
    }
  });

  test('an unknown capability is one line that names those there are', () => {
    assert.throws(() => flagsWith('avx2', apple, 'Apple clang version 16.0.0'), {
      message: 'GOSHAWK_CPU_CAPABILITY=avx2: must be default on arm64: unset it for all that this processor has',
      exitCode: 2,
    });
  });
});

test("macOS: an addon is a bundle that finds Node's functions when it is loaded, without GNU's flags", () => {
  const flags = linkFlags(apple, libtorch);
  assert.deepEqual(flags.slice(0, 3), ['-bundle', '-undefined', 'dynamic_lookup']);
  assert.ok(flags.includes('-Wl,-rpath,/torch/lib'));
  assert.ok(!flags.includes('-Wl,--no-as-needed') && !flags.includes('-shared'));
});

test("macOS: OpenMP is Homebrew's header and libtorch's library, and none without the header", () => {
  assert.deepEqual(openMpFor(apple, libtorch, [join(folder, 'nowhere')]).flags, []);
  const brew = join(folder, 'libomp');
  mkdirSync(join(brew, 'include'), { recursive: true });
  writeFileSync(join(brew, 'include/omp.h'), '');
  const withBrews = openMpFor(apple, libtorch, [brew]);
  assert.deepEqual(withBrews.flags, ['-Xpreprocessor', '-fopenmp']);
  assert.deepEqual(withBrews.linkFlags, [`-L${brew}/lib`, `-Wl,-rpath,${brew}/lib`, '-lomp']);
  const libDir = join(folder, 'lib');
  mkdirSync(libDir);
  writeFileSync(join(libDir, 'libomp.dylib'), '');
  assert.deepEqual(openMpFor(apple, { ...libtorch, libDir }, [brew]).linkFlags, ['-lomp']);
});

test('what is compiled for fewer instructions lies in a folder of its own, and the libraries are told', () => {
  const program = `
    import { libtorchKey } from ${JSON.stringify(fileURLToPath(new URL('../libtorch/discover.js', import.meta.url)))};
    import { limitLibraries } from ${JSON.stringify(fileURLToPath(new URL('../libtorch/processor.js', import.meta.url)))};
    import { pixelAddonPath } from ${JSON.stringify(fileURLToPath(new URL('../pixels/addon-path.js', import.meta.url)))};
    limitLibraries();
    const { ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA } = process.env;
    console.log(JSON.stringify({ key: libtorchKey({ version: '2.0.0', libDir: '/x' }), pixelAddonPath, ATEN_CPU_CAPABILITY, ONEDNN_MAX_CPU_ISA }));`;
  const told = (env: NodeJS.ProcessEnv) => {
    const clean = { ...process.env };
    for (const name of ['GOSHAWK_CPU_CAPABILITY', 'ATEN_CPU_CAPABILITY', 'ONEDNN_MAX_CPU_ISA']) delete clean[name];
    const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
      encoding: 'utf8',
      env: { ...clean, ...env },
    });
    assert.equal(stderr, '');
    return JSON.parse(stdout) as Record<string, string>;
  };
  const all = told({});
  assert.equal(all.ATEN_CPU_CAPABILITY, undefined);
  const fewer = told({ GOSHAWK_CPU_CAPABILITY: 'default' });
  assert.equal(fewer.key, `${all.key}-default`);
  assert.notEqual(fewer.pixelAddonPath, all.pixelAddonPath);
  assert.equal(fewer.ATEN_CPU_CAPABILITY, 'default');
  assert.equal(told({ GOSHAWK_CPU_CAPABILITY: 'default', ATEN_CPU_CAPABILITY: 'avx2' }).ATEN_CPU_CAPABILITY, 'avx2');
});
