// Debian's and Ubuntu's packages that the engine needs: which are missing, and how they are installed.
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { Libtorch } from '../libtorch/discover.js';
import { SetUpError } from './set-up-error.js';

/** Names of packages to install: libtorch's where none was found, a fast BLAS beside the system's libtorch, a compiler. */
export function missingPackages(libtorch: Libtorch | undefined, hasCompiler: boolean): string[] {
  const missing: string[] = [];
  if (libtorch === undefined) missing.push('libtorch-dev', 'libopenblas0-pthread');
  else if (libtorch.source === 'system' && aptAvailable() && !hasOpenBlas()) missing.push('libopenblas0-pthread');
  if (!hasCompiler) missing.push('g++');
  return missing;
}

/** What a person types to have them, with the other way for a libtorch. */
export function installAdvice(packages: readonly string[]): string {
  const folder = 'unpack a libtorch (1.13 to 2.14) and set LIBTORCH to its folder';
  const compiler = 'install a C++ compiler, or name one in CXX';
  const other = [
    ...(packages.includes('libtorch-dev') ? [folder] : []),
    ...(packages.includes('g++') ? [compiler] : []),
  ];
  if (!aptAvailable()) return other.join('; ');
  const root = process.getuid?.() === 0 ? '' : 'sudo ';
  const command = `\`${root}apt-get install --no-install-recommends ${packages.join(' ')}\``;
  return `run ${command}${packages.includes('libtorch-dev') ? `, or ${folder}` : ''}`;
}

/**
 * Installs them with apt-get, which writes to the terminal as it works.
 * @returns false where this user may not
 * @throws SetUpError where apt-get fails
 */
export async function installPackages(packages: readonly string[], report: (line: string) => void): Promise<boolean> {
  const apt = aptCommand();
  if (apt === undefined) return false;
  report('updating the list of Debian packages');
  await run([...apt, 'update', '-q']);
  report(`installing ${packages.join(' ')}`);
  await run([...apt, 'install', '-y', '-q', '--no-install-recommends', ...packages]);
  return true;
}

/** `['apt-get']` for root, with sudo where it asks for no password, undefined where packages cannot be installed. */
function aptCommand(): string[] | undefined {
  if (!aptAvailable()) return undefined;
  if (process.getuid?.() === 0) return ['apt-get'];
  const sudo = onPath('sudo') && spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' }).status === 0;
  return sudo ? ['sudo', '-n', '--preserve-env=DEBIAN_FRONTEND', 'apt-get'] : undefined;
}

function aptAvailable(): boolean {
  return process.platform === 'linux' && onPath('apt-get');
}

function hasOpenBlas(): boolean {
  const folders: Readonly<Record<string, string>> = { x64: 'x86_64-linux-gnu', arm64: 'aarch64-linux-gnu' };
  const folder = folders[process.arch];
  return folder === undefined || existsSync(`/usr/lib/${folder}/openblas-pthread/libblas.so.3`);
}

function onPath(name: string): boolean {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

function run([command = '', ...args]: readonly string[]): Promise<void> {
  return new Promise((done, fail) => {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
    const child = spawn(command, args, { stdio: ['ignore', 2, 2], env });
    child.on('error', (error) => fail(new SetUpError(`${command} failed: ${error.message}`, 1)));
    child.on('close', (code) =>
      code === 0 ? done() : fail(new SetUpError(`${command} ${args.join(' ')} failed with exit code ${code}`, 1)),
    );
  });
}
