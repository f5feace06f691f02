// goshawk train: trains a model from a config.
import { basename, extname, join } from 'node:path';
import { RunFailure } from '../files/run-failure.js';
import { findWeights } from '../infer/weights-cache.js';
import { RunLog, type TrainObserver, train } from '../train/index.js';
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
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  // A second one ends the process at once, by the system's rule; of several processes the supervisor counts.
  for (const signal of SIGNALS) rank?.link ? process.on(signal, onSignal) : process.once(signal, onSignal);
  const log = isWriter ? new RunLog(save ? output : undefined) : undefined;
  try {
    const group = rank && openRankGroup(rank, config);
    const result = await train({
      config,
      output,
      init,
      resume: options.resume,
      iterations,
      save,
      signal: stop.signal,
      observer: observerOf(log, rank),
      ...(group && { group }),
    });
    group?.close();
    log?.close();
    if (!isWriter) return;
    // What is wrong with an evaluation shows once more at the end: the lines on the way are far up by now.
    const { problems } = result;
    for (const problem of problems) console.error(problem);
    if (result.weights) console.log(`trained ${result.iteration} iterations: ${result.weights}`);
    else if (!save) console.log(`trained up to iteration ${result.iteration}; nothing was saved`);
    else console.log(`stopped after iteration ${result.iteration}: continue with --resume`);
    if (problems.length > 0)
      throw new RunFailure(
        `${problems.length === 1 ? 'an evaluation was not right' : `${problems.length} things were wrong with evaluations`}, named above: the training itself is done and saved`,
      );
  } catch (error) {
    log?.close();
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}

/** What is told to the log, where this process has one, and to the supervisor, where there is one. */
function observerOf(log: RunLog | undefined, rank: OwnRank | undefined): TrainObserver | undefined {
  if (rank === undefined) return log;
  const { link, place } = rank;
  const tell = (message: string): void => {
    if (link) link.note(`warning: ${message}`);
    else console.error(`rank ${place.rank}: warning: ${message}`);
  };
  return {
    onStart: (start) => log?.onStart(start),
    onStep(step) {
      link?.setIteration(step.iteration);
      log?.onStep(step);
    },
    onEvaluationProgress(done, total, seconds) {
      link?.tick();
      log?.onEvaluationProgress(done, total, seconds);
    },
    onEvaluation: (iteration, measures, seconds) => log?.onEvaluation(iteration, measures, seconds),
    onWarning: (message) => (log ? log.onWarning(message) : tell(message)),
    onCheckpoint(path, iteration) {
      link?.saved(`iteration ${iteration} is saved`);
      log?.onCheckpoint(path, iteration);
    },
  };
}
