import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { batchedNms, scope, setThreads, tensor } from '@goshawk/torch';
import type { BoxConvention } from '../models/conventions.js';
import { openOnnxRuntime, SKIPPED } from '../testing/exported-detector.js';
import { inputErrorOf } from '../testing/input-error.js';
import { emitGroupSuppression, NO_CANDIDATE, overlapThreshold } from './emit-suppression.js';
import { Graph } from './onnx/graph.js';
import { encodeModel } from './onnx/model-proto.js';

setThreads(1);
const ort = await openOnnxRuntime();

describe('suppression in a graph', { skip: ort ? false : SKIPPED }, () => {
  /** Whether the second of two boxes of one group stays, by a graph. */
  async function openGraph(convention: BoxConvention) {
    const graph = new Graph();
    const [boxes, scores] = [graph.input('boxes', 'float32', [1, 2, 4]), graph.input('scores', 'float32', [1, 2])];
    const threshold = graph.input('threshold', 'float32', [1]);
    graph.output('kept', emitGroupSuppression(graph, boxes, scores, { threshold, convention }), [1, 2]);
    const bytes = encodeModel(graph.finish({ producer: 'test', metadata: {} }));
    const session = await ort!.InferenceSession.create(bytes, { logSeverityLevel: 3 });
    const floats = (values: readonly number[], ...shape: number[]) =>
      new ort!.Tensor('float32', Float32Array.from(values), shape);
    const stays = async (corners: readonly number[], wanted: number): Promise<boolean> => {
      const found = await session.run({
        boxes: floats(corners, 1, 2, 4),
        scores: floats([0.9, 0.8], 1, 2),
        threshold: floats([overlapThreshold(wanted, convention, 'head.nmsThreshold')], 1),
      });
      return (found.kept!.data as Float32Array)[1] !== NO_CANDIDATE;
    };
    return { stays, release: () => session.release() };
  }

  const staysInEngine = (boxes: readonly number[], threshold: number, convention: BoxConvention): boolean =>
    scope(() => {
      const isInclusive = convention === 'inclusive';
      const kept = batchedNms(
        tensor([...boxes], { shape: [2, 4] }),
        tensor([0.9, 0.8]),
        tensor(BigInt64Array.of(0n, 0n)),
        threshold,
        {
          plusOne: isInclusive,
          suppressEqual: isInclusive,
        },
      );
      return kept.size(0) === 2;
    });

  for (const convention of ['continuous', 'inclusive'] as const)
    test(`${convention} boxes whose overlap is the threshold go as in the engine, and so do those just beside it`, async () => {
      const last = convention === 'inclusive' ? 1 : 0;
      const graph = await openGraph(convention);
      let [stayed, gone] = [0, 0];
      for (let tenths = 1; tenths <= 9; tenths++) {
        // A square of ten pixels, and its part of so many rows: their overlap is exactly so many tenths.
        const boxes = [0, 0, 10 - last, 10 - last, 0, 0, 10 - last, tenths - last];
        for (const threshold of [tenths / 10, tenths / 10 - 1e-6, tenths / 10 + 1e-6]) {
          const own = staysInEngine(boxes, threshold, convention);
          assert.equal(await graph.stays(boxes, threshold), own, `${tenths} tenths, at ${threshold}`);
          if (own) stayed++;
          else gone++;
        }
      }
      await graph.release();
      assert.ok(stayed >= 9 && gone >= 9);
    });

  test('refuses to let inclusive boxes go at no overlap at all', () => {
    const message = inputErrorOf(() => overlapThreshold(0, 'inclusive', 'rpn.nmsThreshold'));
    assert.match(message, /^model\.rpn\.nmsThreshold: 0 leaves one box .*: give a threshold above 0$/);
    assert.equal(overlapThreshold(0, 'continuous', 'rpn.nmsThreshold'), 0);
  });
});
