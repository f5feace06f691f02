import assert from 'node:assert/strict';
import { test } from 'node:test';
import { translationUnits, unitText } from './translation-units.js';

const kernels = ['roi-pool', 'adam', 'nms', 'focal', 'rle'].map((name) => ({
  name: `kernels/${name}.cc`,
  bytes: 24_000,
}));

test('each file is in one unit of its folder, in order of names, whatever order the disk lists them in', () => {
  const units = translationUnits([...kernels, { name: 'binding/module.cc', bytes: 100 }]);
  assert.deepEqual(units, [
    { name: 'binding-1', sources: ['binding/module.cc'] },
    { name: 'kernels-1', sources: ['kernels/adam.cc', 'kernels/focal.cc'] },
    { name: 'kernels-2', sources: ['kernels/nms.cc'] },
    { name: 'kernels-3', sources: ['kernels/rle.cc', 'kernels/roi-pool.cc'] },
  ]);
  assert.deepEqual(translationUnits([{ name: 'binding/module.cc', bytes: 100 }, ...kernels].reverse()), units);
});

test('a file larger than a unit stands by itself', () => {
  const units = translationUnits([
    { name: 'kernels/a.cc', bytes: 1000 },
    { name: 'kernels/b.cc', bytes: 200_000 },
    { name: 'kernels/c.cc', bytes: 1000 },
  ]);
  assert.deepEqual(
    units.flatMap(({ sources }) => sources),
    ['kernels/a.cc', 'kernels/b.cc', 'kernels/c.cc'],
  );
});

test('the compiler gets the files as they are', () => {
  assert.equal(
    unitText({ name: 'binding-1', sources: ['binding/a.cc', 'binding/b.cc'] }),
    '#include "binding/a.cc"\n#include "binding/b.cc"\n',
  );
});
