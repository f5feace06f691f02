// Res2Nets of every published kind: names, shapes, numbers of parameters and features. The numbers are those of the networks written
// plainly in PyTorch (fixtures/res2net_backbones/make_backbones.py).
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { crc32 } from 'node:zlib';
import { noGrad, scope, tensor } from '@goshawk/torch';
import { parseConfig } from '../config/index.js';
import { decodeImageFile } from '../data/index.js';
import { ResNet, type ResNetOptions } from '../models/backbones/resnet.js';
import { buildModel } from '../models/index.js';
import { withShapesAlone } from '../models/shapes-alone.js';
import { assertSamples } from './parity-case.js';
import { torchvisionWeights } from './torchvision-weights.js';

interface Facts {
  readonly parameters: number;
  readonly entries: number;
  /** CRC-32 of the sorted lines `name 1x2x3`. */
  readonly checksum: number;
  /** Of a Mask R-CNN with 80 categories and constant norms. */
  readonly mask_rcnn_parameters: number;
  readonly features?: readonly (readonly number[])[];
}

type Kind = Pick<ResNetOptions, 'widthPerGroup' | 'scale'> & Partial<ResNetOptions>;

const BACKBONES: Readonly<Record<string, Kind>> = {
  res2net50_26w_4s: { widthPerGroup: 26, scale: 4 },
  res2net50_26w_4s_stride_in_1x1: { widthPerGroup: 26, scale: 4, strideIn1x1: true },
  res2net50_18w_6s: { widthPerGroup: 18, scale: 6 },
  res2net50_14w_8s: { widthPerGroup: 14, scale: 8 },
  res2net50_48w_2s: { widthPerGroup: 48, scale: 2 },
  res2net101_26w_4s: { depth: 101, widthPerGroup: 26, scale: 4 },
  res2net50_v1b_26w_4s: { widthPerGroup: 26, scale: 4, stem: 'deep', shortcut: 'average' },
  res2next50_4w_4s_8c: { widthPerGroup: 4, scale: 4, groups: 8 },
};

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL('../../src/parity/fixtures/', import.meta.url));
const facts = JSON.parse(readFileSync(`${fixtures}res2net_backbones/backbones.json`, 'utf8')) as Record<string, Facts>;

const build = (kind: Kind): ResNet => new ResNet({ depth: 50, norm: 'batch', frozenStages: 0, ...kind });

const shapesOf = (backbone: ResNet) =>
  [...backbone.stateDict()].map(([name, { shape }]) => [`backbone.body.${name}`, shape] as const);

const countOf = (model: { parameters(): readonly { length: number }[] }): number =>
  model.parameters().reduce((sum, { length }) => sum + length, 0);

describe('Res2Net', () => {
  for (const [name, kind] of Object.entries(BACKBONES)) {
    const { parameters, entries, checksum, mask_rcnn_parameters, features } = facts[name]!;

    test(`${name} has the same names and shapes, and as many parameters`, () =>
      withShapesAlone(() =>
        scope(() => {
          const backbone = build(kind);
          const lines = shapesOf(backbone).map(([own, shape]) => `${own} ${shape.join('x')}`);
          assert.deepEqual([lines.length, crc32(lines.toSorted().join('\n'))], [entries, checksum]);
          assert.equal(countOf(backbone), parameters);
          const { model } = parseConfig(JSON.stringify({ model: { type: 'mask_rcnn', backbone: kind } }), {
            file: 'config.yaml',
          });
          assert.equal(countOf(buildModel(model, { classes: 80 })), mask_rcnn_parameters);
        }),
      ));

    if (features === undefined) continue;
    test(`${name} gives the same features`, async () => {
      const { width, data } = await decodeImageFile(`${fixtures}torchvision_maskrcnn_r50_fpn/input.png`);
      // Odd sides: what is halved has a last cell of its own.
      const [rows, columns] = [65, 97];
      const pixels = Float32Array.from({ length: 3 * rows * columns }, (_, i) => {
        const [channel, place] = [Math.floor(i / (rows * columns)), i % (rows * columns)];
        return data[(Math.floor(place / columns) * width + (place % columns)) * 3 + channel]! / 255;
      });
      scope(() => {
        const backbone = build(kind).eval();
        const state = torchvisionWeights(shapesOf(backbone));
        backbone.loadStateDict(new Map([...state].map(([own, value]) => [own.slice('backbone.body.'.length), value])));
        backbone.to({ memoryFormat: 'channels_last' });
        const input = tensor(pixels, { shape: [1, 3, rows, columns] }).to({ memoryFormat: 'channels_last' });
        const levels = noGrad(() => backbone.forward(input));
        assertSamples(levels, features, 1.5e-5);
      });
    });
  }
});
