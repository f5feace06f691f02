// goshawk setup: libtorch found or said how to get, the addon compiled for it.
import { setUpEngine } from '@goshawk/torch/native-build';

export interface SetupCommandOptions {
  readonly installLibtorch?: boolean;
  readonly quiet?: boolean;
}

/** @param folder of a libtorch; else the one that the environment leads to. @throws SetUpError */
export async function runSetup(folder: string | undefined, options: SetupCommandOptions): Promise<void> {
  const { libtorch, built } = await setUpEngine({
    libtorch: folder,
    installLibtorch: options.installLibtorch,
    report: (line) => console.error(line),
  });
  if (!built && !options.quiet)
    console.error(`nothing to do: the addon stands for libtorch ${libtorch.version} in ${libtorch.libDir}`);
  if (folder !== undefined) console.error(`use it with LIBTORCH=${libtorch.root}`);
}
