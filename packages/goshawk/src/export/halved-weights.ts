// The engine with weights as an fp16 file stores them: what the file is to compute, to the last bits. How far that is from the weights
// themselves is the price of halves, whatever runs the file.
import { allowWinograd, interceptOperators, type OpArgument, Tensor } from '@goshawk/torch';
import type { Detector } from '../models/index.js';
import { fewestHalved, isHalved } from './onnx/halves.js';

/** Runs `body` with the weights of `model` rounded where an fp16 file rounds them: folded ones behind their folding. */
export function withHalvedWeights<T>(model: Detector, body: () => T): T {
  const state = [...model.stateDict()].map(([, tensor]) => tensor);
  const fewest = fewestHalved(state.map(({ shape }) => shape));
  const own = new WeakSet<Tensor>(state);
  const constants = new WeakSet<Tensor>(state);
  // Weights are rounded as the engine's own convolution takes them, which the file has too.
  const isAllowed = allowWinograd(false);
  try {
    return interceptOperators((name, args, proceed) => {
      const tensors = args.flat().filter((arg) => arg instanceof Tensor);
      // Foldings; Sparse R-CNN's first stage also computes layers of weights alone, which the file has as layers.
      if (!BY_WEIGHT.has(name) && tensors.length > 0 && tensors.every((tensor) => constants.has(tensor))) {
        const result = proceed(args);
        for (const each of [result].flat()) if (each instanceof Tensor) constants.add(each);
        return result;
      }
      const isWeight = (arg: OpArgument, place: number): arg is Tensor =>
        // What was computed of weights is no weight of the file, but as one of a layer.
        arg instanceof Tensor && (own.has(arg) || (place === 1 && BY_WEIGHT.has(name))) && isLarge(arg, fewest);
      return proceed(args.map((arg, place) => (isWeight(arg, place) ? halved(arg) : arg)));
    }, body);
  } finally {
    allowWinograd(isAllowed);
  }
}

/** Their second argument is a weight, also one that was folded in an earlier run. */
const BY_WEIGHT: ReadonlySet<string> = new Set([
  'aten::conv2d',
  'aten::conv_transpose2d.input',
  'aten::linear',
  'goshawk::depthwise_conv',
]);

function isLarge(tensor: Tensor, fewest: number): boolean {
  return tensor.dtype === 'float32' && isHalved(tensor.shape, fewest);
}

function halved(tensor: Tensor): Tensor {
  return tensor.to('float16').to('float32');
}
