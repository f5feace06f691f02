// goshawk setup: libtorch found or said how to get, the addon compiled for it; ffmpeg where it is asked for.
import { installPackages, SetUpError, setUpEngine } from '@goshawk/torch/native-build';
import { FFMPEG_REMEDY, findFfmpeg } from '../data/video/index.js';

export interface SetupCommandOptions {
  readonly installLibtorch?: boolean;
  readonly installFfmpeg?: boolean;
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
  if (options.installFfmpeg) await provideFfmpeg(options.quiet ?? false);
}

/** Without it all but videos works: where it cannot be had, that is told and no failure. */
async function provideFfmpeg(quiet: boolean): Promise<void> {
  const found = findFfmpeg();
  if (found) {
    if (!quiet) console.error(`nothing to do: ffmpeg ${found.version} is there`);
    return;
  }
  try {
    if (await installPackages(['ffmpeg'], (line) => console.error(line))) return;
    console.error(`without ffmpeg there are no videos: ${FFMPEG_REMEDY}`);
  } catch (error) {
    if (!(error instanceof SetUpError)) throw error;
    console.error(`without ffmpeg there are no videos: ${error.message}`);
  }
}
