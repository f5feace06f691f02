import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isCallable, parseSchema } from './schema.js';

test('arguments, defaults, the keyword-only mark and results are read', () => {
  const schema = parseSchema(
    'aten::std_mean.correction(Tensor self, int[1]? dim, *, int? correction, bool keepdim=False) -> (Tensor, Tensor)',
  );
  assert.equal(schema.fullName, 'aten::std_mean.correction');
  assert.equal(schema.name, 'std_mean');
  assert.equal(schema.overload, 'correction');
  assert.deepEqual(
    schema.arguments.map((a) => [a.name, a.type, a.optional, a.fixedLength, a.hasDefault, a.keywordOnly]),
    [
      ['self', 'Tensor', false, 0, false, false],
      ['dim', 'int[]', true, 1, false, false],
      ['correction', 'int', true, 0, false, true],
      ['keepdim', 'bool', false, 0, true, true],
    ],
  );
  assert.deepEqual(
    schema.results.map((result) => result.type),
    ['Tensor', 'Tensor'],
  );
});

test('list defaults and strings do not split an argument, SymInt is int', () => {
  const schema = parseSchema(
    'aten::conv2d.padding(Tensor input, SymInt[2] stride=[1, 1], str padding="valid", SymInt groups=1) -> Tensor',
  );
  assert.deepEqual(
    schema.arguments.map((argument) => `${argument.type} ${argument.name} ${argument.fixedLength}`),
    ['Tensor input 0', 'int[] stride 2', 'str padding 0', 'int groups 0'],
  );
});

test('aliases are told apart from writes, named results keep their names', () => {
  const view = parseSchema('aten::split.Tensor(Tensor(a -> *) self, int split_size, int dim=0) -> Tensor(a)[]');
  assert.equal(view.arguments[0]?.written, false);
  assert.equal(view.results[0]?.type, 'Tensor[]');
  const out = parseSchema(
    'aten::max.dim_max(Tensor self, int dim, bool keepdim=False, *, Tensor(a!) max, Tensor(b!) max_values) -> (Tensor(a!) values, Tensor(b!) indices)',
  );
  assert.equal(out.arguments[3]?.written, true);
  assert.deepEqual(
    out.results.map((result) => result.name),
    ['values', 'indices'],
  );
  assert.equal(isCallable(out), false);
  assert.deepEqual(parseSchema('aten::f(Tensor self) -> ()').results, []);
});

test('dimension names and required arguments without a JavaScript form are not callable, a generator is left out', () => {
  assert.equal(isCallable(parseSchema('aten::cat.names(Tensor[] tensors, str dim) -> Tensor')), false);
  assert.equal(isCallable(parseSchema('aten::x(Tensor self, Storage source) -> Tensor')), false);
  assert.equal(isCallable(parseSchema('aten::r(int n, *, Generator? generator=None) -> Tensor')), true);
  assert.equal(isCallable(parseSchema('aten::add_.Tensor(Tensor(a!) self, Tensor other) -> Tensor(a!)')), true);
});
