// What goes with what: docs/models.md says it, and some of it is tried here; npm run check:matrix tries all.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type MatrixCell, matrixCells, matrixTable, tryModel } from '../testing/model-matrix.js';

describe('the matrix of detectors, backbones and necks', () => {
  const cells = [...matrixCells()];

  test('is that of docs/models.md: else run npm run check:matrix', () => {
    const page = fileURLToPath(new URL('../../../../docs/models.md', import.meta.url));
    assert.ok(readFileSync(page, 'utf8').includes(matrixTable(cells)));
  });

  // One backbone a neck: the others differ in what the parity cases compute.
  const isTried = ({ backbone, neck }: MatrixCell): boolean =>
    ['MobileNetV2 PANet', 'MobileNetV3 S BiFPN', 'MobileNetV3 S C5'].includes(`${backbone} ${neck}`);
  for (const { detector, backbone, neck, model } of cells.filter(isTried))
    test(`${detector} on ${backbone} with ${neck} learns and predicts`, () => tryModel(model));
});
