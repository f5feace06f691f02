// Weights of any system under our names, told apart by the names in the file.
import { detectronBlobState } from './detectron/blob-state.js';
import { detectronModuleState } from './detectron/module-state.js';
import { isMmdetectionState, mmdetectionState } from './mmdetection/names.js';
import type { RenamedState, StateDialect } from './state-dialect.js';
import { torchvisionState } from './torchvision-names.js';

const mmdetection: StateDialect = {
  name: 'mmdetection',
  recognises: isMmdetectionState,
  rename: (state) => ({ state: mmdetectionState(state), orphans: [] }),
};

/** A ResNet by itself, as torchvision and the converters from Caffe name it: ImageNet weights. */
const bareResnet: StateDialect = {
  name: 'ResNet',
  recognises: (names) => names.has('conv1.weight') && names.has('layer1.0.conv1.weight'),
  rename: (state) => {
    const orphans = [...state.keys()].filter((name) => /^fc\.(weight|bias)$/.test(name));
    const rest = [...state].filter(([name]) => !orphans.includes(name));
    const renamed = new Map(rest.map(([name, value]) => [`backbone.body.${name}`, value]));
    return { state: renamed, orphans, norm: state.has('bn1.running_var') ? 'batch' : undefined };
  },
};

/** Ours are torchvision's names of today; its files of before 0.13 have a few others. */
const torchvision: StateDialect = {
  name: 'torchvision',
  recognises: () => true,
  rename: (state) => ({ state: torchvisionState(state), orphans: [] }),
};

/** Asked in this order. */
const dialects: readonly StateDialect[] = [
  detectronModuleState,
  detectronBlobState,
  mmdetection,
  bareResnet,
  torchvision,
];

export interface RecognisedState<T> extends RenamedState<T> {
  /** The system whose names the file has. */
  readonly dialect: string;
}

/** The tensors under our names; those that no rule knows keep theirs. */
export function recogniseState<T>(state: ReadonlyMap<string, T>): RecognisedState<T> {
  const names = new Set(state.keys());
  const dialect = dialects.find((candidate) => candidate.recognises(names)) ?? torchvision;
  return { dialect: dialect.name, ...dialect.rename(state) };
}
