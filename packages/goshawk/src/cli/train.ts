// goshawk train: trains a model from a config.
import { basename, extname, join } from 'node:path';
import { RunFailure } from '../files/run-failure.js';
import { findWeights } from '../infer/weights-cache.js';
import { createProgressLine } from '../terminal/progress-line.js';
import { type TrainObserver, train } from '../train/index.js';
import type { OwnRank } from './in-ranks.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import { onRankDevice, openRankGroup } from './rank-group.js';

export interface TrainCommandOptions {
  readonly set?: readonly string[];
  readonly output?: string;
  readonly init?: string;
  readonly resume?: boolean;
  readonly iterations?: string;
  /** Default true. */
  readonly save?: boolean;
  /** This process as one of several. */
  readonly rank?: OwnRank;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export async function runTrain(configFile: string, options: TrainCommandOptions): Promise<void> {
  const { rank, save = true } = options;
  const isWriter = rank === undefined || rank.place.rank === 0;
  const opened = openCommandConfig(configFile, options.set, { training: true, quiet: !isWriter });
  const config = onRankDevice(opened.config, rank);
  const output = options.output ?? join('runs', basename(configFile, extname(configFile)));
  const iterations =
    options.iterations === undefined
      ? undefined
      : wholeNumber('--iterations', options.iterations, 1, Number.MAX_SAFE_INTEGER);
  // The other processes get their weights from the first.
  const isRead = isWriter || options.resume === true;
  const init = options.init === undefined || !isRead ? options.init : findWeights(options.init, '--init');
  // While it waits for the others there is nothing to end tidily, and nobody to do so.
  const group = rank && openRankGroup(rank, config);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  // A second one ends the process at once, by the system's rule; of several processes the supervisor counts.
  for (const signal of SIGNALS) rank?.link ? process.on(signal, onSignal) : process.once(signal, onSignal);
  try {
    const result = await train({
      config,
      output,
      init,
      resume: options.resume,
      iterations,
      save,
      signal: stop.signal,
      line: createProgressLine(),
      ...(rank && { observer: observerOf(rank) }),
      ...(group && { group }),
    });
    group?.close();
    if (!isWriter) return;
    // What is wrong with an evaluation shows once more at the end: the lines on the way are far up by now.
    const { problems } = result;
    for (const problem of problems) console.error(problem);
    if (result.weights)
      console.log(`trained ${result.iteration} iteration${result.iteration === 1 ? '' : 's'}: ${result.weights}`);
    else if (!save) console.log(`trained up to iteration ${result.iteration}; nothing was saved`);
    else console.log(`stopped after iteration ${result.iteration}: continue with --resume`);
    if (problems.length > 0)
      throw new RunFailure(
        `${problems.length === 1 ? 'an evaluation was not right' : `${problems.length} things were wrong with evaluations`}, named above: the training itself is done and saved`,
      );
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** What is told to the supervisor, where there is one, and by the processes that keep no log. */
function observerOf({ link, place }: OwnRank): TrainObserver {
  return {
    onStep: (step) => link?.setIteration(step.iteration),
    onEvaluationProgress: () => link?.tick(),
    onWarning(message) {
      if (place.rank === 0) return;
      if (link) link.note(`warning: ${message}`);
      else console.error(`rank ${place.rank}: warning: ${message}`);
    },
    onCheckpoint: (_path, iteration) => link?.saved(`iteration ${iteration} is saved`),
  };
}
