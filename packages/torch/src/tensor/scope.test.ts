import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { callTensorOp, empty, keep, liveTensors, ones, scope, type Tensor, zeros } from './index.js';

test('a scope frees what is not returned', () => {
  const before = liveTensors();
  const sum = scope(() =>
    ones([3])
      .add(ones([3]))
      .sum(),
  );
  assert.equal(liveTensors(), before + 1);
  assert.equal(sum.item(), 6);
  sum.dispose();
  assert.equal(liveTensors(), before);
});

test('what an inner scope returns belongs to the outer one', () => {
  const before = liveTensors();
  const kept = scope(() => {
    const inner = scope(() => {
      zeros([9]);
      return ones([2]);
    });
    assert.equal(liveTensors(), before + 1);
    return scope(() => inner.add(1));
  });
  assert.equal(liveTensors(), before + 1);
  assert.deepEqual(kept.toNumbers(), [2, 2]);
  kept.dispose();
});

test('tensors in arrays, objects, Maps and Sets, however deep, are returned', () => {
  const before = liveTensors();
  const result = scope(() => ({
    list: [ones([1]), [zeros([1])]],
    map: new Map([['a', { deep: ones([2]) }]]),
    set: new Set([ones([3])]),
    text: 'plain',
    nothing: null,
  }));
  assert.equal(liveTensors(), before + 4);
  assert.deepEqual(result.map.get('a')?.deep.shape, [2]);
  scope(() => {
    for (const item of [...result.list.flat(), ...result.set, result.map.get('a')?.deep]) item?.dispose();
  });
  assert.equal(liveTensors(), before);
});

test('a tensor returned twice is freed by one dispose, and freeing again is no error', () => {
  const before = liveTensors();
  const { a, b } = scope(() => {
    const one = ones([1]);
    return { a: one, b: one };
  });
  assert.equal(liveTensors(), before + 1);
  a.dispose();
  b.dispose();
  assert.equal(liveTensors(), before);
});

test('an error frees everything made inside, through every scope', () => {
  const before = liveTensors();
  assert.throws(
    () =>
      scope(() => {
        ones([2]);
        scope(() => {
          ones([3]);
          throw new RangeError('from inside');
        });
      }),
    { name: 'RangeError', message: 'from inside' },
  );
  assert.equal(liveTensors(), before);
  const after = scope(() => ones([1]));
  assert.equal(liveTensors(), before + 1);
  after.dispose();
});

test('a body that returns a promise is refused', () => {
  const before = liveTensors();
  assert.throws(() => scope(async () => ones([1])), /scope: the body must not be asynchronous/);
  assert.equal(liveTensors(), before);
});

test('keep() takes a tensor out of every scope', () => {
  const before = liveTensors();
  let cached: Tensor | undefined;
  scope(() => {
    scope(() => {
      cached = keep({ x: ones([2]) }).x;
    });
  });
  assert.deepEqual(cached?.toNumbers(), [1, 1]);
  assert.equal(liveTensors(), before + 1);
  cached?.dispose();
});

test('using frees at the end of its block', () => {
  const before = liveTensors();
  {
    using x = ones([4]);
    assert.equal(x.length, 4);
  }
  assert.equal(liveTensors(), before);
});

test('use of a freed tensor says how to keep it', () => {
  let escaped: Tensor | undefined;
  scope(() => {
    escaped = ones([2]);
  });
  const freed = escaped as Tensor;
  assert.throws(() => freed.relu(), /^Error: relu\(.*this tensor was freed.*return it from the scope or keep\(\) it$/s);
  assert.throws(() => callTensorOp('aten::relu', freed), /this tensor was freed/);
  assert.throws(() => freed.toNumbers(), /this tensor was freed/);
  const disposed = ones([1]);
  disposed.dispose();
  assert.throws(() => disposed.item(), /dispose\(\) was called/);
});

test('the number of a freed tensor is not valid for the tensor that takes its slot', () => {
  const first = ones([1]);
  first.dispose();
  using second = zeros([1]);
  assert.throws(() => first.item(), /was freed/);
  assert.equal(second.item(), 0);
});

test('200,000 calls in scopes leave no tensor alive', () => {
  const before = liveTensors();
  using x = ones([2]);
  for (let i = 0; i < 2000; i++)
    scope(() => {
      for (let j = 0; j < 100; j++) x.add(1);
    });
  assert.equal(liveTensors(), before + 1);
});

test('a result of several tensors is freed with its scope', () => {
  const before = liveTensors();
  const values = scope(() => {
    const [largest] = ones([3, 4]).max(1);
    ones([6]).split(2);
    return largest;
  });
  assert.equal(liveTensors(), before + 1);
  values.dispose();
});

/** Collections of V8's whole heap while `body` runs. */
async function wholeCollections(body: () => void): Promise<number> {
  let count = 0;
  const observer = new PerformanceObserver((list) => {
    const entries = list.getEntries() as unknown as readonly { readonly detail: { readonly kind: number } }[];
    count += entries.filter(({ detail }) => detail.kind === constants.NODE_PERFORMANCE_GC_MAJOR).length;
  });
  observer.observe({ entryTypes: ['gc'] });
  body();
  // Entries, and what follows from collections, come in later turns.
  await setTimeout(50);
  observer.disconnect();
  return count;
}

/** 3.2 GB, of which no page is touched. */
function makeManyTensors(): void {
  for (let i = 0; i < 100; i++) empty([32, 2 ** 20], { dtype: 'uint8' });
}

test('V8 need not collect for tensors that scopes free, and does for those that it must free', async () => {
  assert.equal(await wholeCollections(() => scope(makeManyTensors)), 0);
  const before = liveTensors();
  assert.ok((await wholeCollections(makeManyTensors)) > 0);
  for (let wait = 0; wait < 100 && liveTensors() === before + 100; wait++) await setTimeout(50);
  assert.ok(liveTensors() < before + 100, `${liveTensors() - before} of 100 are alive`);
});
