// Its backbones, which are torchvision's, by the names that it gives them.
import type { ConfigPart } from '../dialect.js';

export const BACKBONES: Readonly<Record<string, ConfigPart>> = {
  resnet18: { depth: 18 },
  resnet34: { depth: 34 },
  resnet50: { depth: 50 },
  resnet101: { depth: 101 },
  resnet152: { depth: 152 },
  resnext50_32x4d: { depth: 50, groups: 32, widthPerGroup: 4 },
  resnext101_32x8d: { depth: 101, groups: 32, widthPerGroup: 8 },
  wide_resnet50_2: { depth: 50, widthPerGroup: 128 },
  wide_resnet101_2: { depth: 101, widthPerGroup: 128 },
};
