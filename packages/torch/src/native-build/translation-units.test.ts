import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { translationUnits, unitText, withIncludes } from './translation-units.js';

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

test('a source is made from what it includes, beside it or below the root, but not from the system', () => {
  const root = mkdtempSync(join(tmpdir(), 'goshawk-includes-'));
  try {
    for (const [name, text] of Object.entries({
      'kernels/a.cc': '#include "a.h"\n#include "arithmetic/both.h"\n#include <vector>\n#include "node_api.h"\n',
      'kernels/a.h': '#pragma once\n#include "b.h"\n',
      'kernels/b.h': '#include "a.h"\n',
      'arithmetic/both.h': '',
      'kernels/other.h': '',
    })) {
      mkdirSync(dirname(join(root, name)), { recursive: true });
      writeFileSync(join(root, name), text);
    }
    assert.deepEqual(withIncludes(root, ['kernels/a.cc']), [
      'arithmetic/both.h',
      'kernels/a.cc',
      'kernels/a.h',
      'kernels/b.h',
    ]);
  } finally {
    rmSync(root, { recursive: true });
  }
});
