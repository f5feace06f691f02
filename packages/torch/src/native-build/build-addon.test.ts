import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const script = fileURLToPath(new URL('./build-addon.js', import.meta.url));
const library = fileURLToPath(new URL('../tensor/index.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'build-addon-'));
after(() => rmSync(folder, { recursive: true }));

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
  assert.match(missing.lines[0] ?? '', /^no libtorch: LIBTORCH=.*nowhere: .*nowhere does not exist$/);
  const headerless = run(script, [], { LIBTORCH: makeFolder('headerless', { 'lib/libtorch_cpu.so': '' }) });
  assert.equal(headerless.status, 2);
  assert.deepEqual(headerless.lines.length, 1);
  assert.match(headerless.lines[0] ?? '', /no headers \(include\/torch\/...\) in .*headerless$/);
});

test('a missing compiler is one line that says how to get one', () => {
  const { status, lines } = run(script, [], { CXX: join(folder, 'no-such-compiler') });
  // Without any libtorch on this machine the script ends before it looks for a compiler.
  if (status === 2) return;
  assert.equal(status, 1);
  assert.equal(lines.length, 1);
  assert.match(lines[0] ?? '', /^no C\+\+ compiler \(.*no-such-compiler\): install g\+\+, or name one in CXX$/);
});

test('loading without a libtorch, or without the addon for it, says what to run', () => {
  const nowhere = run('--input-type=module', ['-e', `await import('${library}')`], {
    LIBTORCH: join(folder, 'nowhere'),
  });
  assert.match(
    nowhere.lines.join('\n'),
    /EngineMissingError.*: libtorch not found \(LIBTORCH=.*nowhere does not exist\): run `npm run setup`, or set LIBTORCH/,
  );
  const version = ['MAJOR 2', 'MINOR 0', 'PATCH 0'].map((part) => `#define TORCH_VERSION_${part}`).join('\n');
  const unbuilt = makeFolder('unbuilt', {
    'lib/libtorch_cpu.so': '',
    'include/torch/csrc/api/include/torch/version.h': version,
  });
  assert.match(
    run('--input-type=module', ['-e', `await import('${library}')`], { LIBTORCH: unbuilt }).lines.join('\n'),
    /the addon is not built for libtorch 2\.0\.0 in .*unbuilt\/lib: run `npm run build:libtorch -- .*unbuilt`/,
  );
});
