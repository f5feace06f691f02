// What a training's steps take on this machine: the training itself, for a few of them, with nothing written.
import { parseConfig, type RunConfig } from '../config/index.js';
import { train } from '../train/index.js';

/** The first ones find no memory that is already there and no picture that is already decoded. */
const WARMING = 3;
const MEASURED = 6;

export interface MeasuredSteps {
  /** Of the middle one of those measured. */
  readonly seconds: number;
  /** What it took of all processors together, in seconds: other programs that run here change it little. */
  readonly busy: number;
  /** Pictures of a step. */
  readonly pictures: number;
}

/**
 * @param text of a config
 * @param options.sets `--set` options
 * @param options.enough seconds of a step that end the measuring: it is known to be slower than that then
 */
export async function measureSteps(
  text: string,
  {
    sets = [],
    enough = Number.POSITIVE_INFINITY,
  }: { readonly sets?: readonly string[]; readonly enough?: number } = {},
): Promise<MeasuredSteps> {
  const { data, ...rest } = parseConfig(text, { file: 'the config', sets });
  const { val: _, ...others } = data;
  const { minutes: __, ...schedule } = rest.train;
  const config: RunConfig = { ...rest, data: others, train: schedule };
  const seconds: number[] = [];
  const busy: number[] = [];
  let pictures = 0;
  let before = process.cpuUsage();
  const stop = new AbortController();
  await train({
    config,
    output: '',
    save: false,
    iterations: WARMING + MEASURED,
    signal: stop.signal,
    observer: {
      onStep(step) {
        seconds.push(step.seconds);
        pictures = step.images;
        const { user, system } = process.cpuUsage(before);
        busy.push((user + system) / 1e6);
        before = process.cpuUsage();
        if (seconds.length > 1 && step.seconds > enough) stop.abort();
      },
    },
  });
  return {
    seconds: middleOf(seconds),
    busy: middleOf(busy),
    pictures,
  };
}

function middleOf(values: readonly number[]): number {
  const sorted = values.slice(Math.min(WARMING, values.length - 1)).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
