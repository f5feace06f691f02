// The cost of one call of an operator on tensors of two elements: by name, as a typed function, as a method; and what
// the engine's own part in it is not (a call that does nothing in C++ but look up a tensor).
//
//     node bench/dist/op-call.js [--calls 200000] [--rounds 5]
//
// Nanoseconds a call, the median of the rounds and their range; the results are freed by scopes of 100 calls.
import { parseArgs } from 'node:util';
import { callOp, keep, liveTensors, ones, ops, scope, setThreads, zeros } from '@goshawk/torch';

const { values: options } = parseArgs({
  options: { calls: { type: 'string', default: '200000' }, rounds: { type: 'string', default: '5' } },
});
const calls = Number(options.calls);
const rounds = Number(options.rounds);
const callsInScope = 100;

setThreads(1);
const before = liveTensors();
const [a, b, picture, weight] = keep([ones([2]), ones([2]), zeros([1, 1, 3, 3]), zeros([1, 1, 1, 1])]);
const cases: readonly (readonly [name: string, call: () => unknown])[] = [
  ['strides: no operator', () => a.strides],
  ["callOp('aten::relu', a)", () => callOp('aten::relu', a)],
  ['ops.relu(a)', () => ops.relu(a)],
  ['a.relu()', () => a.relu()],
  ["callOp('aten::add.Tensor', a, b)", () => callOp('aten::add.Tensor', a, b)],
  ['ops.add(a, b)', () => ops.add(a, b)],
  ['a.add(b)', () => a.add(b)],
  ['a.add(b, { alpha: 2 })', () => a.add(b, { alpha: 2 })],
  ["callOp('aten::view', a, [2, 1])", () => callOp('aten::view', a, [2, 1])],
  ['a.view([2, 1])', () => a.view([2, 1])],
  ["callOp('aten::max.dim', a, 0)", () => callOp('aten::max.dim', a, 0)],
  ['a.max(0)', () => a.max(0)],
  ["callOp('aten::conv2d', x, w, null, 2, 1)", () => callOp('aten::conv2d', picture, weight, null, 2, 1)],
  ['ops.conv2d(x, w, { stride: 2, padding: 1 })', () => ops.conv2d(picture, weight, { stride: 2, padding: 1 })],
];

const times = cases.map((): number[] => []);
for (let round = 0; round <= rounds; round++) {
  for (const [i, [, call]] of cases.entries()) {
    const nanoseconds = timeOf(call);
    // The first round warms up.
    if (round > 0) times[i]?.push(nanoseconds);
  }
}
for (const [i, [name]] of cases.entries()) {
  const sorted = (times[i] ?? []).sort((x, y) => x - y);
  const [lowest, middle, highest] = [0, sorted.length >> 1, sorted.length - 1].map((k) => (sorted[k] ?? 0).toFixed(0));
  console.log(`${name.padEnd(46)} ${middle?.padStart(6)} ns   (${lowest} to ${highest})`);
}
for (const tensor of [a, b, picture, weight]) tensor.dispose();
console.log(`tensors alive after ${calls * cases.length * (rounds + 1)} calls: ${liveTensors() - before}`);

function timeOf(call: () => unknown): number {
  const start = process.hrtime.bigint();
  for (let i = 0; i < calls; i += callsInScope)
    scope(() => {
      for (let j = 0; j < callsInScope; j++) call();
    });
  return Number(process.hrtime.bigint() - start) / calls;
}
