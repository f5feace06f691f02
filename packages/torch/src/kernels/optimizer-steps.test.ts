// The optimizers' kernels over lists of tensors, and the scale of losses, against their definitions and the plain operators.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../checks/index.js';
import { Parameter } from '../nn/index.js';
import {
  callOp,
  callTensorOp,
  type MemoryFormat,
  noGrad,
  ones,
  randn,
  scope,
  setThreads,
  type Tensor,
  tensor,
  zeros,
} from '../tensor/index.js';
import { assertSameOnAnyThreads } from '../testing/thread-counts.js';

setThreads(1);

/** Sides whose products are no multiples of a vector, of one element, of none, and enough for several threads. */
const SHAPES = [[1], [64, 3, 7, 7], [5], [0], [33], [190, 201], [16, 8, 1, 1]] as const;

/** A list for all shapes; maps are laid out as channels_last, as a model's weights are. */
const lists = (make: (shape: readonly number[]) => Tensor): Tensor[] =>
  SHAPES.map((shape) => (shape.length === 4 ? make(shape).to({ memoryFormat: 'channels_last' }) : make(shape)));
const copies = (tensors: readonly Tensor[]): Tensor[] => tensors.map((each) => each.clone());
const bytes = (tensors: readonly Tensor[]): Uint8Array[] => tensors.map((each) => each.toBytes());

describe('goshawk::sgd_steps_', () => {
  const { add, mul } = {
    add: (to: Tensor, from: Tensor, factor: number) => callOp('aten::add_.Tensor', to, from, factor),
    mul: (tensor: Tensor, factor: number) => callOp('aten::mul_.Scalar', tensor, factor),
  };
  for (const weightDecay of [0, 1e-4, 0.3]) {
    for (const [momentum, share, nesterov] of [
      [0, 1, false],
      [0.9, 1, false],
      [0.9, 1, true],
      [0.8, 0.7, false],
      [0.8, 0.7, true],
    ] as const) {
      const what = `weight decay ${weightDecay}, momentum ${momentum}, share ${share}${nesterov ? ', nesterov' : ''}`;
      test(`is the engine's operators one after another, bit for bit: ${what}`, () =>
        noGrad(() => {
          const lr = 0.0137;
          const [parameters, gradients] = [lists(randn), lists(randn)];
          const velocities = momentum === 0 ? [] : lists(randn);
          const [wanted, wantedVelocities] = [copies(parameters), copies(velocities)];
          for (const [i, parameter] of wanted.entries()) {
            const gradient = gradients[i]!;
            if (momentum === 0) {
              mul(parameter, 1 - lr * weightDecay);
              add(parameter, gradient, -lr);
              continue;
            }
            // v = momentum v + share (g + decay p); Nesterov's step is along g + decay p + momentum v.
            const velocity = wantedVelocities[i]!;
            if (share === 1) callOp('aten::add.out', gradient, velocity, momentum, velocity);
            else {
              mul(velocity, momentum);
              add(velocity, gradient, share);
            }
            if (weightDecay !== 0) add(velocity, parameter, weightDecay * share);
            if (nesterov) {
              if (weightDecay !== 0) mul(parameter, 1 - lr * weightDecay);
              add(parameter, gradient, -lr);
            }
            add(parameter, velocity, nesterov ? -lr * momentum : -lr);
          }
          const before = parameters[1]!.clone();
          callOp('goshawk::sgd_steps_', parameters, gradients, velocities, lr, momentum, share, weightDecay, nesterov);
          assert.notDeepEqual(parameters[1]!.toBytes(), before.toBytes());
          assert.deepEqual(bytes(parameters), bytes(wanted));
          assert.deepEqual(bytes(velocities), bytes(wantedVelocities));
        }));
    }
  }

  test('does not depend on the threads', () =>
    scope(() => {
      const [parameters, gradients, velocities] = [lists(randn), lists(randn), lists(randn)];
      assertSameOnAnyThreads(() => {
        const [own, moving] = [copies(parameters), copies(velocities)];
        callOp('goshawk::sgd_steps_', own, gradients, moving, 0.1, 0.9, 1, 0.01, false);
        return bytes([...own, ...moving]);
      });
    }));

  test('refuses lists of different lengths', () =>
    scope(() => {
      const one = [ones([2])];
      assert.throws(
        () => callOp('goshawk::sgd_steps_', one, [], one, 0.1, 0.9, 1, 0, false),
        /1 parameters, 0 gradients/,
      );
    }));
});

/** Parameter, gradient, mean, mean square. */
type State = readonly [number, number, number, number];

describe('goshawk::adam_steps_', () => {
  test("is the paper's update, with the parameter's decay before it, or in the gradient", () => {
    const number = fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround);
    const state = fc.tuple(number, number, number, number.map(Math.abs));
    const rows = fc.array(state, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.tuple(rows, rows), fc.constantFrom(0, 0.2), (groups: readonly (readonly State[])[], decay) =>
        scope(() => {
          const column = (i: 0 | 1 | 2 | 3) => groups.map((group) => tensor(group.map((row) => row[i])));
          const [parameters, gradients, means, squares] = [column(0), column(1), column(2), column(3)];
          // Parameters that took part in different numbers of steps.
          const [sizes, corrections] = [
            [0.05, 0.02],
            [0.3, 0.8],
          ];
          const rule = [0.99, decay, 0.9, 0.999, 1e-8];
          const state = [parameters, gradients, means, squares, []];
          callOp('goshawk::adam_steps_', ...state, sizes, corrections, ...rule);
          for (const [index, group] of groups.entries()) {
            const wanted = group.map(([p, given, m, v]) => {
              const g = given + decay * p;
              const newM = 0.9 * m + 0.1 * g;
              const newV = 0.999 * v + 0.001 * g * g;
              const root = Math.sqrt(newV) / corrections[index]! + 1e-8;
              return { g, v: newV, p: 0.99 * p - (sizes[index]! * newM) / root, m: newM };
            });
            assertClose(
              means[index]!,
              wanted.map(({ m }) => m),
              { relative: 3e-7, absolute: 5e-7 },
            );
            assertClose(
              squares[index]!,
              wanted.map(({ v }) => v),
              { relative: 5e-7, absolute: 5e-10 },
            );
            // Where the mean square is nearly nothing, and the gradient what decay leaves of it, the quotient is of rounded numbers.
            const isSure = ([p, given, , v]: State, g: number): boolean =>
              v > 1e-3 || Math.abs(g) > 0.1 * Math.max(Math.abs(given), Math.abs(p));
            const sure = group.flatMap((state, i) => (isSure(state, wanted[i]!.g) ? i : []));
            const got = parameters[index]!.toNumbers();
            assertClose(
              sure.map((i) => got[i]!),
              sure.map((i) => wanted[i]!.p),
              { relative: 3e-6, absolute: 2e-6 },
            );
          }
        }),
      ),
      { numRuns: 60 },
    );
  });

  test('gives the same values whatever the memory formats, and marks the parameter as changed', () =>
    scope(() => {
      const values = [randn([4, 6, 3, 3]), randn([4, 6, 3, 3]), randn([4, 6, 3, 3]), randn([4, 6, 3, 3]).abs()];
      const run = (formats: readonly MemoryFormat[]) => {
        const own = values.map((value, i) => value.clone().to({ memoryFormat: formats[i]! }));
        const parameter = new Parameter(own[0]!);
        parameter.requiresGrad = false;
        const before = parameter.version;
        const state = [[parameter], [own[1]!], [own[2]!], [own[3]!], []];
        callOp('goshawk::adam_steps_', ...state, [0.01], [0.5], 1, 0, 0.9, 0.999, 1e-8);
        assert.notEqual(parameter.version, before);
        return parameter.contiguous().toNumbers();
      };
      const plain = run(['contiguous_format', 'contiguous_format', 'contiguous_format', 'contiguous_format']);
      assert.deepEqual(run(['channels_last', 'channels_last', 'channels_last', 'channels_last']), plain);
      assertClose(run(['channels_last', 'contiguous_format', 'channels_last', 'channels_last']), plain);
    }));

  test('steps a list as it steps each alone, on any threads', () =>
    scope(() => {
      const [parameters, gradients, means] = [lists(randn), lists(randn), lists(randn)];
      const squares = lists((shape) => randn(shape).abs());
      const sizes = SHAPES.map((_, i) => 0.01 * (i + 1));
      const corrections = SHAPES.map((_, i) => 1 / (i + 1));
      const rule = [0.999, 0.1, 0.9, 0.999, 1e-8];
      const alone = [copies(parameters), copies(means), copies(squares)] as const;
      for (const i of SHAPES.keys()) {
        const state = [[alone[0][i]!], [gradients[i]!], [alone[1][i]!], [alone[2][i]!], []];
        callOp('goshawk::adam_steps_', ...state, [sizes[i]!], [corrections[i]!], ...rule);
      }
      assertSameOnAnyThreads(() => {
        const own = [copies(parameters), copies(means), copies(squares)] as const;
        callOp('goshawk::adam_steps_', own[0], gradients, own[1], own[2], [], sizes, corrections, ...rule);
        assert.deepEqual(own.map(bytes), alone.map(bytes));
        return own.map(bytes);
      });
    }));
});

describe("steps by the engine's operators, as on a card", () => {
  const assertNear = (actual: Tensor, wanted: Tensor, tolerance: number): void => {
    const isNear = callOp('aten::allclose', actual, wanted, tolerance, tolerance);
    assert.equal(isNear, true, `[${actual.shape.join(', ')}]: more than ${tolerance} apart`);
  };
  const flag = (found: boolean): Tensor => tensor(found ? 1 : 0, { shape: [] });

  test('are those of our kernels but for rounding; where found_inf is set nothing changes', () =>
    scope(() => {
      const [parameters, gradients, velocities] = [lists(randn), lists(randn), lists(randn)];
      for (const [momentum, dampening, nesterov] of [
        [0, 0, false],
        [0.9, 0, false],
        [0.9, 0, true],
        [0.9, 0.4, false],
      ] as const) {
        for (const found of [undefined, flag(false), flag(true)]) {
          const moving = momentum === 0 ? [] : velocities;
          const [own, ownMoving] = [copies(parameters), copies(moving)];
          const [other, otherMoving] = [copies(parameters), copies(moving)];
          const isSkipped = found?.item() === 1;
          if (!isSkipped)
            callOp('goshawk::sgd_steps_', own, gradients, ownMoving, 0.1, momentum, 1 - dampening, 0.01, nesterov);
          const rule = [0.1, momentum, dampening, 0.01, nesterov, false];
          callOp('goshawk::sgd_steps_by_engine_', other, gradients, otherMoving, ...rule, found);
          for (const [i, each] of [...other, ...otherMoving].entries())
            assertNear(each, [...own, ...ownMoving][i]!, isSkipped ? 0 : 1e-6);
        }
      }
    }));

  test('take new velocities for the gradient, dampened or not', () =>
    scope(() => {
      for (const dampening of [0, 0.4]) {
        const [parameters, velocities] = [[ones([3])], [zeros([3])]];
        const rule = [0.1, 0.9, dampening, 0.5, false, true];
        callOp('goshawk::sgd_steps_by_engine_', parameters, [tensor([1, 2, 3])], velocities, ...rule);
        assertClose(velocities[0]!, [1.5, 2.5, 3.5]);
        assertClose(parameters[0]!, [0.85, 0.75, 0.65]);
      }
    }));

  test('suit weights whose gradients lie otherwise in memory, and sides of 1 with any stride', () =>
    scope(() => {
      const format = (memoryFormat: MemoryFormat, shape: readonly number[]) => randn(shape).to({ memoryFormat });
      const shapes = [
        [4, 6, 3, 3],
        [16, 8, 1, 1],
      ];
      const parameters = shapes.map((shape) => format('channels_last', shape));
      const gradients = shapes.map((shape) => format('contiguous_format', shape));
      const velocities = [parameters[0]!.clone(), format('contiguous_format', shapes[1]!)];
      const [own, moving] = [copies(parameters), copies(velocities)];
      callOp('goshawk::sgd_steps_', own, gradients, moving, 0.1, 0.9, 1, 0.01, false);
      callOp('goshawk::sgd_steps_by_engine_', parameters, gradients, velocities, 0.1, 0.9, 0, 0.01, false, false);
      for (const [i, parameter] of parameters.entries()) assertClose(parameter, own[i]!);
      for (const [i, velocity] of velocities.entries()) assertClose(velocity, moving[i]!);
    }));

  for (const isDecoupled of [false, true]) {
    test(`are ${isDecoupled ? 'AdamW' : 'Adam'} with counts of steps on the device`, () =>
      scope(() => {
        const [parameters, gradients, means] = [lists(randn), lists(randn), lists(randn)];
        const squares = lists((shape) => randn(shape).abs());
        const steps = SHAPES.map((_, i) => i + 1);
        const [lr, decay] = [0.01, 0.2];
        const state = [parameters, means, squares];
        for (const found of [undefined, flag(false), flag(true)]) {
          const [own, other] = [state.map(copies), state.map(copies)];
          const isSkipped = found?.item() === 1;
          const counts = steps.map((count) => tensor(count, { shape: [] }));
          const sizes = steps.map((count) => lr / (1 - 0.9 ** count));
          const corrections = steps.map((count) => Math.sqrt(1 - 0.999 ** count));
          const factors = isDecoupled ? [1 - lr * decay, 0] : [1, decay];
          const tail = [sizes, corrections, ...factors, 0.9, 0.999, 1e-8];
          if (!isSkipped) callOp('goshawk::adam_steps_', own[0], gradients, own[1], own[2], [], ...tail);
          const rule = [lr, 0.9, 0.999, 1e-8, decay, isDecoupled];
          const lists = [other[0], gradients, other[1], other[2], [], counts];
          callOp('goshawk::adam_steps_by_engine_', ...lists, ...rule, found);
          for (const [i, list] of other.entries())
            for (const [j, each] of list.entries()) assertNear(each, own[i]![j]!, isSkipped ? 0 : 1e-5);
          assert.deepEqual(
            counts.map((count) => count.item()),
            steps,
          );
        }
      }));
  }
});

describe('goshawk::unscale_ and goshawk::update_scale_', () => {
  test('multiply every gradient, and find a value that is not finite wherever it is', () =>
    scope(() => {
      const inverse = tensor(0.25, { shape: [] });
      for (const bad of [undefined, Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
        for (const where of [0, 5]) {
          const gradients = [...lists(randn), randn([3, 4]).t(), randn([7]).to('float64')];
          if (bad !== undefined)
            callOp('aten::fill_.Scalar', callTensorOp('aten::select.int', gradients[where]!, 0, 0), bad);
          const wanted = gradients.map((each) => callTensorOp('aten::mul.Scalar', each, 0.25));
          const found = zeros([]);
          callOp('goshawk::unscale_', gradients, found, inverse);
          assert.equal(found.item(), bad === undefined ? 0 : 1);
          assert.deepEqual(bytes(gradients), bytes(wanted));
        }
      }
      // The largest float32 is finite, though twice its scale is not.
      const [large, found] = [tensor([3.4028234663852886e38]), zeros([])];
      callOp('goshawk::unscale_', [large], found, tensor(2, { shape: [] }));
      assert.deepEqual([found.item(), large.item()], [0, Number.POSITIVE_INFINITY]);
    }));

  test('the scale halves with an overflow, doubles after so many steps without, and never leaves float32', () =>
    scope(() => {
      const scale = tensor(8, { shape: [] });
      const tracker = tensor(0, { shape: [], dtype: 'int32' });
      const after = (found: number): [number, number] => {
        callOp('goshawk::update_scale_', scale, tracker, tensor(found, { shape: [] }), 2, 0.5, 3);
        return [scale.item(), tracker.item()];
      };
      assert.deepEqual(
        [after(0), after(0), after(1)],
        [
          [8, 1],
          [8, 2],
          [4, 0],
        ],
      );
      assert.deepEqual(
        [after(0), after(0), after(0), after(0)],
        [
          [4, 1],
          [4, 2],
          [8, 0],
          [8, 1],
        ],
      );
      callOp('aten::fill_.Scalar', scale, 2e38);
      const [large] = [after(0), after(0)];
      assert.deepEqual(large, [Math.fround(2e38), 2]);
      assert.deepEqual([scale.item(), tracker.item()], [Math.fround(2e38), 0]);
    }));
});
