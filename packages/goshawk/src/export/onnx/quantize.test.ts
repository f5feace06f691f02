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

/** Convolutions of equal weights over a picture of ones: ones everywhere, by sums of the largest bytes. */
function networkOfOnes(): OnnxModel {
  const graph = new Graph();
  const conv = (input: Parameters<Graph['node']>[1][number], inputs: number, name: string) =>
    graph.node(
      'Conv',
      [input, graph.floats(new Float32Array(CHANNELS * inputs).fill(1 / inputs), [CHANNELS, inputs, 1, 1], name)],
      { kernel_shape: { ints: [1, 1] } },
    );
  const images = graph.input('images', 'float32', [1, 16, 16, 3]);
  const stem = conv(graph.transpose(images, [0, 3, 1, 2]), 3, 'stem');
  graph.output('map', conv(conv(stem, CHANNELS, 'middle'), CHANNELS, 'last'), [1, CHANNELS, 16, 16]);
  return graph.finish({ producer: 'test', metadata: {} });
}

describe('quantize', { skip: ort ? false : SKIPPED }, () => {
  test('stays within some steps of the floats, with a quarter of the bytes of its layers', async () => {
    const { model, map, floats } = await inBytes(smallNetwork(), wave(16 * 16 * 3, 1));
    const error = Math.sqrt(map.reduce((total, value, i) => total + (value - floats[i]!) ** 2, 0) / map.length);
    const size = Math.sqrt(floats.reduce((total, value) => total + value ** 2, 0) / map.length);
    assert.ok(error / size < 0.005, `${error} of ${size}`);
    assert.equal(model.nodes.filter(({ operator }) => operator === 'Relu').length, 1);
    assert.equal(model.initializers.get('first.weight bytes')!.data.length, CHANNELS * CHANNELS * 9);
    assert.ok(!model.initializers.has('first.weight'));
  });

  test('gives sums of the largest bytes that no processor cuts off', async () => {
    const { model, map } = await inBytes(networkOfOnes(), new Float32Array(16 * 16 * 3).fill(1));
    assert.ok(model.initializers.has('middle bytes'));
    for (const value of map) assert.ok(Math.abs(value - 1) < 1e-5, `${value}`);
  });
});

/** A network in bytes, its ranges those of this picture, and what it and the floats make of the picture. */
async function inBytes(
  own: OnnxModel,
  picture: Float32Array,
): Promise<{ readonly model: OnnxModel; readonly map: Float32Array; readonly floats: Float32Array }> {
  const plan = planQuantization(own);
  const run = async (model: OnnxModel): Promise<Record<string, Float32Array>> => {
    const session = await ort!.InferenceSession.create(encodeModel(model), { logSeverityLevel: 3 });
    const outputs = await session.run({ images: new ort!.Tensor('float32', picture, [1, 16, 16, 3]) });
    return Object.fromEntries(Object.entries(outputs).map(([name, { data }]) => [name, data as Float32Array]));
  };
  const measured = await run(withRanges(own, plan));
  const endOf = (value: string, end: 'lowest' | 'highest'): number => measured[`${value} ${end}`]![0]!;
  const ranges = new Map(
    Array.from(plan.rounded.values(), (value) => [
      value,
      { low: endOf(value, 'lowest'), high: endOf(value, 'highest') },
    ]),
  );
  const model = quantize(own, plan, ranges);
  const { map } = await run(model);
  return { model, map: map!, floats: measured.map! };
}
