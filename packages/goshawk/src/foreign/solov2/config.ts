// pytorch_solov2's data/config.py as a config of ours. Nothing is run.
import { InputError } from '@goshawk/core';
import type { RunConfig } from '../../config/index.js';
import type { ConfigDialect } from '../dialect.js';
import { finishConfig } from '../shared/finish-config.js';
import { partsOfPython } from '../shared/python-code.js';
import { type PythonEntry, readPythonData } from '../shared/python-data.js';
import { checkTranslation } from '../shared/python-problem.js';
import { type ReadingNotes, Section } from '../shared/python-section.js';
import { applyPythonSet, isOwnSet, parsePythonSet } from '../shared/python-set.js';
import { translateConfig } from './translate-config.js';

export const solov2Configs: ConfigDialect = {
  recognises: (_, text) => /^cfg\s*=\s*\w+\.copy\(/m.test(text) && /^class\s+Config\b/m.test(text),
  read: readSolov2Config,
};

/** The name by which its programs know the config. */
const CONFIG = 'cfg';

/**
 * @param options.sets `optimizer.lr=0.02` in the names of `cfg`, which apply first, and `train.seed=1` in ours
 * @throws InputError (config-invalid, usage) one line with the place and the remedy
 */
export function readSolov2Config(
  text: string,
  { file, sets }: { readonly file: string; readonly sets: readonly string[] },
): { readonly config: RunConfig; readonly notices: readonly string[] } {
  const entries = activeConfig(text, file);
  const isOurs = (set: string): boolean => isOwnSet(set, entries);
  for (const set of sets.filter((own) => !isOurs(own)).map(parsePythonSet)) {
    const [key = '', ...rest] = set.path;
    // The names of cfg are keys of a dict, to which the file's own names have no part.
    if (rest.length === 0) entries.set(key, { line: 0, value: set.value });
    else applyPythonSet(entries, set);
  }
  const translate = (notes: ReadingNotes): unknown => translateConfig(new Section(entries, { file, notes }));
  const notes: ReadingNotes = { idle: new Set(), notices: new Set() };
  const value = translate(notes);
  checkTranslation(value, entries, translate, file);
  const config = finishConfig(value, sets.filter(isOurs), file);
  const idle = notes.idle.size === 0 ? [] : [`${file}: without effect here: ${[...notes.idle].join(', ')}`];
  return { config, notices: [...notes.notices, ...idle] };
}

function activeConfig(text: string, file: string): Map<string, PythonEntry> {
  const { data, imported } = partsOfPython(text);
  const entries = readPythonData(data, file, new Map(), { objects: 'Config', known: imported });
  const content = entries.get(CONFIG)?.value.content;
  if (content?.kind === 'dict') return content.entries;
  throw new InputError('config-invalid', `${file}: ${CONFIG} is no config: write cfg = NAME.copy()`);
}
