import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ops } from '../ops/index.js';
import { rand, scope, tensor } from '../tensor/index.js';
import { operatorsThatWait, recordOperators } from './record-operators.js';

test('operators are counted by name with their overloads, and only while the body runs', () => {
  scope(() => {
    const a = rand([3]);
    ops.mul(a, a);
    const counts = recordOperators(() => {
      ops.mul(a, a);
      ops.mul(a, a);
      ops.add(a, 1);
    });
    ops.mul(a, a);
    assert.equal(counts.get('aten::mul.Tensor'), 2);
    assert.equal(counts.get('aten::add.Scalar') ?? counts.get('aten::add.Tensor'), 1);
    assert.equal(counts.get('aten::div.Tensor'), undefined);
  });
});

test('so are those that operators call, and those of a backward pass', () => {
  scope(() => {
    const a = rand([4, 3]);
    a.requiresGrad = true;
    const forward = recordOperators(() => ops.linear(a, a));
    assert.equal([...forward].filter(([name]) => /aten::(mm|matmul|linear)$/.test(name)).length >= 2, true);
    const loss = ops.sum(ops.sigmoid(a));
    const backward = recordOperators(() => loss.backward());
    assert.equal(backward.get('aten::sigmoid_backward'), 1);
  });
});

test('what makes a host wait for a card is told apart, whatever calls it', () => {
  scope(() => {
    const a = tensor([1, 0, 2]);
    const mask = ops.gt(a, 0);
    const waiting = (body: () => void): string[] => [...operatorsThatWait(recordOperators(body)).keys()];
    assert.deepEqual(
      waiting(() => ops.where(mask, a, 0)),
      [],
    );
    assert.deepEqual(
      waiting(() => ops.index(a, [mask])),
      ['aten::nonzero'],
    );
    assert.deepEqual(
      waiting(() => a.sum().item()),
      ['aten::_local_scalar_dense'],
    );
    assert.deepEqual(
      waiting(() => a.toNumbers()),
      ['goshawk::to_host'],
    );
    assert.deepEqual(
      waiting(() => tensor([1])),
      ['goshawk::from_host'],
    );
  });
});

test('a body that fails ends the recording; one inside another is refused', () => {
  assert.throws(
    () =>
      recordOperators(() => {
        throw new RangeError('own');
      }),
    RangeError,
  );
  assert.throws(
    () => recordOperators(() => recordOperators(() => undefined)),
    /^Error: recordOperators: [^\n]*already/,
  );
  assert.equal(recordOperators(() => undefined).size, 0);
});
