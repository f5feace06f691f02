import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { discoverLibtorch, explainDiscovery, libtorchKey } from './discover.js';

const folder = realpathSync(mkdtempSync(join(tmpdir(), 'libtorch-discovery-')));
after(() => rmSync(folder, { recursive: true }));

interface Parts {
  readonly version?: string;
  readonly library?: boolean;
  readonly cuda?: boolean;
  /** Where the version's numbers stand: the newer place, or that of before 2.10. */
  readonly header?: 'torch/headeronly' | 'torch/csrc/api/include/torch';
}

/** A folder with the files that tell a libtorch, all of them empty but for the version. */
function makeLibtorch(name: string, { version, library = true, cuda = false, header }: Parts = {}): string {
  const root = join(folder, name);
  mkdirSync(join(root, 'lib'), { recursive: true });
  if (library) writeFileSync(join(root, 'lib/libtorch_cpu.so'), '');
  if (cuda) writeFileSync(join(root, 'lib/libtorch_cuda.so'), '');
  if (version) {
    const dir = join(root, 'include', header ?? 'torch/csrc/api/include/torch');
    mkdirSync(dir, { recursive: true });
    const parts = version.split('.');
    const lines = ['MAJOR', 'MINOR', 'PATCH'].map((part, i) => `#define TORCH_VERSION_${part} ${parts[i]}`);
    writeFileSync(join(dir, 'version.h'), lines.join('\n'));
  }
  return root;
}

/** A folder for PATH whose `python3` prints `output`, or fails where there is none. */
function makePython(name: string, output: string | undefined): string {
  const bin = join(folder, name);
  mkdirSync(bin);
  const program = output === undefined ? 'exit 1' : `echo '${output}'`;
  writeFileSync(join(bin, 'python3'), `#!/bin/sh\n${program}\n`);
  chmodSync(join(bin, 'python3'), 0o755);
  return bin;
}

/** explainDiscovery() with the process's own PATH replaced: the python is looked up there. */
function explainWithPath(path: string, env: NodeJS.ProcessEnv): ReturnType<typeof explainDiscovery> {
  const before = process.env.PATH;
  process.env.PATH = `${path}:${before}`;
  try {
    return explainDiscovery(env);
  } finally {
    process.env.PATH = before;
  }
}

test('LIBTORCH names a folder with its version, read from the headers', () => {
  const root = makeLibtorch('plain', { version: '2.3.1' });
  const found = discoverLibtorch({ LIBTORCH: root });
  assert.deepEqual(found, {
    source: 'LIBTORCH',
    root,
    includeDirs: [join(root, 'include'), join(root, 'include/torch/csrc/api/include')],
    libDir: join(root, 'lib'),
    version: '2.3.1',
    cuda: false,
  });
});

test('newer headers keep the version elsewhere, and CUDA is told by its library', () => {
  const root = makeLibtorch('newer', { version: '2.14.1', header: 'torch/headeronly', cuda: true });
  const found = discoverLibtorch({ LIBTORCH: root });
  assert.equal(found?.version, '2.14.1');
  assert.equal(found?.cuda, true);
});

test('LIBTORCH goes before LIBTORCH_USE_PYTORCH', () => {
  const named = makeLibtorch('named', { version: '2.0.0' });
  const pythons = makeLibtorch('pythons', { version: '2.1.0' });
  const path = makePython('bin-both', pythons);
  const env = { LIBTORCH: named, LIBTORCH_USE_PYTORCH: '1' };
  assert.equal(explainWithPath(path, env).found?.version, '2.0.0');
  const { found, steps } = explainWithPath(path, { LIBTORCH_USE_PYTORCH: '1' });
  assert.equal(found?.version, '2.1.0');
  assert.equal(found?.source, 'LIBTORCH_USE_PYTORCH');
  assert.deepEqual(
    steps.map((step) => step.place),
    ['LIBTORCH', 'LIBTORCH_USE_PYTORCH=1'],
  );
});

test('a folder that was named and does not fit is not passed over', () => {
  const cases: readonly [string, RegExp][] = [
    [join(folder, 'nowhere'), /nowhere does not exist$/],
    [makeLibtorch('no-library', { version: '2.0.0', library: false }), /^no lib\/libtorch_cpu.so in /],
    [makeLibtorch('no-headers'), /^no headers \(include\/torch\/...\) in /],
  ];
  for (const [root, outcome] of cases) {
    const { found, steps } = explainDiscovery({ LIBTORCH: root, LIBTORCH_USE_PYTORCH: '1' });
    assert.equal(found, undefined);
    assert.equal(steps.length, 1);
    assert.match(steps[0]?.outcome ?? '', outcome);
  }
});

test('a python without torch says so, and the system is not asked', () => {
  const { found, steps } = explainWithPath(makePython('bin-empty', undefined), { LIBTORCH_USE_PYTORCH: '1' });
  assert.equal(found, undefined);
  assert.equal(steps.at(-1)?.outcome, 'the python3 on PATH has no torch');
});

test('without variables the system is looked at last, with a line for each place', () => {
  const { steps } = explainDiscovery({});
  assert.deepEqual(
    steps.map((step) => step.place),
    ['LIBTORCH', 'LIBTORCH_USE_PYTORCH', 'system'],
  );
  assert.equal(steps[0]?.outcome, 'not set');
});

test("macOS: the library's name ends in .dylib, and the system's is Homebrew's", () => {
  const root = makeLibtorch('apple', { version: '2.9.0', library: false });
  const explain = () => explainDiscovery({ LIBTORCH: root }, 'darwin');
  assert.match(explain().steps[0]?.outcome ?? '', /^no lib\/libtorch_cpu\.dylib in /);
  writeFileSync(join(root, 'lib/libtorch_cpu.dylib'), '');
  assert.equal(explain().found?.libDir, join(root, 'lib'));
  const { steps } = explainDiscovery({}, 'darwin');
  assert.match(steps.at(-1)?.outcome ?? '', /^libtorch |Homebrew's formula is pytorch/);
});

test('builds against different libtorches have different keys, a link to one the same', () => {
  const a = makeLibtorch('a', { version: '2.0.0' });
  const b = makeLibtorch('b', { version: '2.0.0' });
  const link = join(folder, 'link-to-a');
  symlinkSync(a, link);
  const key = (root: string) => {
    const found = discoverLibtorch({ LIBTORCH: root });
    assert.ok(found);
    return libtorchKey(found);
  };
  assert.match(key(a), /^2\.0\.0-[0-9a-f]{8}$/);
  assert.notEqual(key(a), key(b));
  assert.equal(key(a), key(link));
});
