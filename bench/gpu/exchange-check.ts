// Each exchange between processes on a device, in a group of one, which must leave everything as it was:
//   node bench/dist/gpu/exchange-check.js DEVICE
// A row of JSON an exchange. One card cannot show more: NCCL takes each for one process alone.
import {
  BatchNorm2d,
  GradientReducer,
  manualSeed,
  openProcessGroup,
  ops,
  randn,
  scope,
  type Tensor,
} from '@goshawk/torch';
import { messageOf, say } from './child-lines.js';
import { compareTensors } from './compare-tensors.js';

const [, , device = 'cpu'] = process.argv;
const group = openProcessGroup({ rank: 0, size: 1, host: '127.0.0.1', port: 0, timeoutMs: 30_000, device });

row('reductions', () => {
  for (const reduction of ['sum', 'mean', 'largest', 'smallest'] as const) {
    const values = randn([1000], { device });
    const before = values.clone();
    group.allReduce(values, reduction);
    requireEqual(values, before, reduction);
  }
});
row('broadcast and gathering', () => {
  const values = randn([3, 5], { device });
  const before = values.clone();
  group.broadcast(values);
  requireEqual(values, before, 'broadcast');
  const all = group.allGather(values);
  if (all.length !== 1) throw new Error(`${all.length} tensors were gathered`);
  requireEqual(all[0]!, before, 'gathered');
  const bytes = group.allGatherBytes(Uint8Array.of(1, 2, 3));
  if (bytes.map(String).join() !== '1,2,3') throw new Error(`the gathered bytes are ${bytes}`);
  group.barrier();
});
row('gradients in pieces', () => {
  const layers = Array.from({ length: 6 }, () => new BatchNorm2d(64));
  for (const layer of layers) layer.to({ device });
  const input = randn([2, 64, 8, 8], { device });
  const named = layers.flatMap((layer, index) =>
    [...layer.namedParameters()].map(([name, parameter]) => [`${index}.${name}`, parameter] as const),
  );
  const backward = (): Tensor[] => {
    scope(() => ops.sum(layers.reduce((value, layer) => ops.relu(layer.forward(value)), input)).backward());
    return named.map(([, parameter]) => parameter.grad!.clone());
  };
  const wanted = backward();
  for (const [, parameter] of named) parameter.grad = undefined;
  // Pieces of a few kilobytes: several of them, of which the first go while the rest is computed.
  const reducer = new GradientReducer(group, named, { bucketBytes: 1024 });
  reducer.begin();
  backward();
  const { missingHere, missingEverywhere } = reducer.finish(2);
  if (missingHere.length + missingEverywhere.length > 0) throw new Error(`without gradients: ${missingHere}`);
  for (const [index, [name, parameter]] of named.entries())
    requireEqual(ops.mul(parameter.grad!, 2) as Tensor, wanted[index]!, name);
  reducer.close();
});
group.close();

function row(name: string, body: () => void): void {
  const started = performance.now();
  try {
    manualSeed(1);
    scope(body);
    group.settle();
    say({ name, state: 'ok', detail: `as they were; ${(performance.now() - started).toFixed(1)} ms` });
  } catch (error) {
    say({ name, state: 'failed', detail: messageOf(error) });
  }
}

function requireEqual(got: Tensor, wanted: Tensor, name: string): void {
  const { problem } = compareTensors(got.detach(), wanted.detach());
  if (problem !== undefined) throw new Error(`${name} ${problem}`);
}
