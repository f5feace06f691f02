// From a folder of photos to a config that trains on them in the time there is: finds, chooses, measures, and says why.
import { existsSync, mkdirSync, rmSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import { InputError } from '@goshawk/core';
import { cudaFacts, multiplies } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { applySetOption, parseSetOption } from '../config/set-option.js';
import type { AnnotationSource } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { isBelow } from '../files/common-folder.js';
import { MADE_HEADING } from '../files/made-folder.js';
import { removeAtExit } from '../files/tidy-end.js';
import { counted } from '../terminal/counted.js';
import { dataFacts } from './data-facts.js';
import { findAnnotations } from './find-annotations.js';
import { measureSteps } from './measure-steps.js';
import { prepareSplits, readTraining } from './prepare-splits.js';
import {
  type Chosen,
  canLookAtAll,
  chooseCopySize,
  chooseFreezing,
  chooseLength,
  chooseLevels,
  chooseModel,
  chooseOptimization,
  choosePictureSize,
  chooseSize,
  chooseVariation,
  chooseWeights,
  FEWEST_ITERATIONS,
  fitPictureSize,
  type Machine,
  minutesWords,
  type Wishes,
} from './rules.js';
import { startOfWeights } from './start-of-weights.js';
import type { PictureWays } from './usable-pictures.js';
import { type StarterChoices, starterText } from './write-starter.js';

export interface StarterOptions {
  /** Folder of photos with annotations, or an annotation file. */
  readonly data: string;
  /** Folder of the pictures, where it is not to be found. */
  readonly images?: string;
  /** The config to write. */
  readonly config: string;
  /** Folder for annotation files of parts and small copies of photos; made where it is needed. */
  readonly folder: string;
  readonly wishes: Wishes;
  /** Weights to start from. */
  readonly init?: string;
  /** `--set` options; the config holds what they say. */
  readonly sets?: readonly string[];
  /** Whether what this takes counts to the minutes. */
  readonly isTimed: boolean;
  /** Is told each choice and its reason, in a line. */
  readonly say: (line: string) => void;
}

/** Seconds of a training of which no step is: reading, the model, the last weights. */
const AROUND = 8;

/**
 * What is not finished leaves no folder of parts behind.
 * @throws InputError where there is nothing to learn from, or nothing to begin with
 */
export async function makeStarter(options: StarterOptions): Promise<void> {
  const { folder } = options;
  const isNew = !existsSync(folder);
  const forget = isNew ? removeAtExit(folder) : undefined;
  try {
    await writeStarter(options);
  } catch (error) {
    if (isNew) rmSync(folder, { recursive: true, force: true });
    throw error;
  } finally {
    forget?.();
  }
}

/** @throws InputError where a set lies in the folder that parts and copies are written into */
function refuseToReplace(source: AnnotationSource | undefined, { folder }: StarterOptions): void {
  const own = source && [source.annotations, ...(source.images === undefined ? [] : [source.images])];
  if (own?.some((path) => isIn(folder, path)))
    throw new InputError(
      'usage',
      `${folder}: holds the data itself, and parts of it would be written there: choose another --output`,
    );
}

async function writeStarter(options: StarterOptions): Promise<void> {
  const started = performance.now();
  const { data, images, wishes, init, sets, say } = options;
  const found = findAnnotations(data, images);
  for (const source of [found.train, found.val, found.test]) refuseToReplace(source, options);
  const training = readTraining(found.train);
  const facts = dataFacts(training.dataset);
  const { classes } = facts;
  const named = classes.length > 6 ? `${classes.slice(0, 5).join(', ')}, ...` : classes.join(', ');
  const isBeside = statSync(data).isDirectory() && !isIn(data, training.images);
  const words = `${counted(facts.objects, 'object')} of ${counted(classes.length, 'class', 'classes')} (${named})`;
  say(`data: ${found.words}, ${words}${isBeside ? `, pictures in ${training.images}` : ''}`);
  for (const warning of found.warnings ?? []) say(`warning: ${warning}`);
  if (facts.rarest.objects < FEW_OBJECTS)
    say(
      `notice: ${facts.rarest.name} has ${counted(facts.rarest.objects, 'object')}: from a few dozen on a class is learned`,
    );

  const known = startOfWeights(init);
  const { start } = known;
  const machine = machineAtHand();
  const tell = <Value>(what: string, choice: Chosen<Value>, shown = String(choice.value)): Chosen<Value> => {
    say(`${what}: ${shown} - ${choice.why}`);
    return choice;
  };
  const model = tell('model', chooseModel(facts, wishes, start));
  const size = tell('network', chooseSize(wishes, machine, start));
  const ownWeights = chooseWeights(size.value, known.isRandom === true || asksBackbone(sets));
  const areNamed = known.backbone !== undefined || start.kind !== 'random';
  const weights = areNamed ? undefined : tell('weights', ownWeights, ownWeights.value ?? 'random');
  const wanted = known.preprocess
    ? { value: known.preprocess.resize.maxSize, why: "that of the weights' own training" }
    : choosePictureSize(facts, size.value);
  const prepared = await prepareSplits({
    found,
    training,
    folder: options.folder,
    copies: chooseCopySize(facts, wanted.value, wishes),
    looks: canLookAtAll(facts.pictures, wishes),
    ways: waysOf(sets),
    say,
  });
  const { pictures } = prepared;
  const available = (): number =>
    Math.max(1, wishes.minutes * 60 - (options.isTimed ? (performance.now() - started) / 1000 : 0) - AROUND);
  const levelsAt = (picture: number) => chooseLevels(facts, picture, model.value, start);
  let choices: StarterChoices = {
    facts: { ...facts, pictures: pictures.train },
    splits: prepared.splits,
    model,
    size,
    freezing: chooseFreezing(start),
    pictureSize: wanted,
    levels: levelsAt(wanted.value),
    optimization: chooseOptimization(start, size.value, machine, facts),
    precision: { value: 'fp32', why: '' },
    length: { value: { iterations: 1000, warmupIterations: 1, evaluateEvery: 0 }, why: '' },
    minutes: { value: wishes.minutes, why: '' },
    workers: machine.device === 'cuda' ? 4 : 1,
    device: machine.device,
    ...(weights?.value !== undefined && { weights: { value: weights.value, why: weights.why } }),
    ...(known.backbone && { knownBackbone: known.backbone }),
    ...(known.model && { knownModel: known.model, knownPreprocess: known.preprocess }),
    ...(sets && { sets }),
  };
  const measure = (precision: 'fp32' | 'bf16', enough?: number) =>
    measureSteps(starterText({ ...choices, precision: { value: precision, why: '' } }, ''), {
      ...(sets && { sets }),
      ...(enough !== undefined && { enough }),
    });

  const exact = await measure('fp32');
  // Without instructions for it bf16 can only be slower.
  const canGain = machine.device !== 'cpu' || multiplies('bfloat16');
  const short = canGain ? await measure('bf16', 2 * exact.seconds) : undefined;
  // By the clock alone it would be chance on a machine that has other things to do.
  const isShort =
    short !== undefined &&
    short.seconds < FASTER * exact.seconds &&
    (machine.device !== 'cpu' || short.busy < FASTER * exact.busy);
  const shown = short && `${short.seconds.toPrecision(2)} s a step instead of ${exact.seconds.toPrecision(2)}`;
  const precision: StarterChoices['precision'] = isShort
    ? { value: 'bf16', why: `${shown} here` }
    : {
        value: 'fp32',
        why: shown ? `bf16 gains too little here (${shown})` : 'this processor has no instructions for bfloat16',
      };
  tell('precision', precision);
  let perPicture = (isShort ? short.seconds : exact.seconds) / exact.pictures;
  const fitted = fitPictureSize(wanted.value, choices.facts, start, { seconds: perPicture, available: available() });
  perPicture *= (fitted.value / wanted.value) ** 2;
  const pictureSize = tell('pictures', {
    value: fitted.value,
    why: fitted.value === wanted.value ? `${wanted.why}; ${fitted.why}` : fitted.why,
  });
  const levels = levelsAt(pictureSize.value);
  tell('levels', levels, `strides ${levels.value.strides.join(', ')}`);
  const { batchSize } = choices.optimization.value;
  const optimization = tell(
    'learning rate',
    choices.optimization,
    `${choices.optimization.value.lr} with ${choices.optimization.value.type}, ${batchSize} pictures a step`,
  );
  tell('frozen', choices.freezing, `${choices.freezing.value.frozenStages} stages`);
  const left = available();
  const length = chooseLength(choices.facts, batchSize, {
    step: perPicture * batchSize,
    evaluation: 1 + EVALUATION_SHARE * perPicture * pictures.val,
    available: left,
  });
  const minutes = {
    value: options.isTimed ? Math.max(0.1, Math.floor(left / 6) / 10) : wishes.minutes,
    why: options.isTimed ? `of ${wishes.minutes}, less what looking at the data and measuring took` : 'as asked for',
  };
  const step = perPicture * batchSize;
  const fitting = Math.max(1, Math.floor(left / step));
  tell(
    'length',
    length,
    `${minutesWords(minutes.value)}, about ${counted(Math.min(length.value.iterations, fitting), 'step')}`,
  );
  const isKnown = choices.knownModel !== undefined;
  if (!isKnown) tell('augmentation', chooseVariation(choices.facts, length.value.iterations * batchSize));
  if (fitting < FEWEST_ITERATIONS)
    say(
      `notice: in ${minutesWords(minutes.value)} nothing is learned from ${counted(fitting, 'step')}: give at least --minutes ${Math.ceil(wishes.minutes + (FEWEST_ITERATIONS * step - left) / 60)}`,
    );
  choices = { ...choices, precision, pictureSize, levels, optimization, length, minutes };
  const heading = `${MADE_HEADING} from ${data}: what was chosen and why (docs/choices.md has the rules).`;
  const text = starterText(choices, heading);
  parseConfig(text, { file: options.config, ...(sets && { sets }) });
  mkdirSync(dirname(options.config), { recursive: true });
  writeFileAtomic(options.config, text);
}

/** How `--set` wants pictures to be opened; whether its words are right is seen where the config is read. */
function waysOf(sets: readonly string[] = []): PictureWays {
  const value = sets.map(parseSetOption).reduce(applySetOption, {} as unknown);
  const { data } = value as { readonly data?: { readonly exifOrientation?: unknown; readonly followLinks?: unknown } };
  return {
    exifOrientation: data?.exifOrientation === 'ignore' ? 'ignore' : 'apply',
    followLinks: data?.followLinks === true,
  };
}

/** Whether `--set` wants another backbone than the chosen one, which the package's weights may not fit. */
function asksBackbone(sets: readonly string[] = []): boolean {
  return sets.map(parseSetOption).some(({ path }) => path[0] === 'model' && (path[1] ?? 'backbone') === 'backbone');
}

/** What bf16 has to gain: its weights are rounded. */
const FASTER = 0.9;
/** Of the time of a training step what a picture takes in an evaluation, decoding the photo included. */
const EVALUATION_SHARE = 0.7;
const FEW_OBJECTS = 20;

function isIn(folder: string, path: string): boolean {
  return resolve(path) === resolve(folder) || isBelow(resolve(folder), resolve(path));
}

function machineAtHand(): Machine {
  const hasCard = (cudaFacts()?.devices.length ?? 0) > 0;
  return { processors: availableParallelism(), device: hasCard ? 'cuda' : 'cpu' };
}
