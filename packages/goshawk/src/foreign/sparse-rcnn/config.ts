// liangheming/sparse_rcnnv1's YAML config as a config of ours.
import { InputError } from '@goshawk/core';
import type { RunConfig } from '../../config/index.js';
import type { ConfigDialect } from '../dialect.js';
import { finishConfig } from '../shared/finish-config.js';
import { keysOf } from '../shared/key-kinds.js';
import { numbersFirst, parseSettingsOption } from '../shared/settings-options.js';
import { translatedProblem } from '../shared/translated-problem.js';
import { keyError, readYamlSettings, withOtherValues } from '../shared/yaml-settings.js';
import { type SparseRcnnSettings, sparseRcnnKeys } from './keys.js';
import { translateModel } from './translate-model.js';
import { translateData, translatePreprocess, translateTrain } from './translate-run.js';

export const sparseRcnnConfigs: ConfigDialect = { recognises: isSparseRcnnConfig, read: readSparseRcnnConfig };

/** Groups of ours are called otherwise, but for `model` and `data`. */
export function isSparseRcnnConfig(_file: string, text: string): boolean {
  return /^optim[ ]*:/m.test(text) && /^(model|data|val)[ ]*:/m.test(text);
}

/**
 * @param options.sets `optim.lr=VALUE` in its names; every other name is one of ours, which applies to the result
 * @throws InputError (config-invalid, usage) one line with the place and the remedy
 */
export function readSparseRcnnConfig(
  text: string,
  { file, sets }: { readonly file: string; readonly sets: readonly string[] },
): { readonly config: RunConfig; readonly notices: readonly string[] } {
  const known = new Set(keysOf(sparseRcnnKeys.tree).map(([path]) => path));
  const isTheirs = (set: string): boolean => known.has(set.split('=', 1)[0]!.trim());
  const settings = readYamlSettings(text, sparseRcnnKeys, {
    file,
    sets: sets.filter(isTheirs).map(parseSettingsOption),
  });
  const value = translate(settings);
  checkTranslation(value, settings);
  const config = finishConfig(
    value,
    sets.filter((set) => !isTheirs(set)),
    file,
  );
  return { config, notices: unusedNotice(settings) };
}

function translate(settings: SparseRcnnSettings): unknown {
  return {
    model: translateModel(settings),
    preprocess: translatePreprocess(settings),
    data: translateData(settings),
    train: translateTrain(settings),
  };
}

/** A value that ours cannot have is one of a key of the file's. */
function checkTranslation(value: unknown, settings: SparseRcnnSettings): void {
  const { tree } = sparseRcnnKeys;
  const problem = translatedProblem(value, numbersFirst(tree, settings), (path) =>
    withOtherValues(tree, settings, path).map((other) => () => translate(other)),
  );
  if (problem === undefined) return;
  const { candidate, message } = problem;
  if (candidate !== undefined) throw keyError(settings, candidate, `as ${message}`);
  throw new InputError('config-invalid', `${settings.file}, translated: ${message}`);
}

/** Keys that are set and that nothing here reads, in one line. */
function unusedNotice(settings: SparseRcnnSettings): string[] {
  const names = keysOf(sparseRcnnKeys.tree).flatMap(([path, { effect }]) =>
    settings.given.has(path) && effect === 'none' ? [path] : [],
  );
  return names.length === 0 ? [] : [`${settings.file}: without effect here: ${names.join(', ')}`];
}
