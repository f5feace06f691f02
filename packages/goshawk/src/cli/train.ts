// goshawk train: trains a model from a config.
import { existsSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { InputError } from '@goshawk/core';
import { RunFailure } from '../files/run-failure.js';
import { RunLog, train } from '../train/index.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';

export interface TrainCommandOptions {
  readonly set?: readonly string[];
  readonly output?: string;
  readonly init?: string;
  readonly resume?: boolean;
  readonly iterations?: string;
  /** Default true. */
  readonly save?: boolean;
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export async function runTrain(configFile: string, options: TrainCommandOptions): Promise<void> {
  const { config } = openCommandConfig(configFile, options.set, { training: true });
  const output = options.output ?? join('runs', basename(configFile, extname(configFile)));
  const { save = true } = options;
  const iterations =
    options.iterations === undefined
      ? undefined
      : wholeNumber('--iterations', options.iterations, 1, Number.MAX_SAFE_INTEGER);
  if (options.init && !existsSync(options.init))
    throw new InputError('file-not-found', `${options.init}: no such file: check the path`);
  const stop = new AbortController();
  const onSignal = (): void => stop.abort();
  for (const signal of SIGNALS) process.once(signal, onSignal);
  const log = new RunLog(save ? output : undefined);
  try {
    const result = await train({
      config,
      output,
      init: options.init,
      resume: options.resume,
      iterations,
      save,
      signal: stop.signal,
      observer: log,
    });
    log.close();
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
    log.close();
    throw error;
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal);
  }
}
