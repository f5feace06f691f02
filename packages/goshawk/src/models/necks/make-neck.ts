// From the neck part of a config to a neck on a backbone's levels.
import { extraLevelCount, type PyramidConfig, type RetinaNeckConfig } from '../../config/index.js';
import type { FeatureLevel } from '../backbones/backbone.js';
import { BiFpn } from './bifpn.js';
import type { ExtraLevels } from './extra-levels.js';
import { Fpn } from './fpn.js';
import type { Neck } from './neck.js';
import { Panet } from './panet.js';

export function makeNeck(neck: PyramidConfig, levels: readonly FeatureLevel[]): Neck {
  const shape = shapeOf(levels);
  switch (neck.type) {
    case 'fpn':
      return new Fpn({ ...neck, ...shape, extra: extraOf(neck) });
    case 'panet':
      return new Panet({ ...neck, ...shape, extra: extraOf(neck) });
    case 'bifpn':
      return makeBiFpn(neck, levels);
  }
}

/** A neck of a one-stage detector, which adds levels of strides 64 and 128 to a backbone that ends with 32. */
export function makeRetinaNeck(neck: RetinaNeckConfig, levels: readonly FeatureLevel[]): Neck {
  const shape = shapeOf(levels);
  switch (neck.type) {
    case 'fpn':
      return new Fpn({ ...neck, ...shape, extra: { kind: 'p6p7', ...neck } });
    case 'panet':
      return new Panet({ ...neck, ...shape, extra: { kind: 'p6p7', ...neck } });
    case 'bifpn':
      return makeBiFpn(neck, levels);
  }
}

type BifpnConfig = Extract<PyramidConfig, { type: 'bifpn' }>;

function makeBiFpn(neck: BifpnConfig, levels: readonly FeatureLevel[]): BiFpn {
  const { norm: kind, normEps: eps, normMomentum: momentum } = neck;
  return new BiFpn({ ...neck, ...shapeOf(levels), norm: { kind, eps, momentum } });
}

function shapeOf(levels: readonly FeatureLevel[]): { inChannels: readonly number[]; strides: readonly number[] } {
  return { inChannels: levels.map(({ channels }) => channels), strides: levels.map(({ stride }) => stride) };
}

function extraOf(neck: Exclude<PyramidConfig, BifpnConfig>): ExtraLevels | undefined {
  const count = extraLevelCount(neck);
  if (count === 0) return undefined;
  return neck.extraLevel === 'pool' ? { kind: 'pool' } : { kind: 'convolutions', count };
}
