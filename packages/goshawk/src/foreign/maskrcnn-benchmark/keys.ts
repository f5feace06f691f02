// The keys of maskrcnn-benchmark's configs, and the values that a config gives them.
import type { ValuesOf } from '../shared/key-kinds.js';
import type { YamlSettings } from '../shared/yaml-settings.js';
import { modelKeys } from './model-keys.js';
import { runKeys } from './run-keys.js';

export const maskrcnnKeys = { system: 'maskrcnn-benchmark', tree: { ...modelKeys, ...runKeys } } as const;

export type MaskrcnnValues = ValuesOf<typeof maskrcnnKeys.tree>;

export type MaskrcnnSettings = YamlSettings<MaskrcnnValues>;
