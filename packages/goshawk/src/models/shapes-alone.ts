// Runs models without computing: tensors have shapes and no memory (the engine's meta device), so that a model of any size
// on a picture of any size takes a moment.
import {
  callTensorOp,
  interceptOperators,
  type OpArgument,
  type OperatorInterceptor,
  type OpResult,
  type Tensor,
} from '@goshawk/torch';

/** Told of every call of an operator with its result. */
export type OperatorObserver = (name: string, args: readonly OpArgument[], result: OpResult) => void;

/**
 * Runs `body`, in which every tensor made, a model's parameters too, has a shape alone: values cannot be read.
 * Tensors from outside must not be computed with inside.
 */
export function withShapesAlone<T>(body: () => T, observe: OperatorObserver = () => {}): T {
  return interceptOperators((name, args, proceed) => {
    const result = shapeOf(name, args, proceed);
    observe(name, args, result);
    return result;
  }, body);
}

// Where the device stands in the schemas of what makes tensors from nothing.
const devicePlaces: Readonly<Record<string, number>> = {
  'aten::empty.memory_format': 3,
  'aten::full': 4,
  'aten::arange.start': 4,
  'aten::linspace': 5,
  'aten::randn': 3,
  'aten::rand': 3,
};

/** What libtorch 1.13 has no shape rule for is done here, the rest is the engine's. */
function shapeOf(name: string, args: readonly OpArgument[], proceed: Parameters<OperatorInterceptor>[2]): OpResult {
  const device = devicePlaces[name];
  if (device !== undefined) {
    const onMeta = [...args];
    while (onMeta.length <= device) onMeta.push(undefined);
    return proceed(onMeta.with(device, 'meta'));
  }
  switch (name) {
    case 'aten::conv2d':
      return convolved(args);
    case 'aten::conv_transpose2d.input':
      return upConvolved(args);
    case 'aten::relu':
    case 'aten::batch_norm':
    case 'aten::layer_norm':
    case 'goshawk::batch_norm':
    case 'goshawk::group_norm':
    case 'goshawk::with_bias_gradient':
      return made((args[0] as Tensor).shape);
    default:
      return proceed(args);
  }
}

function made(shape: readonly number[]): Tensor {
  return callTensorOp('aten::empty.memory_format', shape, 'float32', undefined, 'meta');
}

function convolved([input, weight, , stride = 1, padding = 0, dilation = 1]: readonly OpArgument[]): Tensor {
  const [count = 0, , height = 0, width = 0] = (input as Tensor).shape;
  const [channels = 0, , ...kernel] = (weight as Tensor).shape;
  const side = (length: number, axis: 0 | 1): number => {
    const reach = along(dilation, axis) * (kernel[axis]! - 1) + 1;
    return Math.floor((length + 2 * along(padding, axis) - reach) / along(stride, axis)) + 1;
  };
  return made([count, channels, side(height, 0), side(width, 1)]);
}

function upConvolved([
  input,
  weight,
  ,
  stride = 1,
  padding = 0,
  outputPadding = 0,
  groups = 1,
  dilation = 1,
]: readonly OpArgument[]): Tensor {
  const [count = 0, , height = 0, width = 0] = (input as Tensor).shape;
  const [, channels = 0, ...kernel] = (weight as Tensor).shape;
  const side = (length: number, axis: 0 | 1): number =>
    (length - 1) * along(stride, axis) -
    2 * along(padding, axis) +
    along(dilation, axis) * (kernel[axis]! - 1) +
    along(outputPadding, axis) +
    1;
  return made([count, channels * Number(groups), side(height, 0), side(width, 1)]);
}

/** One number stands for both directions. */
function along(pair: OpArgument, axis: 0 | 1): number {
  return Number(Array.isArray(pair) ? pair[axis] : pair);
}
