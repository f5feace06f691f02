import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { openOnnxRuntime, SKIPPED } from '../../testing/exported-detector.js';
import { Graph } from './graph.js';
import { fewestHalved, isHalved, toHalves } from './halves.js';
import { encodeModel, type OnnxModel } from './model-proto.js';
import { MessageWriter } from './protobuf.js';

const ort = await openOnnxRuntime();
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');

describe('MessageWriter', () => {
  // The examples of protobuf.dev/programming-guides/encoding.
  test("writes the bytes of the format's own examples", () => {
    assert.equal(hex(new MessageWriter().integer(1, 150).finish()), '089601');
    assert.equal(hex(new MessageWriter().string(2, 'testing').finish()), '120774657374696e67');
    const inner = new MessageWriter().integer(1, 150);
    assert.equal(hex(new MessageWriter().message(3, inner).finish()), '1a03089601');
    assert.equal(hex(new MessageWriter().integers(6, [3, 270, 86942]).finish()), '3206038e029ea705');
    assert.equal(hex(new MessageWriter().integer(1, -2).finish()), '08feffffffffffffffff01');
    assert.equal(hex(new MessageWriter().float(1, 1).finish()), '0d0000803f');
  });
});

describe('toHalves', () => {
  test('rounds to the nearest half, a middle to the even one', () => {
    const cases = [
      [0, 0x0000],
      [-0, 0x8000],
      [1, 0x3c00],
      [-2, 0xc000],
      [65504, 0x7bff],
      [65519, 0x7bff],
      [65520, 0x7c00],
      [Number.POSITIVE_INFINITY, 0x7c00],
      // Between 1 and the next half, 1 + 2^-10: the middle goes to 1, what is above it does not.
      [1 + 2 ** -11, 0x3c00],
      [1 + 2 ** -11 + 2 ** -20, 0x3c01],
      [1 + 3 * 2 ** -11, 0x3c02],
      [2 ** -14, 0x0400],
      [2 ** -24, 0x0001],
      [2 ** -25, 0x0000],
      [2 - 2 ** -12, 0x4000],
    ] as const;
    assert.deepEqual(
      [...toHalves(Float32Array.from(cases, ([value]) => value))],
      cases.map(([, bits]) => bits),
    );
  });
});

describe('fewestHalved', () => {
  test('leaves the smallest weights that are a fourteenth of all together, and what has one axis, as they are', () => {
    // 4,000 of 100,000 and 3,000 more are within seven hundredths, the next are not.
    const shapes = [[40, 100], [30, 100], [50, 100], [88, 1000], [90_000]];
    const fewest = fewestHalved(shapes);
    assert.deepEqual(
      shapes.map((shape) => isHalved(shape, fewest)),
      [false, false, true, true, false],
    );
  });

  test('halves no handful of numbers', () => {
    assert.equal(fewestHalved([[10, 10]]), 1024);
  });
});

describe('encodeModel', () => {
  const ADDITION: OnnxModel = {
    opset: 17,
    producer: 'g',
    inputs: [{ name: 'a', dtype: 'float32', shape: ['n', 2] }],
    outputs: [{ name: 'c', dtype: 'float32', shape: ['n', 2] }],
    nodes: [{ operator: 'Add', name: 'd', inputs: ['a', 'b'], outputs: ['c'], attributes: {} }],
    initializers: new Map([['b', { dtype: 'float32', shape: [1], data: new Uint8Array(Float32Array.of(1).buffer) }]]),
    metadata: { k: 'v' },
  };

  test('numbers fields as onnx.proto does', () => {
    const graph = [
      '0a110a01610a01621201631a01642203416464', // node: inputs, output, name, operator
      '120864657465 63746f72', // name
      '2a0d08011001420162 4a040000803f', // initializer: dims, type, name, raw data
      '5a140a0161120f0a0d0801120 90a0312016e0a020802', // input: name, type, axes
      '62140a0163120f0a0d0801120 90a0312016e0a020802',
    ]
      .join('')
      .replaceAll(' ', '');
    const length = (graph.length / 2).toString(16).padStart(2, '0');
    assert.equal(
      hex(encodeModel(ADDITION)),
      `0808120167 3a${length}${graph}42040a0010117206 0a016b120176`.replaceAll(' ', ''),
    );
  });

  test('is loaded and run by ONNX Runtime', { skip: ort ? false : SKIPPED }, async () => {
    const session = await ort!.InferenceSession.create(encodeModel(ADDITION));
    const { c } = await session.run({ a: new ort!.Tensor('float32', Float32Array.of(1, 2, 3, 4), [2, 2]) });
    assert.deepEqual([...(c!.data as Float32Array)], [2, 3, 4, 5]);
  });
});

describe('Graph', () => {
  test('stores equal constants once and leaves out what no output needs', () => {
    const graph = new Graph();
    const input = graph.input('x', 'float32', ['n']);
    const twice = graph.add(graph.add(input, graph.float(2)), graph.float(2));
    graph.mul(twice, graph.float(7));
    graph.output('y', twice, ['n']);
    const { nodes, initializers } = graph.finish({ producer: 'g', metadata: {} });
    assert.deepEqual(
      nodes.map(({ operator }) => operator),
      ['Add', 'Add', 'Identity'],
    );
    assert.equal(initializers.size, 1);
  });
});
