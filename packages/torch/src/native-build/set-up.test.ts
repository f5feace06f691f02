import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { discoverLibtorch, libtorchKey } from '../libtorch/discover.js';

const script = fileURLToPath(new URL('./main.js', import.meta.url));
const library = fileURLToPath(new URL('../tensor/index.js', import.meta.url));
const versionHeader = ['MAJOR 2', 'MINOR 0', 'PATCH 0'].map((part) => `#define TORCH_VERSION_${part}`).join('\n');
const folder = mkdtempSync(join(tmpdir(), 'set-up-'));
const empty = makeFolder('empty', {
  'lib/libtorch_cpu.so': '',
  'include/torch/csrc/api/include/torch/version.h': versionHeader,
});
after(() => {
  const found = discoverLibtorch({ LIBTORCH: empty });
  const build = fileURLToPath(new URL('../../build/', import.meta.url));
  if (found) rmSync(join(build, libtorchKey(found)), { recursive: true, force: true });
  rmSync(folder, { recursive: true });
});

function run(program: string, args: string[], env: NodeJS.ProcessEnv = {}) {
  const { status, stderr } = spawnSync(process.execPath, [program, ...args], {
    encoding: 'utf8',
    env: { ...process.env, LIBTORCH: '', LIBTORCH_USE_PYTORCH: '', ...env },
  });
  return { status, lines: stderr.trim().split('\n') };
}

function makeFolder(name: string, files: Readonly<Record<string, string>>): string {
  const root = join(folder, name);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(join(root, file, '..'), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return root;
}

test('a folder without libtorch, or without its headers, is one line and exit code 2', () => {
  const missing = run(script, [join(folder, 'nowhere')]);
  assert.equal(missing.status, 2);
  assert.equal(missing.lines.length, 1);
  assert.match(
    missing.lines[0] ?? '',
    /^no libtorch: LIBTORCH=.*nowhere: .*nowhere does not exist: name another, or none to use the system's$/,
  );
  const headerless = run(script, [], { LIBTORCH: makeFolder('headerless', { 'lib/libtorch_cpu.so': '' }) });
  assert.equal(headerless.status, 2);
  assert.deepEqual(headerless.lines.length, 1);
  assert.match(headerless.lines[0] ?? '', /no headers \(include\/torch\/...\) in .*headerless: name another/);
});

test('a missing compiler is one line that says how to get one, and nothing is installed unasked', () => {
  const { status, lines } = run(script, [empty], { CXX: join(folder, 'no-such-compiler') });
  assert.equal(status, 2);
  assert.equal(lines.length, 1);
  assert.match(
    lines[0] ?? '',
    /^no C\+\+ compiler \(.*no-such-compiler\): (run `(sudo )?apt-get install --no-install-recommends g\+\+`, or let `npx goshawk setup --install-libtorch` do it|install a C\+\+ compiler, or name one in CXX)$/,
  );
});

test('a compilation that fails ends with exit code 1 and says that it was the sources', () => {
  const compiler = join(
    makeFolder('bin', { cxx: '#!/bin/sh\n[ "$1" = --version ] || { echo no such header >&2; exit 1; }\n' }),
    'cxx',
  );
  chmodSync(compiler, 0o755);
  const { status, lines } = run(script, [empty], { CXX: compiler });
  assert.equal(status, 1);
  assert.match(lines[0] ?? '', /^compiling the addon for libtorch 2\.0\.0: a minute and a half/);
  assert.ok(lines.some((line) => /failed on the sources of the addon: see above$/.test(line)));
  assert.ok(lines.includes('no such header'));
});

test('loading without a libtorch, or without the addon for it, says what to run', () => {
  const nowhere = run('--input-type=module', ['-e', `await import('${library}')`], {
    LIBTORCH: join(folder, 'nowhere'),
  });
  assert.match(
    nowhere.lines.join('\n'),
    /EngineMissingError.*: libtorch not found \(LIBTORCH=.*nowhere does not exist\): run `npx goshawk setup`, or set LIBTORCH/,
  );
  const unbuilt = makeFolder('unbuilt', {
    'lib/libtorch_cpu.so': '',
    'include/torch/csrc/api/include/torch/version.h': versionHeader,
  });
  assert.match(
    run('--input-type=module', ['-e', `await import('${library}')`], { LIBTORCH: unbuilt }).lines.join('\n'),
    /the addon is not built for libtorch 2\.0\.0 in .*unbuilt\/lib: run `npx goshawk setup`/,
  );
});
