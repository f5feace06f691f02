// An engine that a thread of its own loads first, in processes of their own.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';

const MiB = 2 ** 20;
const ahead = JSON.stringify(new URL('./index.js', import.meta.url).href);
const engine = JSON.stringify(new URL('../tensor/index.js', import.meta.url).href);

function run(program: string, env: NodeJS.ProcessEnv = {}): { readonly said: unknown; readonly stderr: string } {
  const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
    env: { ...process.env, ...env },
  });
  return { said: JSON.parse(stdout || 'null'), stderr };
}

test('is the one that the import finds: with its memory taken, its threads and variables set as without', () => {
  const facts = `
    const { getThreads, hostMemory, tensor, trimMemory } = await import(${engine});
    const facts = () => [getThreads(), process.env.OMP_WAIT_POLICY, tensor([1, 2]).toNumbers()];`;
  const alone = run(`${facts} console.log(JSON.stringify({ reserved: hostMemory().reserved, facts: facts() }));`);
  const both = run(`
    const { startEngineAhead } = await import(${ahead});
    startEngineAhead({ memory: 40 * ${MiB} });
    ${facts}
    // The thread goes on while this one has its engine.
    for (let turn = 0; turn < 2000 && hostMemory().reserved < 40 * ${MiB}; turn++)
      await new Promise((done) => setTimeout(done, 10));
    const { reserved, inUse } = hostMemory();
    trimMemory();
    console.log(JSON.stringify({ reserved, inUse, trimmed: hostMemory().reserved, facts: facts() }));`);
  assert.deepEqual(alone.said, { reserved: 0, facts: (both.said as { facts: unknown } | null)?.facts }, both.stderr);
  const { reserved, inUse, trimmed } = both.said as Record<string, number>;
  assert.ok(reserved! >= 40 * MiB && reserved! < 60 * MiB, `${reserved}`);
  assert.deepEqual([inUse, trimmed], [0, 0]);
});

test('that nothing uses keeps no process alive, and fails for no process that can do without', () => {
  const program = `
    const { startEngineAhead } = await import(${ahead});
    startEngineAhead();
    console.log('"end"');`;
  assert.deepEqual(run(program), { said: 'end', stderr: '' });
  assert.deepEqual(run(program, { LIBTORCH: '/nowhere' }), { said: 'end', stderr: '' });
});
