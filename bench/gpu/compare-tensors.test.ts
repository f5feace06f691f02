import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { randn, scope, type Tensor, tensor } from '@goshawk/torch';
import { compareTensors } from './compare-tensors.js';

function problemOf(got: () => Tensor, wanted: () => Tensor, tolerance?: number): string | undefined {
  return scope(() => compareTensors(got(), wanted(), ...(tolerance === undefined ? [] : [tolerance])).problem);
}

describe('what a card computed is right', () => {
  test('where it is equal, NaN and infinities too', () => {
    const values = [1, -0, Number.NaN, Number.POSITIVE_INFINITY];
    assert.equal(
      problemOf(
        () => tensor(values),
        () => tensor(values),
      ),
      undefined,
    );
  });

  test('within a rounding of its dtype', () => {
    const [exact, off] = [
      [1, 2, 3],
      [1.000001, 2, 3],
    ];
    assert.equal(
      problemOf(
        () => tensor(off),
        () => tensor(exact),
      ),
      undefined,
    );
    const short = (values: number[]) => () => tensor(values).to({ dtype: 'bfloat16' });
    assert.equal(problemOf(short([1.0078125]), short([1])), undefined);
  });
});

describe('it is wrong', () => {
  const right = [1, 2, 3, 4];
  const wrong: Record<string, [number[], RegExp]> = {
    'in one value': [[1, 2, 3.001, 4], /^at 2: 3\.00\d+, not 3 /],
    'with a value that is no number': [[1, 2, Number.NaN, 4], /^at 2: NaN, not 3 /],
    'with one without end': [[1, 2, 3, Number.POSITIVE_INFINITY], /^at 3: Infinity, not 4 /],
    'with the other sign': [[-1, 2, 3, 4], /^at 0: -1, not 1 /],
  };
  for (const [title, [values, problem]] of Object.entries(wrong))
    test(title, () =>
      assert.match(
        problemOf(
          () => tensor(values),
          () => tensor(right),
        ) ?? '',
        problem,
      ),
    );

  test('in one index of a list, whatever its size', () => {
    const list = (values: number[]) => () => tensor(values, { dtype: 'int64' });
    assert.match(problemOf(list([1, 2, 1_000_001]), list([1, 2, 1_000_000])) ?? '', /^1 of 3 differ, the first at 2/);
  });

  test('in shape, dtype or memory format', () => {
    const plain = () => randn([2, 3, 4, 5]);
    const last = () => plain().to({ memoryFormat: 'channels_last' });
    assert.match(problemOf(() => plain().narrow(0, 0, 1), plain) ?? '', /is float32 \[1, 3, 4, 5\], not float32/);
    assert.match(problemOf(() => plain().to({ dtype: 'float64' }), plain) ?? '', /is float64/);
    assert.match(problemOf(plain, last) ?? '', /channels_last/);
  });
});
