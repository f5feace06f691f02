// mmdetection 1.x config files that are plain data, SpineNet-Pytorch's among them, as configs of ours. Nothing is run.
import type { RunConfig } from '../../config/index.js';
import type { ConfigDialect } from '../dialect.js';
import { finishConfig } from '../shared/finish-config.js';
import { type PythonEntry, readPythonData } from '../shared/python-data.js';
import { checkTranslation } from '../shared/python-problem.js';
import { type ReadingNotes, Section } from '../shared/python-section.js';
import { applyPythonSet, findValue, isOwnSet, parsePythonSet } from '../shared/python-set.js';
import { translateModel } from './translate-model.js';
import { translateRun } from './translate-run.js';

export const mmdetectionConfigs: ConfigDialect = {
  recognises: (file, text) => file.endsWith('.py') || /^model\s*=\s*(dict\s*\(|\{)/m.test(text),
  read: readMmdetectionConfig,
};

// What mmdetection's tools read of a config besides the model and the data.
const IDLE_KEYS = [
  'cudnn_benchmark',
  'evaluation',
  'checkpoint_config',
  'dist_params',
  'log_level',
  'work_dir',
  'load_from',
  'resume_from',
  'find_unused_parameters',
] as const;

// Names that mmdetection's configs give to parts, which count where they are used, and what they do in turns.
const PART_NAMES = [
  'dataset_type',
  'data_root',
  'img_norm_cfg',
  'norm_cfg',
  'train_pipeline',
  'test_pipeline',
  'workflow',
];

/**
 * @param options.sets `optimizer.lr=0.02` in mmdetection's names, which apply first, and `train.seed=1` in ours
 * @throws InputError (config-invalid, usage) one line with the place and the remedy
 */
export function readMmdetectionConfig(
  text: string,
  options: { readonly file: string; readonly sets: readonly string[] },
): { readonly config: RunConfig; readonly notices: readonly string[] } {
  const { file } = options;
  const whole = readPythonData(text, file);
  const isOurs = (set: string): boolean => isOwnSet(set, whole);
  const theirs = options.sets.filter((set) => !isOurs(set)).map(parsePythonSet);
  const names = new Map(theirs.filter(({ path }) => path.length === 1).map(({ path, value }) => [path[0]!, value]));
  // What is made of a name, such as a path of data_root, follows it.
  const entries = names.size === 0 ? whole : readPythonData(text, file, names);
  for (const set of theirs) applyPythonSet(entries, set);
  const notes: ReadingNotes = { idle: new Set(), notices: new Set() };
  const reference = referenceImages(readPythonData(text, file), entries);
  const value = translate(entries, file, notes, reference);
  checkTranslation(value, entries, (other) => translate(entries, file, other, reference), file);
  const config = finishConfig(value, options.sets.filter(isOurs), file);
  const idle = notes.idle.size === 0 ? [] : [`${file}: without effect here: ${[...notes.idle].join(', ')}`];
  return { config, notices: [...notes.notices, ...idle] };
}

type Entries = ReadonlyMap<string, PythonEntry>;

/**
 * The imgs_per_gpu that the learning rate is for: the file's own where a --set changes that number alone, so that the rate
 * follows; the new one where the rate is set too. undefined where there is none.
 */
function referenceImages(before: Entries, after: Entries): number | undefined {
  const at = (entries: Entries, ...path: string[]): unknown => {
    const content = findValue(entries, path)?.content;
    return content?.kind === 'plain' ? content.value : undefined;
  };
  const isRateSet = at(before, 'optimizer', 'lr') !== at(after, 'optimizer', 'lr');
  const images = at(isRateSet ? after : before, 'data', 'imgs_per_gpu');
  return Number.isInteger(images) && Number(images) > 0 ? Number(images) : undefined;
}

function translate(entries: Entries, file: string, notes: ReadingNotes, reference: number | undefined): unknown {
  const root = new Section(entries, { file, notes });
  if (root.has('_base_'))
    throw root.wrong('_base_', 'belongs to mmdetection 2 and later, whose configs are not read: take one of 1.x');
  const value = { model: translateModel(root), ...translateRun(root, reference) };
  root.idle(...IDLE_KEYS);
  root.passOver(...PART_NAMES, ...[...entries.keys()].filter((name) => entries.get(name)?.isUsed));
  root.finish();
  return value;
}
