// goshawk-torch-setup [LIBTORCH_FOLDER] [--install-libtorch]: for programs that use @goshawk/torch without goshawk.

import { setUpEngine } from './set-up.js';
import { SetUpError } from './set-up-error.js';

try {
  const args = process.argv.slice(2);
  const { libtorch, built } = await setUpEngine({
    libtorch: args.find((arg) => !arg.startsWith('--')),
    installLibtorch: args.includes('--install-libtorch'),
    report: (line) => console.error(line),
  });
  if (!built) console.error(`ready: the addon stands for libtorch ${libtorch.version} in ${libtorch.libDir}`);
} catch (error) {
  if (!(error instanceof SetUpError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
