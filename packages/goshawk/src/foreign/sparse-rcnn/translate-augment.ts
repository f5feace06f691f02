// How sparse_rcnnv1 changes pictures in training (datasets/coco.py), which its config does not say. A step leaves out what it draws no
// probability for; the other numbers are the steps' defaults.
import type { ConfigPart } from '../dialect.js';

/** Colours, blur or noise or none of them, as often each. */
const JITTER: ConfigPart = {
  type: 'one_of',
  choices: [
    { steps: [] },
    { steps: [{ type: 'hsv' }] },
    { steps: [{ type: 'blur', probability: 0.5 }] },
    { steps: [{ type: 'noise', probability: 0.5 }] },
  ],
};

/**
 * Of five pictures four are mosaics; MixUp is there and never drawn.
 * @param size the side of the square that pictures are fitted into
 */
export function translateAugment(size: number): ConfigPart {
  const basic = [
    JITTER,
    { type: 'crop', probability: 0.2 },
    { type: 'resize', size },
    { type: 'affine', degrees: 10, minScale: 0.8, maxScale: 1.2 },
  ];
  const mosaic = [
    JITTER,
    { type: 'resize', size, pad: false },
    { type: 'mosaic', size },
    { type: 'affine', size: [size, size], minScale: 0.5, maxScale: 1.5, translate: 0.1 },
  ];
  return {
    augment: [
      {
        type: 'one_of',
        choices: [
          { weight: 0.2, steps: basic },
          { weight: 0.8, steps: mosaic },
        ],
      },
    ],
    flip: 0.5,
  };
}
