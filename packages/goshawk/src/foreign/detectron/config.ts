// Detectron's YAML configs (Detectron.pytorch's and Detectron's own) as configs of ours. The seven steps that
// Detectron.pytorch's document asks for, to make its files out of Detectron's, are done on the way.
import { InputError } from '@goshawk/core';
import type { RunConfig } from '../../config/index.js';
import type { ConfigDialect } from '../dialect.js';
import { finishConfig } from '../shared/finish-config.js';
import { keysOf, valueAt } from '../shared/key-kinds.js';
import { isSettingsOption, numbersFirst, parseSettingsOption } from '../shared/settings-options.js';
import { translatedProblem } from '../shared/translated-problem.js';
import { checkFixed, keyError, readYamlSettings, withOtherValues } from '../shared/yaml-settings.js';
import { type DetectronSettings, detectronKeys } from './keys.js';
import { translateModel } from './translate-model.js';
import {
  readsProposals,
  translateData,
  translateInference,
  translatePreprocess,
  translateTrain,
} from './translate-run.js';

export const detectronConfigs: ConfigDialect = {
  recognises: isDetectronConfig,
  read: readDetectronConfig,
};

const groups = new RegExp(`^(${Object.keys(detectronKeys.tree).join('|')})[ ]*:`, 'm');

// Detectron2's and maskrcnn-benchmark's keys are in capitals too; these Detectron has not.
const othersKeys = /^(INPUT|DATASETS|DATALOADER|PATHS_CATALOG|VERSION)[ ]*:|^\s+(META_ARCHITECTURE|BACKBONE)[ ]*:/m;

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
  const own = options.sets.filter((set) => !isSettingsOption(set));
  const settings = readYamlSettings(text, detectronKeys, {
    file,
    sets: options.sets.filter(isSettingsOption).map(parseSettingsOption),
  });
  checkFixed(detectronKeys.tree, settings);
  const notices: string[] = [];
  const value = translate(settings, notices);
  checkTranslation(value, settings);
  const config = finishConfig(value, own, file);
  return { config, notices: [...notices, ...unusedNotice(settings)] };
}

function translate(settings: DetectronSettings, notices: string[]): unknown {
  return {
    model: translateModel(settings, notices),
    preprocess: translatePreprocess(settings),
    data: translateData(settings, notices),
    train: translateTrain(settings),
    inference: translateInference(settings),
  };
}

/** A value that ours cannot have is one of a key of the file's. */
function checkTranslation(value: unknown, settings: DetectronSettings): void {
  const problem = translatedProblem(value, numbersFirst(detectronKeys.tree, settings), (path) =>
    withOtherValues(detectronKeys.tree, settings, path).map((other) => () => translate(other, [])),
  );
  if (problem === undefined) return;
  const { candidate, message } = problem;
  if (candidate !== undefined) throw keyError(settings, candidate, `as ${message}`);
  throw new InputError('config-invalid', `${settings.file}, translated: ${message}`);
}

/** Keys that are set and that nothing here reads, in one line. */
function unusedNotice(settings: DetectronSettings): string[] {
  const names = keysOf(detectronKeys.tree).flatMap(([path, { effect }]) => {
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
