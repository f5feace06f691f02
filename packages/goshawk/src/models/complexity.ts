// How large a model is and how much it computes: parameters, and multiply-accumulates of convolutions and linear layers,
// counted from the shapes that really pass through them.
import { Conv2d, ConvTranspose2d, Linear, type Module, noGrad, scope, zeros } from '@goshawk/torch';
import type { Detector } from './detector.js';
import type { HeightWidth } from './structures.js';

/** A module with everything below it. */
export interface ModuleComplexity {
  /** State name inside its parent; '' for the model. */
  readonly name: string;
  readonly parameters: number;
  /** Those of them that training changes. */
  readonly learningParameters: number;
  /** Multiply-accumulates of one image; norms, activations, pooling and RoIAlign are not counted. */
  readonly macs: number;
  readonly children: readonly ModuleComplexity[];
}

/**
 * RoIs of an image that the second stage is counted for, whatever the config keeps: mmdetection's convention
 * (forward_dummy in mmdet/models/roi_heads/standard_roi_head.py), by which most published figures were made.
 */
export const COUNTED_ROIS = { box: 1000, mask: 100 } as const;

/**
 * Runs the model once on an empty image of `size` (padded, network pixels) and counts.
 * The mask predictor computes one class a RoI; counted is its convolution to all classes, as the literature does.
 */
export function modelComplexity(model: Detector, [height, width]: HeightWidth): ModuleComplexity {
  const macs = new Map<Module, number>();
  const add = (layer: Module, count: number): void => {
    macs.set(layer, (macs.get(layer) ?? 0) + count);
  };
  const wasTraining = model.training;
  const restore = countCalls(model, add);
  model.eval();
  try {
    noGrad(() =>
      scope(() => model.runLayers(zeros([1, 3, height, width]).to({ memoryFormat: 'channels_last' }), COUNTED_ROIS)),
    );
  } finally {
    restore();
    model.train(wasTraining);
  }
  return summarise('', model, macs);
}

/** Lets the layers below `model` report their multiply-accumulates; the returned function ends it. */
function countCalls(model: Module, add: (layer: Module, macs: number) => void): () => void {
  const counted: Module[] = [];
  for (const layer of model.modules()) {
    if (layer instanceof Conv2d) {
      // Not forward(): a convolution with a frozen norm folded in is called by convolve() alone.
      layer.convolve = (input, weight, bias) => {
        const output = Conv2d.prototype.convolve.call(layer, input, weight, bias);
        add(layer, output.length * (weight.length / weight.size(0)));
        return output;
      };
    } else if (layer instanceof ConvTranspose2d) {
      layer.forward = (input) => {
        add(layer, input.length * (layer.weight.length / layer.weight.size(0)));
        return ConvTranspose2d.prototype.forward.call(layer, input);
      };
    } else if (layer instanceof Linear) {
      layer.forward = (input) => {
        add(layer, input.length * layer.weight.size(0));
        return Linear.prototype.forward.call(layer, input);
      };
    } else continue;
    counted.push(layer);
  }
  return () => {
    // The own properties go; the class's methods show again.
    for (const layer of counted) {
      Reflect.deleteProperty(layer, 'convolve');
      if (!(layer instanceof Conv2d)) Reflect.deleteProperty(layer, 'forward');
    }
  };
}

function summarise(name: string, module: Module, macs: ReadonlyMap<Module, number>): ModuleComplexity {
  const parameters = module.parameters();
  const lengths = (of: typeof parameters): number => of.reduce((sum, parameter) => sum + parameter.length, 0);
  return {
    name,
    parameters: lengths(parameters),
    learningParameters: lengths(parameters.filter((parameter) => parameter.requiresGrad)),
    macs: module.modules().reduce((sum, part) => sum + (macs.get(part) ?? 0), 0),
    children: Array.from(module.namedChildren(), ([child, part]) => summarise(child, part, macs)),
  };
}
