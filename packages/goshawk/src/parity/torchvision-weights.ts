// The weights of the comparisons with torchvision's detectors: every value follows from its tensor's name in torchvision.
// The rule is that of fixtures/torchvision_common.py.
import type { TensorData } from '@goshawk/torch';
import { makeParityState, type StateEntry } from './parity-weights.js';

/** Variance of a layer's output over that of its input; the first that matches decides. */
type Gains = readonly (readonly [name: RegExp, gain: number])[];

const GAINS: Gains = [
  // Layers of a MobileNet that a neck reads: its blocks add up.
  [/backbone\.body\.(13\.block\.3|16)\.0/, 0.02],
  [/fpn\.(inner|layer)_blocks/, 0.5],
  [/rpn\.head\.cls_logits/, 1],
  [/rpn\.head\.bbox_pred/, 0.02],
  [/box_predictor\.cls_score/, 5],
  [/box_predictor\.bbox_pred/, 1],
  [/classification_head\.cls_logits/, 3],
  [/regression_head\.bbox_reg/, 0.04],
];
const DEFAULT_GAIN = 2;

/** Of a training's start, where what a head says should be small. */
export const STARTING_GAINS: Gains = [
  [/fpn\.(inner|layer)_blocks/, 0.5],
  [/(cls_logits|bbox_pred|cls_score|bbox_reg|mask_fcn_logits|kps_score_lowres)\.weight/, 0.02],
];

type NamedShape = readonly [name: string, shape: readonly number[]];

/** A state dict of torchvision's names and these shapes. */
export function torchvisionWeights(entries: readonly NamedShape[], gains: Gains = GAINS): Map<string, TensorData> {
  const names = new Set(entries.map(([name]) => name));
  return makeParityState(
    entries.map(
      ([name, shape]): StateEntry =>
        name.endsWith('num_batches_tracked')
          ? { name, shape, dtype: 'int64', const: 0 }
          : { name, shape, dtype: 'float32', rule: boundsOf(name, shape, names, gains) },
    ),
  );
}

function boundsOf(
  name: string,
  shape: readonly number[],
  names: ReadonlySet<string>,
  gains: Gains,
): { lo: number; hi: number } {
  const closesBlock =
    name.endsWith('bn3.weight') || (name.endsWith('bn2.weight') && !names.has(name.replace('bn2', 'bn3')));
  if (closesBlock) return { lo: 0.15, hi: 0.3 };
  if (name.endsWith('running_var') || (shape.length === 1 && name.endsWith('weight'))) return { lo: 0.8, hi: 1.2 };
  if (name.endsWith('classification_head.cls_logits.bias')) return { lo: -4.7, hi: -4.5 };
  if (shape.length === 1) return { lo: -0.1, hi: 0.1 };
  const fanIn = shape.slice(1).reduce((product, side) => product * side, 1);
  const gain = gains.find(([pattern]) => pattern.test(name))?.[1] ?? DEFAULT_GAIN;
  const bound = Math.sqrt((3 * gain) / fanIn);
  return { lo: -bound, hi: bound };
}
