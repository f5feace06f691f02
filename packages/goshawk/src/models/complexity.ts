// How large a model is and how much it computes: parameters, multiply-accumulates of convolutions and linear layers, and
// FLOPs as mmdetection counts them, from the shapes that pass through the layers. Nothing is computed.
import {
  AffineChannel2d,
  BatchNorm2d,
  Conv2d,
  ConvTranspose2d,
  dropFolded,
  FrozenBatchNorm2d,
  GroupNorm,
  Linear,
  type Module,
  noGrad,
  scope,
  type Tensor,
  zeros,
} from '@goshawk/torch';
import { Merge } from './backbones/scale-permuted.js';
import { Resample } from './backbones/spinenet-layers.js';
import type { Detector } from './detector.js';
import { RpnHead } from './proposals/rpn-head.js';
import { type OperatorObserver, withShapesAlone } from './shapes-alone.js';
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
  /**
   * What mmdetection 1.x calls FLOPs (tools/get_flops.py): multiply-accumulates, biases of convolutions, 2 for every
   * element of a norm, 1 for every one that a ReLU or maximum reads (they count for the layer before them); transposed
   * convolutions at the output's positions, by which one of stride 2 counts four times.
   */
  readonly flops: number;
  readonly children: readonly ModuleComplexity[];
}

/**
 * RoIs of an image that the second stage is counted for, whatever the config keeps: mmdetection's convention
 * (forward_dummy in mmdet/models/roi_heads/standard_roi_head.py), by which most published figures were made.
 */
export const COUNTED_ROIS = { box: 1000, mask: 100 } as const;

interface Count {
  macs: number;
  flops: number;
}

/**
 * Counts a model for one image of `size` (padded, network pixels).
 * @param build makes the model; it has shapes alone and ends with this call
 * The mask predictor computes one class a RoI; counted is its convolution to all classes, as the literature does.
 */
export function modelComplexity(build: () => Detector, [height, width]: HeightWidth): ModuleComplexity {
  const counts = new Map<Module, Count>();
  let latest: Module | undefined;
  const add = (layer: Module, macs: number, flops: number): void => {
    const count = counts.get(layer) ?? { macs: 0, flops: 0 };
    counts.set(layer, { macs: count.macs + macs, flops: count.flops + flops });
    latest = layer;
  };
  const running: Module[] = [];
  const observe: OperatorObserver = (name, [input]) => {
    const isCounted = COUNTED_OPERATORS.has(name) && !isPassedOver(name, running.at(-1));
    if (latest && isCounted) add(latest, 0, (input as Tensor).length);
  };
  return withShapesAlone(
    () =>
      scope(() => {
        const model = build();
        countCalls(model, add, running);
        try {
          noGrad(() => model.runLayers(zeros([1, 3, height, width]), COUNTED_ROIS));
          return summarise('', model, counts);
        } finally {
          for (const part of model.modules()) if (part instanceof Conv2d) dropFolded(part);
          for (const tensor of [...model.parameters(), ...model.buffers()]) tensor.dispose();
        }
      }),
    observe,
  );
}

const COUNTED_OPERATORS: ReadonlySet<string> = new Set(['aten::relu', 'aten::relu_', 'aten::max_pool2d']);

/** mmdetection counts what is a module. These calls are functions there (spinenet.py, rpn_head.py). */
function isPassedOver(operator: string, caller: Module | undefined): boolean {
  if (operator === 'aten::max_pool2d') return caller instanceof Resample;
  return caller instanceof Merge || caller instanceof RpnHead;
}

/** Lets the layers below `model` report what they compute; `running` holds the callers of interest, outermost first. */
function countCalls(model: Module, add: (layer: Module, macs: number, flops: number) => void, running: Module[]): void {
  const during = <T>(module: Module, body: () => T): T => {
    running.push(module);
    try {
      return body();
    } finally {
      running.pop();
    }
  };
  for (const layer of model.modules()) {
    if (layer instanceof Conv2d) {
      // Not forward(): a convolution with a fixed norm folded in is called by convolve() alone.
      layer.convolve = (input, weight, bias) => {
        const output = Conv2d.prototype.convolve.call(layer, input, weight, bias);
        const macs = output.length * (weight.length / weight.size(0));
        const norm = weight === layer.weight ? 0 : 2 * output.length;
        add(layer, macs, macs + (layer.bias ? output.length : 0) + norm);
        return output;
      };
    } else if (layer instanceof ConvTranspose2d) {
      layer.forward = (input) => {
        const output = ConvTranspose2d.prototype.forward.call(layer, input);
        const ofPosition = layer.weight.length / layer.weight.size(0);
        const positions = output.length / output.size(1);
        add(layer, input.length * ofPosition, positions * layer.weight.length + (layer.bias ? output.length : 0));
        return output;
      };
    } else if (layer instanceof Linear) {
      layer.forward = (input) => {
        const macs = input.length * layer.weight.size(0);
        add(layer, macs, macs);
        return Linear.prototype.forward.call(layer, input);
      };
    } else if (
      layer instanceof BatchNorm2d ||
      layer instanceof FrozenBatchNorm2d ||
      layer instanceof AffineChannel2d ||
      layer instanceof GroupNorm
    ) {
      const forward = layer.forward.bind(layer);
      layer.forward = (input: Tensor) => {
        add(layer, 0, 2 * input.length);
        return forward(input);
      };
    } else if (layer instanceof Merge || layer instanceof RpnHead) {
      const forward = layer.forward.bind(layer) as (features: readonly Tensor[]) => never;
      layer.forward = (features: readonly Tensor[]) => during(layer, () => forward(features));
    } else if (layer instanceof Resample) {
      const forward = layer.forward.bind(layer);
      layer.forward = (input) => during(layer, () => forward(input));
    }
  }
}

function summarise(name: string, module: Module, counts: ReadonlyMap<Module, Count>): ModuleComplexity {
  const parameters = module.parameters();
  const lengths = (of: typeof parameters): number => of.reduce((sum, parameter) => sum + parameter.length, 0);
  const own = module.modules().flatMap((part) => counts.get(part) ?? []);
  return {
    name,
    parameters: lengths(parameters),
    learningParameters: lengths(parameters.filter((parameter) => parameter.requiresGrad)),
    macs: own.reduce((sum, { macs }) => sum + macs, 0),
    flops: own.reduce((sum, { flops }) => sum + flops, 0),
    children: Array.from(module.namedChildren(), ([child, part]) => summarise(child, part, counts)),
  };
}
