// Processes of their own: what is loaded stays loaded.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

function ended(program: string, env: Readonly<Record<string, string>> = {}): readonly [number | null, string, string] {
  const begun = `
    const { loadEngineAhead } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)});
    loadEngineAhead();
    ${program}`;
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', begun], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return [status, stdout, stderr];
}

test('an engine that was begun is the one that is loaded', () => {
  const torch = JSON.stringify(new URL('../index.js', import.meta.url).href);
  const program = `
    const { ones } = await import(${torch});
    const { readFileSync } = await import('node:fs');
    const libraries = readFileSync('/proc/self/maps', 'utf8').match(/\\S+libtorch_cpu\\S+/g) ?? [];
    console.log(ones([3]).sum().item(), new Set(libraries).size <= 1, process.env.OMP_WAIT_POLICY);`;
  assert.deepEqual(ended(program), [0, '3 true passive\n', '']);
});

test('a process may end while the engine is being loaded, in any way', () => {
  for (const [program, code] of [
    ['', 0],
    ['process.exit(3);', 3],
    ['loadEngineAhead(); process.exitCode = 2;', 2],
  ] as const)
    assert.deepEqual(ended(program), [code, '', '']);
});

test('without an engine nothing is said: who needs it says what to do', () => {
  assert.deepEqual(ended('', { LIBTORCH: '/nowhere' }), [0, '', '']);
});
