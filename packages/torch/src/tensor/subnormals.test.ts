import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { ops } from '../ops/index.js';
import { full, scope, setThreads } from './index.js';

// More than one, and enough elements for each.
before(() => setThreads(2));
const COUNT = 2 ** 20;

// Float32's smallest full number is 1.2e-38.
test('what is too small for a full mantissa is zero to all threads of the engine, and not to JavaScript', () =>
  scope(() => {
    const small = full([COUNT], 1e-30);
    assert.equal(ops.count_nonzero(ops.mul(small, 1e-7)).item(), COUNT);
    assert.equal(ops.count_nonzero(ops.mul(small, 1e-10)).item(), 0);
    assert.equal(ops.count_nonzero(full([COUNT], 1e-40).add(0)).item(), 0);
    assert.ok(Number.MIN_VALUE * Math.max(1, small.toNumbers()[0]!) > 0);
  }));
