// The engine's operators as nodes of an ONNX graph, of those that networks of detectors are made of.
import { InputError } from '@goshawk/core';
import type { OpArgument } from '@goshawk/torch';
import type { Attributes, Graph, Operand, Value } from './onnx/graph.js';
import type { AxisPair, RecordedCall } from './recorded-call.js';

type Translation = (graph: Graph, call: RecordedCall) => Value | readonly Value[];

/** @throws InputError naming the operator that has no counterpart here */
export function translate(graph: Graph, call: RecordedCall): readonly Value[] {
  const translation = TRANSLATIONS[call.name];
  if (!translation)
    throw new InputError(
      'config-invalid',
      `model: a part of it, ${call.name}, cannot be exported yet: export a model without it`,
    );
  if (!SIZED.has(call.name) && !sameNumbers(call)) throw unknownForm(call);
  const made = translation(graph, call);
  return Array.isArray(made) ? made : [made as Value];
}

/** Those that are told sizes: what comes out says all, or each number that is open is looked for. */
const SIZED = new Set([
  'aten::view',
  'aten::reshape',
  'aten::flatten.using_ints',
  'aten::upsample_nearest2d',
  'aten::upsample_bilinear2d',
  'aten::arange.start',
  'aten::linspace',
  'aten::expand',
]);

function sameNumbers({ args, otherArgs }: RecordedCall): boolean {
  const plain = (values: readonly OpArgument[]): string =>
    JSON.stringify(values.map((value) => (typeof value === 'number' || isNumbers(value) ? value : null)));
  return plain(args) === plain(otherArgs);
}

function isNumbers(value: OpArgument): boolean {
  return Array.isArray(value) && value.every((item) => typeof item === 'number');
}

const same: Translation = (_, { inputs }) => inputs[0]!;
const unary =
  (operator: string, attributes: Attributes = {}): Translation =>
  (graph, { inputs }) =>
    graph.node(operator, [inputs[0]!], attributes);

/** The second operand: a tensor, or a number. */
function second({ args, inputs }: RecordedCall): Operand {
  return typeof args[1] === 'number' ? args[1] : inputs[1]!;
}

const pair =
  (operation: 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | 'greater' | 'atLeast' | 'less' | 'equal'): Translation =>
  (graph, call) =>
    graph[operation](call.inputs[0]!, second(call));

/** a + alpha * b. */
const sum =
  (operation: 'add' | 'sub'): Translation =>
  (graph, call) => {
    const alpha = call.args[2] ?? 1;
    const other = second(call);
    const scaled = alpha === 1 ? other : graph.mul(other, Number(alpha));
    return graph[operation](call.inputs[0]!, scaled);
  };

/** input + value * a * b. */
const addcmul: Translation = (graph, { inputs: [input, a, b], args }) => {
  const product = graph.mul(a!, b!);
  return graph.add(input!, args[3] === undefined || args[3] === 1 ? product : graph.mul(product, Number(args[3])));
};

const activations = {
  sigmoid: unary('Sigmoid'),
  relu: unary('Relu'),
  hardswish: unary('HardSwish'),
  hardsigmoid: unary('HardSigmoid', { alpha: { float: 1 / 6 }, beta: { float: 0.5 } }),
  silu: ((graph, { inputs: [input] }) => graph.mul(input!, graph.node('Sigmoid', [input!]))) satisfies Translation,
  hardtanh: ((graph, { inputs: [input], args }) =>
    graph.clip(input!, graph.float(Number(args[1] ?? -1)), graph.float(Number(args[2] ?? 1)))) satisfies Translation,
};

const TRANSLATIONS: Readonly<Record<string, Translation>> = {
  'aten::alias': same,
  'aten::contiguous': same,
  'aten::detach': same,
  'aten::clone': same,
  'goshawk::with_bias_gradient': same,
  'aten::copy_': (_, { inputs }) => inputs[1]!,
  'aten::linspace': (graph, call) => {
    const [start, end] = call.args.map(Number) as [number, number];
    const [pair] = call.resultAxes[0]!;
    const length = pair![0] === pair![1] ? graph.integers([pair![0]]) : call.lengthOf(pair!);
    if (length === undefined) throw unknownForm(call);
    const steps = graph.cast(graph.max(graph.sub(length, 1), 1), 'float32');
    const places = graph.cast(graph.range(length), 'float32');
    return graph.add(graph.mul(places, graph.div(graph.float(end - start), steps)), start);
  },
  'aten::expand': (graph, call) => {
    const lengths = call.resultAxes[0]!.map((pair) =>
      pair[0] === pair[1] ? graph.integers([pair[0]]) : call.lengthOf(pair),
    );
    if (lengths.some((length) => length === undefined)) throw unknownForm(call);
    return graph.expand(call.inputs[0]!, graph.concat(lengths as Value[], 0));
  },
  'aten::arange.start': (graph, call) => {
    const [start, end] = call.args.map(Number) as [number, number];
    const dtype = call.args[2] === 'int64' ? 'int64' : 'float32';
    const [pair] = call.resultAxes[0]!;
    const length = pair![0] === pair![1] ? graph.integers([pair![0]]) : call.lengthOf(pair!);
    if (length === undefined || start !== 0 || end !== pair![1]) throw unknownForm(call);
    return graph.cast(graph.range(length), dtype);
  },
  'aten::zeros_like': (graph, { inputs }) =>
    graph.full(graph.shape(inputs[0]!), 0, inputs[0]!.dtype === 'int64' ? 'int64' : 'float32'),
  'aten::to.dtype_layout': toType,
  'aten::to.dtype': toType,

  'aten::sigmoid': activations.sigmoid,
  'aten::sigmoid_': activations.sigmoid,
  'aten::relu': activations.relu,
  'aten::relu_': activations.relu,
  'aten::silu': activations.silu,
  'aten::silu_': activations.silu,
  'aten::hardswish': activations.hardswish,
  'aten::hardswish_': activations.hardswish,
  'aten::hardsigmoid': activations.hardsigmoid,
  'aten::hardsigmoid_': activations.hardsigmoid,
  'aten::hardtanh': activations.hardtanh,
  'aten::hardtanh_': activations.hardtanh,
  'aten::exp': unary('Exp'),
  'aten::log': unary('Log'),
  'aten::sqrt': unary('Sqrt'),
  'aten::floor': unary('Floor'),

  'aten::add.Tensor': sum('add'),
  'aten::add.Scalar': sum('add'),
  'aten::add_.Tensor': sum('add'),
  'aten::sub.Tensor': sum('sub'),
  'aten::sub.Scalar': sum('sub'),
  'aten::mul.Tensor': pair('mul'),
  'aten::mul.Scalar': pair('mul'),
  'aten::mul_.Tensor': pair('mul'),
  'aten::div.Tensor': pair('div'),
  'aten::div.Scalar': pair('div'),
  'aten::minimum': pair('min'),
  'aten::maximum': pair('max'),
  'aten::addcmul': addcmul,
  'aten::addcmul_': addcmul,
  'aten::clamp': (graph, { inputs: [input], args }) => {
    const bound = (value: OpArgument): Value | undefined =>
      value === undefined || value === null
        ? undefined
        : input!.dtype === 'int64'
          ? graph.integers([Number(value)], [])
          : graph.float(Number(value));
    return graph.clip(input!, bound(args[1]), bound(args[2]));
  },

  'aten::conv2d': (graph, { inputs, args, axes }) =>
    graph.node('Conv', inputs.slice(0, 3), {
      ...kernelAttributes(axes[1]!, args[3], args[4], args[5]),
      group: { int: Number(args[6] ?? 1) },
    }),
  'goshawk::depthwise_conv': (graph, { inputs, args, axes }) =>
    graph.node('Conv', inputs.slice(0, 3), {
      ...kernelAttributes(axes[1]!, args[3], args[4], 1),
      group: { int: axes[1]![0]![0] },
    }),
  'aten::conv_transpose2d.input': (graph, { inputs, args, axes }) =>
    graph.node('ConvTranspose', inputs.slice(0, 3), {
      ...kernelAttributes(axes[1]!, args[3], args[4], args[7]),
      output_padding: { ints: both(args[5] ?? 0) },
      group: { int: Number(args[6] ?? 1) },
    }),
  'aten::max_pool2d': (graph, { inputs, args }) =>
    graph.node('MaxPool', [inputs[0]!], {
      ...poolAttributes(args[1], args[2], args[3]),
      dilations: { ints: both(args[4] ?? 1) },
      ceil_mode: { int: args[5] === true ? 1 : 0 },
    }),
  'aten::avg_pool2d': (graph, { inputs, args }) =>
    graph.node('AveragePool', [inputs[0]!], {
      ...poolAttributes(args[1], args[2], args[3]),
      ceil_mode: { int: args[4] === true ? 1 : 0 },
      count_include_pad: { int: args[5] === false ? 0 : 1 },
    }),
  'aten::adaptive_avg_pool2d': (graph, call) => {
    if (both(call.args[1]).some((side) => side !== 1)) throw unknownForm(call);
    return graph.node('GlobalAveragePool', [call.inputs[0]!]);
  },
  'aten::upsample_nearest2d': (graph, call) =>
    resized(graph, call, { mode: 'nearest', coordinates: 'asymmetric', rounding: 'floor' }),
  'aten::upsample_bilinear2d': (graph, call) =>
    resized(graph, call, { mode: 'linear', coordinates: call.args[2] === true ? 'align_corners' : 'half_pixel' }),

  'aten::batch_norm': (graph, { inputs: [input, weight, bias, mean, variance], args }) =>
    graph.node('BatchNormalization', [input!, weight!, bias!, mean!, variance!], {
      epsilon: { float: Number(args[7]) },
    }),
  'aten::layer_norm': (graph, { inputs: [input, weight, bias], args }) =>
    graph.node('LayerNormalization', [input!, weight, bias], {
      axis: { int: -(args[1] as readonly OpArgument[]).length },
      epsilon: { float: Number(args[4] ?? 1e-5) },
    }),
  'goshawk::group_norm': groupNorm,
  'aten::group_norm': groupNorm,

  'aten::linear': (graph, { inputs: [input, weight, bias] }) => {
    const product = graph.node('MatMul', [input!, graph.transpose(weight!, [1, 0])]);
    return bias ? graph.add(product, bias) : product;
  },
  'aten::matmul': (graph, { inputs }) => graph.node('MatMul', inputs),
  'aten::bmm': (graph, { inputs }) => graph.node('MatMul', inputs),
  'aten::softmax.int': (graph, { inputs, args }) =>
    graph.node('Softmax', [inputs[0]!], { axis: { int: Number(args[1]) } }),

  'aten::view': reshaped,
  'aten::reshape': reshaped,
  'aten::flatten.using_ints': reshaped,
  'aten::unflatten.int': reshaped,
  'aten::permute': (graph, { inputs, args }) => graph.transpose(inputs[0]!, args[1] as readonly number[]),
  'aten::transpose.int': (graph, { inputs, args, axes }) => {
    const order = axes[0]!.map((_, axis) => axis);
    const [a, b] = [args[1], args[2]].map((axis) => (Number(axis) + order.length) % order.length) as [number, number];
    return graph.transpose(inputs[0]!, order.with(a, b).with(b, a));
  },
  'aten::unsqueeze': (graph, { inputs, args }) => graph.unsqueeze(inputs[0]!, Number(args[1])),
  'aten::squeeze.dim': (graph, { inputs, args }) => graph.squeeze(inputs[0]!, Number(args[1])),
  'aten::select.int': (graph, { inputs, args }) => graph.select(inputs[0]!, Number(args[1]), Number(args[2])),
  'aten::narrow': (graph, { inputs, args }) =>
    graph.slice(inputs[0]!, Number(args[1]), Number(args[2]), Number(args[2]) + Number(args[3])),
  'aten::cat': (graph, { inputs, args }) => graph.concat(inputs, Number(args[1] ?? 0)),
  'aten::stack': (graph, { inputs, args }) => {
    const axis = Number(args[1] ?? 0);
    return graph.concat(
      inputs.map((input) => graph.unsqueeze(input, axis)),
      axis,
    );
  },
  'aten::split.Tensor': (graph, { inputs, shapes, args }) => {
    const axis = Number(args[2] ?? 0);
    const lengths = graph.integers(shapes.map((shape) => shape.at(axis)!));
    const dtypes = shapes.map(() => inputs[0]!.dtype);
    return graph.nodes('Split', [inputs[0]!, lengths], dtypes, { axis: { int: axis } });
  },
  'aten::unbind.int': (graph, { inputs, shapes, args }) =>
    shapes.map((_, index) => graph.select(inputs[0]!, Number(args[1] ?? 0), index)),
  'aten::chunk': (graph, { inputs, shapes, args }) => {
    const axis = Number(args[2] ?? 0);
    const lengths = graph.integers(shapes.map((shape) => shape.at(axis)!));
    const dtypes = shapes.map(() => inputs[0]!.dtype);
    return graph.nodes('Split', [inputs[0]!, lengths], dtypes, { axis: { int: axis } });
  },
  'aten::index_select': (graph, { inputs, args }) => graph.gather(inputs[0]!, inputs[1]!, Number(args[1])),
  'aten::mean.dim': (graph, { inputs, args }) =>
    graph.node('ReduceMean', [inputs[0]!], {
      axes: { ints: (args[1] as readonly OpArgument[]).map(Number) },
      keepdims: { int: args[2] === true ? 1 : 0 },
    }),
};

function toType(graph: Graph, { inputs, args }: RecordedCall): Value {
  const dtype = args[1];
  if (dtype === undefined || dtype === null || dtype === inputs[0]!.dtype) return inputs[0]!;
  if (dtype === 'float32' || dtype === 'int64' || dtype === 'bool') return graph.cast(inputs[0]!, dtype);
  throw new Error(`internal: a network that computes in ${String(dtype)} cannot be exported`);
}

/** Spelled out: ONNX's own of opset 18 has a factor a group, and that of 21 is not in every runtime. */
function groupNorm(graph: Graph, { inputs: [input, weight, bias], args, axes }: RecordedCall): Value {
  const groups = Number(args[1]);
  const epsilon = Number(args[4] ?? 1e-5);
  const rank = axes[0]!.length;
  const grouped = graph.reshape(input!, [0, groups, -1]);
  const ones = graph.floats(new Float32Array(groups).fill(1), [groups], 'ones');
  const zeros = graph.floats(new Float32Array(groups), [groups], 'zeros');
  const normal = graph.node('InstanceNormalization', [grouped, ones, zeros], { epsilon: { float: epsilon } });
  const shaped = graph.reshape(normal, graph.shape(input!));
  const perChannel = (value: Value): Value =>
    rank > 2 ? graph.reshape(value, [-1, ...Array.from({ length: rank - 2 }, () => 1)]) : value;
  return graph.add(graph.mul(shaped, perChannel(weight!)), perChannel(bias!));
}

/** To the shape that comes out, which says all, whatever the arguments were. */
function reshaped(graph: Graph, call: RecordedCall): Value {
  const [axes = []] = call.resultAxes;
  const [from = []] = call.axes;
  const open = axes.map((pair, axis) => ({ pair, axis })).filter(({ pair }) => pair[0] !== pair[1]);
  const isCopied = ({ pair, axis }: (typeof open)[number]): boolean =>
    from[axis] !== undefined && from[axis]![0] === pair[0] && from[axis]![1] === pair[1];
  const others = open.filter((each) => !isCopied(each));
  if (others.length <= 1) {
    return graph.reshape(
      call.inputs[0]!,
      axes.map((pair, axis) => {
        if (pair[0] === pair[1]) return pair[0];
        return others[0]?.axis === axis ? -1 : 0;
      }),
    );
  }
  const lengths = axes.map((pair) => (pair[0] === pair[1] ? graph.integers([pair[0]]) : call.lengthOf(pair)));
  if (lengths.some((length) => length === undefined)) throw unknownForm(call);
  return graph.reshape(call.inputs[0]!, graph.concat(lengths as Value[], 0));
}

function resized(
  graph: Graph,
  call: RecordedCall,
  how: { readonly mode: 'nearest' | 'linear'; readonly coordinates: string; readonly rounding?: string },
): Value {
  const [, , height, width] = call.resultAxes[0]!;
  const [input] = call.inputs;
  const attributes: Attributes = {
    mode: { text: how.mode },
    coordinate_transformation_mode: { text: how.coordinates },
    ...(how.rounding && { nearest_mode: { text: how.rounding } }),
  };
  const isFixed = height![0] === height![1] && width![0] === width![1];
  const sides = isFixed ? graph.integers([height![0], width![0]]) : call.areaOf([height!, width!]);
  if (sides) {
    const sizes = graph.concat([graph.slice(graph.shape(input!), 0, 0, 2), sides], 0);
    return graph.node('Resize', [input!, undefined, undefined, sizes], attributes);
  }
  const [, , fromHeight, fromWidth] = call.axes[0]!;
  const ratios = [height![0] / fromHeight![0], width![0] / fromWidth![0]];
  const isRatio = height![1] === ratios[0]! * fromHeight![1] && width![1] === ratios[1]! * fromWidth![1];
  if (!isRatio) throw unknownForm(call);
  const scales = graph.floats(Float32Array.of(1, 1, ...ratios), [4], 'scales');
  return graph.node('Resize', [input!, undefined, scales], attributes);
}

function unknownForm({ name }: RecordedCall): InputError {
  return new InputError(
    'config-invalid',
    `model: a part of it, ${name}, is used in a form that cannot be exported yet: export a model without it`,
  );
}

function kernelAttributes(
  weight: readonly AxisPair[],
  stride: OpArgument,
  padding: OpArgument,
  dilation: OpArgument,
): Attributes {
  return {
    kernel_shape: { ints: weight.slice(2).map(([length]) => length) },
    strides: { ints: both(stride ?? 1) },
    pads: { ints: [...both(padding ?? 0), ...both(padding ?? 0)] },
    dilations: { ints: both(dilation ?? 1) },
  };
}

function poolAttributes(kernel: OpArgument, stride: OpArgument, padding: OpArgument): Attributes {
  const isGiven = Array.isArray(stride) ? stride.length > 0 : stride !== undefined && stride !== null;
  return {
    kernel_shape: { ints: both(kernel) },
    strides: { ints: both(isGiven ? stride : kernel) },
    pads: { ints: [...both(padding ?? 0), ...both(padding ?? 0)] },
  };
}

/** One number stands for both directions. */
function both(value: OpArgument): readonly number[] {
  if (!Array.isArray(value)) return [Number(value), Number(value)];
  return value.length === 1 ? [Number(value[0]), Number(value[0])] : value.map(Number);
}
