// Detectron's YAML configs (Detectron.pytorch's and Detectron's own) as configs of ours. The seven steps that
// Detectron.pytorch's document asks for, to make its files out of Detectron's, are done on the way.
import { InputError } from '@goshawk/core';
import { type RunConfig, runConfigSchema, validateConfig } from '../../config/index.js';
import { applySetOption, parseSetOption } from '../../config/set-option.js';
import type { ConfigDialect } from '../dialect.js';
import { keysOf } from './key-kinds.js';
import {
  type DetectronSet,
  type DetectronSettings,
  detectronKeys,
  keyError,
  readDetectronSettings,
  show,
} from './settings.js';
import { translateModel } from './translate-model.js';
import {
  readsProposals,
  translateData,
  translateInference,
  translatePreprocess,
  translateTrain,
} from './translate-run.js';

export const detectronDialect: ConfigDialect = {
  name: 'Detectron',
  recognises: isDetectronConfig,
  read: readDetectronConfig,
};

const groups = new RegExp(`^(${Object.keys(detectronKeys).join('|')})[ ]*:`, 'm');

// maskrcnn-benchmark's keys are in capitals too; these Detectron has not.
const othersKeys = /^(INPUT|DATASETS|DATALOADER|PATHS_CATALOG|VERSION)[ ]*:|^\s+META_ARCHITECTURE[ ]*:/m;

export function isDetectronConfig(_file: string, text: string): boolean {
  return groups.test(text) && !othersKeys.test(text);
}

/**
 * @param options.sets `SECTION.KEY=VALUE` in Detectron's names, and `data.train.limit=8` in ours, which apply to the result
 * @throws InputError (config-invalid, usage) one line with the place and the remedy
 */
export function readDetectronConfig(
  text: string,
  options: { readonly file: string; readonly sets: readonly string[] },
): { readonly config: RunConfig; readonly notices: readonly string[] } {
  const { file } = options;
  const own = options.sets.filter((set) => !isDetectronSet(set));
  const settings = readDetectronSettings(text, {
    file,
    sets: options.sets.filter(isDetectronSet).map(parseDetectronSet),
  });
  checkFixed(settings);
  const notices: string[] = [];
  let value: unknown = {
    model: translateModel(settings, notices),
    preprocess: translatePreprocess(settings),
    data: translateData(settings, notices),
    train: translateTrain(settings),
    inference: translateInference(settings),
  };
  // The translation is checked first: a mistake in the file is not one of a --set.
  checkTranslation(value, file);
  for (const set of own) value = applySetOption(value, parseSetOption(set));
  const config = validateConfig(value, own.length > 0 ? `--set ${own.join(' --set ')}` : file);
  return { config, notices: [...notices, ...unusedNotice(settings)] };
}

/** Detectron's names are in capitals; ours begin with a small letter. */
function isDetectronSet(set: string): boolean {
  return /^[A-Z]/.test(set);
}

function parseDetectronSet(set: string): DetectronSet {
  const equals = set.indexOf('=');
  if (equals < 0) {
    throw new InputError('usage', `--set ${set}: has no value: write --set ${set} VALUE or --set ${set}=VALUE`);
  }
  return { path: set.slice(0, equals).trim().split('.'), text: set.slice(equals + 1) };
}

/** Keys of which one value alone is supported. */
function checkFixed(settings: DetectronSettings): void {
  for (const [path, key] of keysOf(detectronKeys, '')) {
    if (key.effect !== 'fixed' || !settings.given.has(path)) continue;
    const value = valueAt(settings.values, path);
    if (key.kind === 'float' ? Math.abs(Number(value) - Number(key.standard)) < 1e-6 : value === key.standard) continue;
    const message = `${show(value)} is not supported, only ${show(key.standard)} (${key.reason}): remove it`;
    throw keyError(settings, path, message);
  }
}

function checkTranslation(value: unknown, file: string): void {
  if (!runConfigSchema.safeParse(value).success) validateConfig(value, `${file}, translated`);
}

/** Keys that are set and that nothing here reads, in one line. */
function unusedNotice(settings: DetectronSettings): string[] {
  const names = keysOf(detectronKeys, '').flatMap(([path, { effect }]) => {
    if (!settings.given.has(path)) return [];
    return effect === 'none' || isOfOtherModel(path, settings) || isOtherInit(path, settings) ? [path] : [];
  });
  return names.length === 0 ? [] : [`${settings.file}: without effect here: ${names.join(', ')}`];
}

function isOfOtherModel(path: string, settings: DetectronSettings): boolean {
  const { MODEL } = settings.values;
  if (path === 'TRAIN.CROWD_FILTER_THRESH' || path === 'TEST.PROPOSAL_LIMIT') return !readsProposals(settings);
  return (path.startsWith('MRCNN.') && !MODEL.MASK_ON) || (path.startsWith('KRCNN.') && !MODEL.KEYPOINTS_ON);
}

/** Convolutions of the heads start as MSRAFill says. */
function isOtherInit(path: string, { values }: DetectronSettings): boolean {
  return path.endsWith('.CONV_INIT') && valueAt(values, path) !== 'MSRAFill';
}

function valueAt(values: unknown, path: string): unknown {
  let here = values;
  for (const part of path.split('.')) here = (here as Readonly<Record<string, unknown>>)[part];
  return here;
}
