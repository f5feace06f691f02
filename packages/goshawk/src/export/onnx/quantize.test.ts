import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openOnnxRuntime, SKIPPED } from '../../testing/exported-detector.js';
import { Graph } from './graph.js';
import { encodeModel, type OnnxModel } from './model-proto.js';
import { planQuantization, quantize, withRanges } from './quantize.js';

const ort = await openOnnxRuntime();
const CHANNELS = 32;

/** Numbers around 0, the same at every run. */
function wave(count: number, factor: number): Float32Array {
  return Float32Array.from({ length: count }, (_, i) => factor * Math.sin(1.7 * i + 0.1 * i * i));
}

/** A picture, a convolution that reads it, two in a row with a shortcut, and one whose output is read as it is. */
function smallNetwork(): OnnxModel {
  const graph = new Graph();
  const conv = (input: Parameters<Graph['node']>[1][number], inputs: number, outputs: number, name: string) =>
    graph.node(
      'Conv',
      [
        input,
        graph.floats(
          wave(outputs * inputs * 9, (0.1 * name.charCodeAt(0)) / 30 / inputs),
          [outputs, inputs, 3, 3],
          `${name}.weight`,
        ),
        graph.floats(wave(outputs, 0.2), [outputs], `${name}.bias`),
      ],
      { kernel_shape: { ints: [3, 3] }, pads: { ints: [1, 1, 1, 1] } },
    );
  const images = graph.input('images', 'float32', [1, 16, 16, 3]);
  const stem = graph.node('Relu', [conv(graph.transpose(images, [0, 3, 1, 2]), 3, CHANNELS, 'stem')]);
  const first = graph.node('Relu', [conv(stem, CHANNELS, CHANNELS, 'first')]);
  const second = conv(first, CHANNELS, CHANNELS, 'second');
  const sum = graph.node('Relu', [graph.add(second, stem)]);
  graph.output('map', conv(sum, CHANNELS, CHANNELS, 'last'), [1, CHANNELS, 16, 16]);
  return graph.finish({ producer: 'test', metadata: {} });
}

describe('planQuantization', () => {
  test('takes what lies between the picture and the numbers that are read', () => {
    const { layers, folded } = planQuantization(smallNetwork());
    assert.deepEqual(
      [...layers.keys()].map(({ inputs }) => inputs[1]),
      ['first.weight', 'second.weight'],
    );
    // Of the first layer, and of the sum.
    assert.equal(folded.size, 2);
  });
});

describe('quantize', { skip: ort ? false : SKIPPED }, () => {
  test('stays within some steps of the floats, with a quarter of the bytes of its layers', async () => {
    const model = smallNetwork();
    const plan = planQuantization(model);
    const feeds = { images: new ort!.Tensor('float32', wave(16 * 16 * 3, 1), [1, 16, 16, 3]) };
    const run = async (own: OnnxModel): Promise<Record<string, Float32Array>> => {
      const session = await ort!.InferenceSession.create(encodeModel(own), { logSeverityLevel: 3 });
      const outputs = await session.run(feeds);
      return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
    };
    const measured = await run(withRanges(model, plan));
    const values = [...new Set(plan.rounded.values())];
    const ranges = new Map(
      values.map((value) => [
        value,
        { low: measured[`${value} lowest`]![0]!, high: measured[`${value} highest`]![0]! },
      ]),
    );
    const bytes = quantize(model, plan, ranges);
    const { map } = await run(bytes);
    const error = Math.sqrt(
      map!.reduce((total, value, i) => total + (value - measured.map![i]!) ** 2, 0) / map!.length,
    );
    const size = Math.sqrt(measured.map!.reduce((total, value) => total + value ** 2, 0) / map!.length);
    assert.ok(error / size < 0.02, `${error} of ${size}`);
    assert.equal(bytes.nodes.filter(({ operator }) => operator === 'Relu').length, 1);
    assert.equal(bytes.initializers.get('first.weight bytes')!.data.length, CHANNELS * CHANNELS * 9);
    assert.ok(!bytes.initializers.has('first.weight'));
  });
});
