// goshawk serve: detections over HTTP, until a signal ends it.
import { existsSync } from 'node:fs';
import { basename } from 'node:path';
import { InputError } from '@goshawk/core';
import { isOnnxFile } from '@goshawk/torch/checkpoint';
import { parseConfig } from '../config/index.js';
import { missingRemedy } from '../files/read-file.js';
import { RunFailure } from '../files/run-failure.js';
import { readDescription } from '../infer/index.js';
import { findWeights } from '../infer/weights-cache.js';
import { detectorKind } from '../models/index.js';
import {
  type DetectDefaults,
  defaultLimits,
  isThisMachine,
  type ModelSource,
  type RunningServer,
  type ServedModel,
  type ServeLimits,
  startServer,
} from '../serve/index.js';
import { openCommandConfig } from './open-command-config.js';
import { wholeNumber } from './parse-option.js';
import { type ScoreThresholdRule, scoreThresholdRule } from './score-threshold.js';

export interface ServeCommandOptions {
  readonly config?: string;
  readonly set?: readonly string[];
  readonly host?: string;
  readonly port?: string;
  readonly token?: string;
  readonly scoreThreshold?: string;
  readonly maxDetections?: string;
  readonly keypointThreshold?: string;
  readonly threads?: string;
  readonly maxBytes?: string;
  readonly maxPixels?: string;
  readonly maxPictures?: string;
  readonly queue?: string;
  readonly deadline?: string;
  readonly arrival?: string;
  readonly drain?: string;
  readonly json?: boolean;
}

export const TOKEN_VARIABLE = 'GOSHAWK_TOKEN';
const DEFAULT_PORT = 8080;
const MOST_THREADS = 1024;

/** @param version of goshawk */
export async function runServe(model: string, options: ServeCommandOptions, version: string): Promise<void> {
  const host = options.host ?? '127.0.0.1';
  const port = options.port === undefined ? DEFAULT_PORT : wholeNumber('--port', options.port, 0, 65535);
  const token = tokenFor(host, options);
  const limits = limitsOf(options);
  const maxDetections =
    options.maxDetections === undefined ? 100 : wholeNumber('--max-detections', options.maxDetections, 1, 10000);
  const keypointThreshold = secondsOrLogit('--keypoint-threshold', options.keypointThreshold, 2, -1000, 1000);
  const drainSeconds = secondsOrLogit('--drain', options.drain, limits.deadline + 5, 0, 3600);
  const { source, thresholdRule } = sourceOf(model, options);
  const server = await startServer({
    ...{ name: basename(model), version, source, host, port, token, limits, keypointThreshold },
    defaultsFor: ({ categories }): DetectDefaults => {
      const { of } = thresholdRule(categories);
      return { thresholds: new Map(categories.map(({ id }) => [id, of(id)])), maxDetections };
    },
  });
  const ended = untilSignal();
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${server.port}`;
  console.error(`goshawk serve: listening on ${url}, opening ${model}`);
  try {
    const opened = await Promise.race([server.ready, ended, server.failed]);
    if (typeof opened !== 'string') {
      tellReady(url, opened, options);
      await Promise.race([ended, server.failed]);
    }
  } catch (error) {
    // Threads end here, one by one: the end of the process would stop them in the middle of a call.
    await server.drain(0);
    throw error;
  }
  await drained(server, drainSeconds);
}

/** @throws InputError where others than this machine are to be answered, and anybody would be */
function tokenFor(host: string, { token = process.env[TOKEN_VARIABLE] }: ServeCommandOptions): string | undefined {
  if (token !== undefined && !/^[\x21-\x7e]+$/.test(token))
    throw new InputError(
      'usage',
      '--token: is empty or has signs that a header cannot have (expected letters, digits and signs of ASCII without spaces): choose another, such as what openssl rand -hex 32 prints',
    );
  if (token === undefined && !isThisMachine(host))
    throw new InputError(
      'usage',
      `--host ${host}: others than this machine could ask for detections: give a token in ${TOKEN_VARIABLE} or with --token, which requests must bring`,
    );
  return token;
}

function limitsOf(options: ServeCommandOptions): ServeLimits {
  const whole = (name: keyof ServeCommandOptions & keyof ServeLimits, flag: string, most: number): number => {
    const text = options[name];
    return text === undefined ? defaultLimits[name] : wholeNumber(flag, text, 1, most);
  };
  const limits = {
    maxBytes: whole('maxBytes', '--max-bytes', 1e9),
    maxPixels: whole('maxPixels', '--max-pixels', 1e9),
    maxPictures: whole('maxPictures', '--max-pictures', 1000),
    queue: whole('queue', '--queue', 100_000),
    deadline: secondsOrLogit('--deadline', options.deadline, defaultLimits.deadline, 1e-3, 86400),
    arrival: secondsOrLogit('--arrival', options.arrival, defaultLimits.arrival, 0.1, 86400),
  };
  if (limits.maxPictures <= limits.queue) return limits;
  if (options.maxPictures === undefined) return { ...limits, maxPictures: limits.queue };
  throw new InputError(
    'usage',
    `--max-pictures ${limits.maxPictures}: has no room in the queue of ${limits.queue}: lower it, or raise --queue`,
  );
}

function secondsOrLogit(
  flag: string,
  text: string | undefined,
  otherwise: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return otherwise;
  const value = Number(text);
  if (text.trim() !== '' && value >= least && value <= most) return value;
  throw new InputError('usage', `${flag} ${text}: expected a number from ${least} to ${most}: correct it`);
}

interface ServedSource {
  readonly source: ModelSource;
  readonly thresholdRule: ScoreThresholdRule;
}

function sourceOf(model: string, options: ServeCommandOptions): ServedSource {
  const threads =
    options.threads === undefined ? undefined : wholeNumber('--threads', options.threads, 1, MOST_THREADS);
  if (isOnnxFile(model)) {
    if (!existsSync(model)) throw new InputError('file-not-found', `${model}: no such file: ${missingRemedy(model)}`);
    const given = (['config', 'set'] as const).find((name) => options[name] !== undefined);
    if (given !== undefined)
      throw new InputError('usage', `--${given}: an exported detector brings its config: leave it out`);
    return {
      source: { kind: 'onnx', file: model, ...(threads !== undefined && { threads }) },
      thresholdRule: scoreThresholdRule(options.scoreThreshold, model),
    };
  }
  const weights = findWeights(model, 'weights');
  const own = readDescription(weights);
  if (!own && options.config === undefined)
    throw new InputError('usage', `${model}: does not say which config it was trained with: name it with --config`);
  const sets = [...(options.set ?? []), ...(threads === undefined ? [] : [`runtime.threads=${threads}`])];
  const config =
    options.config === undefined
      ? parseConfig(JSON.stringify(own!.config), { file: weights, sets })
      : openCommandConfig(options.config, sets).config;
  if (detectorKind(config.model).readsProposals)
    throw new InputError(
      'config-invalid',
      `${model}: model.proposals is stored, and pictures come without: serve a model with an rpn`,
    );
  return {
    source: { kind: 'engine', weights, config, ...(own && { categories: own.categories }) },
    thresholdRule: scoreThresholdRule(options.scoreThreshold, weights),
  };
}

const SIGNALS = { SIGHUP: 1, SIGINT: 2, SIGTERM: 15 } as const;

/** A second signal ends the process at once. */
function untilSignal(): Promise<string> {
  return new Promise((done) => {
    let isAsked = false;
    for (const signal of Object.keys(SIGNALS) as (keyof typeof SIGNALS)[])
      process.on(signal, () => {
        if (isAsked) endAtOnce(signal);
        isAsked = true;
        done(signal);
      });
  });
}

/**
 * Ends as a program that does not listen to the signal. `process.exit` first stops the threads, and ONNX Runtime's binding aborts the
 * process where its thread is stopped inside a call.
 */
function endAtOnce(signal: keyof typeof SIGNALS): void {
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
  // The first process of a container is spared its own signals.
  process.exit(128 + SIGNALS[signal]);
}

function tellReady(url: string, { name, facts, defaults }: ServedModel, { json }: ServeCommandOptions): void {
  const { type, runtime, categories } = facts;
  if (json) {
    const shown = { url, name, type, runtime, categories: categories.length, max_detections: defaults.maxDetections };
    console.log(JSON.stringify(shown));
  } else console.log(`ready: ${url}  ${name}: ${type}, ${categories.length} categories, on ${runtime}`);
}

async function drained(server: RunningServer, seconds: number): Promise<void> {
  console.error('goshawk serve: ending, no more connections are taken');
  const cut = await server.drain(seconds);
  if (cut > 0) throw new RunFailure(`${cut} requests were cut off after ${seconds} s: raise --drain`);
}
