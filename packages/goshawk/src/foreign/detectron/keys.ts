// The keys of Detectron's configs, and the values that a config gives them.
import type { ValuesOf } from '../shared/key-kinds.js';
import type { YamlSettings } from '../shared/yaml-settings.js';
import { modelKeys } from './model-keys.js';
import { runKeys } from './run-keys.js';

export const detectronKeys = { system: 'Detectron', tree: { ...modelKeys, ...runKeys } } as const;

export type DetectronValues = ValuesOf<typeof detectronKeys.tree>;

export type DetectronSettings = YamlSettings<DetectronValues>;
