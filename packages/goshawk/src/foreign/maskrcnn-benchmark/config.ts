// maskrcnn-benchmark's YAML configs (its own and those of Res2Net-maskrcnn) as configs of ours.
import { InputError } from '@goshawk/core';
import type { RunConfig } from '../../config/index.js';
import type { ConfigDialect } from '../dialect.js';
import { finishConfig } from '../shared/finish-config.js';
import { keysOf } from '../shared/key-kinds.js';
import { isSettingsOption, numbersFirst, parseSettingsOption } from '../shared/settings-options.js';
import { translatedProblem } from '../shared/translated-problem.js';
import { checkFixed, keyError, readYamlSettings, withOtherValues } from '../shared/yaml-settings.js';
import { type MaskrcnnSettings, maskrcnnKeys } from './keys.js';
import { type PathsCatalog, readPathsCatalog } from './paths-catalog.js';
import { translateModel } from './translate-model.js';
import {
  translateData,
  translateInference,
  translatePreprocess,
  translateRuntime,
  translateTrain,
} from './translate-run.js';

export const maskrcnnConfigs: ConfigDialect = {
  recognises: isMaskrcnnConfig,
  read: readMaskrcnnConfig,
};

const groups = new RegExp(`^(${Object.keys(maskrcnnKeys.tree).join('|')})[ ]*:`, 'm');

// Detectron has none of these; TEST, SOLVER and MODEL are in its files too.
const ownKeys =
  /^(INPUT|DATASETS|DATALOADER|PATHS_CATALOG|DTYPE|OUTPUT_DIR)[ ]*:|^[ \t]+(META_ARCHITECTURE|BACKBONE|ROI_HEADS|ROI_BOX_HEAD|IMS_PER_BATCH|WEIGHT)[ ]*:/m;

// Detectron2's files look the same and name other parts.
const detectron2Keys = /^(VERSION|_BASE_)[ ]*:|^[ \t]+(WEIGHTS|MASK_FORMAT|PROPOSAL_GENERATOR)[ ]*:/m;

const detectronKeys =
  /^[ \t]+(CONV_BODY[ ]*:[ ]*['"]?[A-Za-z]+\.|FASTER_RCNN[ ]*:)|^(FAST_RCNN|MRCNN|KRCNN|NUM_GPUS|TRAIN)[ ]*:/m;

export function isMaskrcnnConfig(_file: string, text: string): boolean {
  return groups.test(text) && ownKeys.test(text) && !detectron2Keys.test(text) && !detectronKeys.test(text);
}

/**
 * @param options.sets `SECTION.KEY=VALUE` in maskrcnn-benchmark's names, and `data.train.limit=8` in ours, which apply to the
 *   result
 * @throws InputError (config-invalid, usage) one line with the place and the remedy
 */
export function readMaskrcnnConfig(
  text: string,
  options: { readonly file: string; readonly sets: readonly string[] },
): { readonly config: RunConfig; readonly notices: readonly string[] } {
  const { file } = options;
  const own = options.sets.filter((set) => !isSettingsOption(set));
  const settings = readYamlSettings(text, maskrcnnKeys, {
    file,
    sets: options.sets.filter(isSettingsOption).map(parseSettingsOption),
  });
  checkFixed(maskrcnnKeys.tree, settings);
  const catalog = readPathsCatalog(settings.values.PATHS_CATALOG);
  const notices: string[] = [];
  const value = translate(settings, catalog, notices);
  checkTranslation(value, settings, catalog);
  const config = finishConfig(value, own, file);
  return { config, notices: [...notices, ...unusedNotice(settings)] };
}

function translate(settings: MaskrcnnSettings, catalog: PathsCatalog, notices: string[]): unknown {
  return {
    model: translateModel(settings, catalog, notices),
    preprocess: translatePreprocess(settings),
    data: translateData(settings, catalog, notices),
    train: translateTrain(settings),
    inference: translateInference(settings),
    runtime: translateRuntime(settings),
  };
}

/** A value that ours cannot have is one of a key of the file's. */
function checkTranslation(value: unknown, settings: MaskrcnnSettings, catalog: PathsCatalog): void {
  const { tree } = maskrcnnKeys;
  const problem = translatedProblem(value, numbersFirst(tree, settings), (path) =>
    withOtherValues(tree, settings, path).map((other) => () => translate(other, catalog, [])),
  );
  if (problem === undefined) return;
  const { candidate, message } = problem;
  if (candidate !== undefined) throw keyError(settings, candidate, `as ${message}`);
  throw new InputError('config-invalid', `${settings.file}, translated: ${message}`);
}

/** Keys that are set and that nothing here reads, in one line. */
function unusedNotice(settings: MaskrcnnSettings): string[] {
  const names = keysOf(maskrcnnKeys.tree).flatMap(([path, { effect }]) =>
    settings.given.has(path) && (effect === 'none' || isOfOtherModel(path, settings)) ? [path] : [],
  );
  return names.length === 0 ? [] : [`${settings.file}: without effect here: ${names.join(', ')}`];
}

/** Its own configs give keys of heads that their models do not have. */
function isOfOtherModel(path: string, { values: { MODEL } }: MaskrcnnSettings): boolean {
  const isIn = (...names: string[]): boolean => names.some((name) => path.startsWith(`MODEL.${name}.`));
  const hasBoxes = !MODEL.RPN_ONLY && !MODEL.RETINANET_ON;
  return (
    (isIn('ROI_BOX_HEAD', 'ROI_HEADS') && !hasBoxes) ||
    (isIn('ROI_MASK_HEAD') && !(hasBoxes && MODEL.MASK_ON)) ||
    (isIn('ROI_KEYPOINT_HEAD') && !(hasBoxes && MODEL.KEYPOINT_ON)) ||
    (isIn('RPN') && MODEL.RETINANET_ON) ||
    (isIn('RETINANET') && !MODEL.RETINANET_ON)
  );
}
