import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../checks/index.js';
import { Parameter } from '../nn/index.js';
import { callOp, type MemoryFormat, randn, scope, setThreads, tensor } from '../tensor/index.js';

setThreads(1);

/** Parameter, gradient, mean, mean square. */
type State = readonly [number, number, number, number];

describe('goshawk::adam_step_', () => {
  test("is the paper's update, with the parameter's decay before it", () => {
    const number = fc.double({ min: -3, max: 3, noNaN: true }).map(Math.fround);
    const state = fc.tuple(number, number, number, number.map(Math.abs));
    fc.assert(
      fc.property(fc.array(state, { minLength: 1, maxLength: 40 }), (rows: readonly State[]) =>
        scope(() => {
          const column = (i: 0 | 1 | 2 | 3) => tensor(rows.map((row) => row[i]));
          const [parameter, gradient, mean, square] = [column(0), column(1), column(2), column(3)];
          callOp('goshawk::adam_step_', parameter, gradient, mean, square, 0.99, 0.9, 0.999, 1e-8, 0.05, 0.3);
          const wanted = rows.map(([p, g, m, v]) => {
            const newM = 0.9 * m + 0.1 * g;
            const newV = 0.999 * v + 0.001 * g * g;
            return { p: 0.99 * p - (0.05 * newM) / (Math.sqrt(newV) / 0.3 + 1e-8), m: newM, v: newV };
          });
          assertClose(
            mean,
            wanted.map(({ m }) => m),
            { relative: 1e-5, absolute: 1e-6 },
          );
          assertClose(
            square,
            wanted.map(({ v }) => v),
            { relative: 1e-5, absolute: 1e-9 },
          );
          // Where the mean square is nearly nothing the quotient is of two rounded numbers.
          const sure = rows.map(([, g, , v], i) => (Math.abs(g) + v > 1e-3 ? i : -1)).filter((i) => i >= 0);
          const got = parameter.toNumbers();
          assertClose(
            sure.map((i) => got[i]!),
            sure.map((i) => wanted[i]!.p),
            { relative: 1e-4, absolute: 1e-4 },
          );
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
        callOp('goshawk::adam_step_', parameter, own[1], own[2], own[3], 1, 0.9, 0.999, 1e-8, 0.01, 0.5);
        assert.notEqual(parameter.version, before);
        return parameter.contiguous().toNumbers();
      };
      const plain = run(['contiguous_format', 'contiguous_format', 'contiguous_format', 'contiguous_format']);
      assertClose(run(['channels_last', 'channels_last', 'channels_last', 'channels_last']), plain);
      assertClose(run(['channels_last', 'contiguous_format', 'channels_last', 'channels_last']), plain);
    }));
});
