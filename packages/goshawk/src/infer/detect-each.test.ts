import assert from 'node:assert/strict';
import { test } from 'node:test';
import { boxXywh, type Detection } from '@goshawk/core';
import { asResults } from './detect-each.js';

test('results count the last pixel of boxes that include it, and leave others as they are', () => {
  const found: Detection[] = [{ imageId: 1, categoryId: 2, score: 0.5, bbox: boxXywh(3, 4, 9, 19) }];
  assert.deepEqual(asResults(found, 'inclusive'), [{ ...found[0], bbox: boxXywh(3, 4, 10, 20) }]);
  assert.deepEqual(asResults(found, 'continuous'), found);
  const masks: Detection[] = [{ imageId: 1, categoryId: 2, score: 0.5 }];
  assert.deepEqual(asResults(masks, 'inclusive'), masks);
});
