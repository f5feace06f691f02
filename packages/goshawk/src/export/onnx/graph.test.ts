import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ops, scope, setThreads, tensor } from '@goshawk/torch';
import { openOnnxRuntime, SKIPPED } from '../../testing/exported-detector.js';
import { Graph } from './graph.js';
import { encodeModel } from './model-proto.js';

setThreads(1);
const ort = await openOnnxRuntime();

describe('Graph', { skip: ort ? false : SKIPPED }, () => {
  test('gives probabilities that are equal, and in the same order, as in the engine, also where they are near 1', async () => {
    const graph = new Graph();
    const logits = graph.input('logits', 'float32', ['count']);
    graph.output('scores', graph.probability(logits), ['count']);
    const bytes = encodeModel(graph.finish({ producer: 'test', metadata: {} }));
    const session = await ort!.InferenceSession.create(bytes, { logSeverityLevel: 3 });
    // In steps of a few last digits from 10.8 on, where a float32 has some 30 probabilities up to 1; then everywhere.
    const values = [
      ...Array.from({ length: 2000 }, (_, i) => 10.8 + i * 2e-6),
      ...Array.from({ length: 2001 }, (_, i) => -100 + i / 10),
    ];
    const data = Float32Array.from(values);
    const { scores } = await session.run({ logits: new ort!.Tensor('float32', data, [data.length]) });
    await session.release();
    const found = scores!.data as Float32Array;
    const own = scope(() => ops.sigmoid(tensor(data)).toFloat32Array());
    for (const i of values.slice(0, 2000).keys()) {
      assert.equal(found[i], own[i]);
      if (i > 0) assert.ok(found[i]! >= found[i - 1]!);
    }
    // Elsewhere the last digit of the exponential may show, and what the engine counts as zero.
    const smallestNormal = 2 ** -126;
    for (const i of values.keys()) assert.ok(Math.abs(found[i]! - own[i]!) <= 2.4e-7 * own[i]! + smallestNormal);
  });
});
