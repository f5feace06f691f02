// Products of half types on processors without instructions for them, against the same values in float64.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { autocast, canAutocast, multiplies } from '../amp/index.js';
import { assertClose } from '../checks/assert-close.js';
import { ops } from '../ops/index.js';
import { grad } from '../tensor/autograd.js';
import { callTensorOp } from '../tensor/dispatch.js';
import { randn, scope, type Tensor } from '../tensor/index.js';
import { manualSeed } from '../tensor/runtime.js';

type Operation = (tensors: readonly Tensor[]) => Tensor;

/** Shapes of what is read: sums of some hundred products, which a sum in the half type would show. */
const OPERATORS: Readonly<Record<string, readonly [shapes: readonly (readonly number[])[], of: Operation]>> = {
  mm: [
    [
      [7, 600],
      [600, 5],
    ],
    ([a, b]) => ops.mm(a!, b!),
  ],
  'mm of transposed': [
    [
      [600, 7],
      [5, 600],
    ],
    ([a, b]) => ops.mm(ops.t(a!), ops.t(b!)),
  ],
  bmm: [
    [
      [3, 7, 400],
      [3, 400, 5],
    ],
    ([a, b]) => ops.bmm(a!, b!),
  ],
  matmul: [
    [
      [2, 3, 4, 400],
      [400, 5],
    ],
    ([a, b]) => ops.matmul(a!, b!),
  ],
  'matmul of vectors': [[[900], [900]], ([a, b]) => ops.matmul(a!, b!)],
  'matmul with a vector': [[[6, 900], [900]], ([a, b]) => ops.matmul(a!, b!)],
  linear: [[[4, 3, 500], [6, 500], [6]], ([input, weight, bias]) => ops.linear(input!, weight!, { bias: bias! })],
  addmm: [
    [
      [7, 5],
      [7, 500],
      [500, 5],
    ],
    ([sum, a, b]) => ops.addmm(sum!, a!, b!, { beta: 0.5, alpha: 2 }),
  ],
  baddbmm: [[[5], [2, 7, 500], [2, 500, 5]], ([sum, a, b]) => ops.baddbmm(sum!, a!, b!)],
  addbmm: [
    [
      [7, 5],
      [4, 7, 200],
      [4, 200, 5],
    ],
    ([sum, a, b]) => ops.addbmm(sum!, a!, b!),
  ],
  addmv: [[[7], [7, 500], [500]], ([sum, a, b]) => ops.addmv(sum!, a!, b!)],
  conv2d: [[[2, 36, 9, 8], [5, 36, 3, 3], [5]], ([x, w, bias]) => ops.conv2d(x!, w!, { bias: bias!, padding: 1 })],
  'conv2d in groups': [
    [
      [1, 32, 9, 8],
      [6, 16, 3, 3],
    ],
    ([x, w]) => ops.conv2d(x!, w!, { groups: 2, stride: 2 }),
  ],
  'conv2d of each channel': [
    [
      [1, 8, 19, 18],
      [8, 1, 5, 5],
    ],
    ([x, w]) => ops.conv2d(x!, w!, { groups: 8, padding: 2 }),
  ],
  conv_transpose2d: [
    [
      [1, 64, 5, 6],
      [64, 5, 2, 2],
    ],
    ([x, w]) => ops.conv_transpose2d(x!, w!, { stride: 2 }),
  ],
  conv1d: [
    [
      [2, 64, 30],
      [4, 64, 5],
    ],
    ([x, w]) => ops.conv1d(x!, w!),
  ],
};

/** Written over a sum, or to a tensor that is given. */
const INTO: Readonly<Record<string, readonly [name: string, isOut: boolean]>> = {
  addmm: ['aten::addmm', false],
  mm: ['aten::mm.out', true],
  bmm: ['aten::bmm.out', true],
};

const TYPES = [
  ['bfloat16', 2 ** -8],
  ['float16', 2 ** -11],
] as const;

for (const [dtype, rounding] of TYPES)
  describe(`products of ${dtype} without instructions for them`, { skip: multiplies(dtype) }, () => {
    // Of sums in float32 no more than the last rounding is seen: relative to each value, not to the largest.
    const near = { relative: rounding, absolute: 1e-3 * rounding + 1e-5 };
    const halves = (shapes: readonly (readonly number[])[]): Tensor[] =>
      shapes.map((shape) => ops.detach(randn([...shape]).to(dtype)));
    const wide = (tensor: Tensor): Tensor => tensor.detach().to('float64');

    for (const [name, [shapes, of]] of Object.entries(OPERATORS))
      test(`${name}: values and gradients are rounded once`, () =>
        scope(() => {
          manualSeed(3);
          const sources = halves(shapes);
          const doubles = sources.map(wide);
          for (const each of [...sources, ...doubles]) each.requiresGrad = true;
          const [found, wanted] = [of(sources), of(doubles)];
          assert.equal(found.dtype, dtype);
          assertClose(found.detach().to('float64'), wanted.detach(), near);
          const slopes = ops.detach(randn([...found.shape]).to(dtype));
          const got = grad([found], sources, { gradients: [slopes] });
          const goals = grad([wanted], doubles, { gradients: [wide(slopes)] });
          for (const [i, goal] of goals.entries()) {
            assert.equal(got[i]!.dtype, dtype);
            assertClose(wide(got[i]!), goal!, near);
          }
        }));

    test('are written where they are to go', () =>
      scope(() => {
        for (const [name, [full, isOut]] of Object.entries(INTO)) {
          const [shapes, of] = OPERATORS[name]!;
          const sources = halves(shapes);
          const doubles = sources.map(wide);
          if (isOut) {
            const into = ops.zeros_like(of(sources));
            callTensorOp(full, ...sources, into);
            assertClose(wide(into), of(doubles), near);
          } else {
            const wanted = ops.addmm(doubles[0]!, doubles[1]!, doubles[2]!);
            callTensorOp(`${full}_`, ...sources);
            assertClose(wide(sources[0]!), wanted, near);
          }
        }
      }));

    test('of types that differ are refused by the engine', () =>
      scope(() => {
        const [a] = halves([[3, 4]]);
        assert.throws(() => ops.mm(a!, randn([4, 2])));
        assert.throws(() => ops.conv2d(randn([1, 2, 5, 5]), randn([2, 2, 3, 3]).to(dtype)));
      }));

    test('come of autocasting too', { skip: !canAutocast(dtype) }, () =>
      scope(() => {
        const [a, b] = [randn([8, 700]), randn([700, 6])];
        const found = autocast(dtype, () => ops.matmul(a, b));
        assert.equal(found.dtype, dtype);
        const [left, right] = [a, b].map((each) => wide(each.to(dtype)));
        assertClose(wide(found), ops.matmul(left!, right!), near);
      }),
    );
  });
