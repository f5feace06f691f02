// Finds NVRTC, CUDA's run-time compiler, which every libtorch with CUDA brings.
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { dependencyFolders } from './dependency-folders.js';
import type { Libtorch } from './discover.js';

/**
 * The file of libnvrtc: beside libtorch (the archives of pytorch.org), in the pip packages nvidia/... beside the torch package, or
 * in a CUDA toolkit.
 */
export function findNvrtc({ libDir }: Pick<Libtorch, 'libDir'>): string | undefined {
  const folders = [
    ...dependencyFolders(libDir),
    '/usr/local/cuda/lib64',
    '/usr/lib/x86_64-linux-gnu',
    '/usr/lib/aarch64-linux-gnu',
  ];
  for (const folder of folders) {
    const name = listing(folder).find((file) => /^libnvrtc(-[0-9a-f]+)?\.so\.\d+/.test(file));
    if (name !== undefined) return join(folder, name);
  }
  return undefined;
}

function listing(folder: string): string[] {
  return existsSync(folder) ? readdirSync(folder).sort() : [];
}
