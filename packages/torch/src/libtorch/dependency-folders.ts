// Where the libraries that a libtorch with CUDA brings lie.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Where CUDA's libraries lie for a libtorch in `libDir`, beside the system's folders: its own, and those of Python's packages. */
export function dependencyFolders(libDir: string): string[] {
  const packages = join(libDir, '../../nvidia');
  const names = existsSync(packages) ? readdirSync(packages).sort() : [];
  return [libDir, ...names.map((name) => join(packages, name, 'lib'))];
}
