// The shapes of a model's anchors, from its config alone. Needs no engine.
import type { ModelConfig, RetinanetConfig } from '../config/index.js';

/** Network pixels. */
export interface AnchorShape {
  readonly width: number;
  readonly height: number;
}

export interface ModelAnchors {
  readonly shapes: readonly AnchorShape[];
  /** IoU from which an anchor learns an object. */
  readonly foregroundIou: number;
}

/** Of all levels, before their sides are rounded; undefined for a model without anchors, or whose strides only its layers tell. */
export function modelAnchors(config: ModelConfig): ModelAnchors | undefined {
  switch (config.type) {
    case 'faster_rcnn':
    case 'mask_rcnn':
    case 'keypoint_rcnn':
    case 'rpn': {
      const { sizes, ratios } = config.anchors;
      return { shapes: shapesOf(sizes.flat(), ratios), foregroundIou: config.rpn.foregroundIou };
    }
    case 'retinanet': {
      const { octaveBaseScale, scalesPerOctave, ratios } = config.anchors;
      const strides = retinanetStrides(config);
      if (strides === undefined) return undefined;
      const sizes = strides.flatMap((stride) =>
        Array.from(
          { length: scalesPerOctave },
          (_, octave) => stride * octaveBaseScale * 2 ** (octave / scalesPerOctave),
        ),
      );
      return { shapes: shapesOf(sizes, ratios), foregroundIou: config.head.foregroundIou };
    }
    case 'solov2':
    case 'decoupled_solo':
    case 'sparse_rcnn':
      return undefined;
  }
}

/** @param ratios height over width */
function shapesOf(sizes: readonly number[], ratios: readonly number[]): AnchorShape[] {
  return sizes.flatMap((size) =>
    ratios.map((ratio) => ({ width: size / Math.sqrt(ratio), height: size * Math.sqrt(ratio) })),
  );
}

// P3 to P5 of a ResNet, and two levels more but where the neck says how many; SpineNet has all five of its own.
function retinanetStrides({ backbone, neck }: RetinanetConfig): number[] | undefined {
  if (backbone.type === 'mobilenet') return undefined;
  const levels = 3 + (neck?.type === 'bifpn' ? neck.extraLevels : 2);
  return Array.from({ length: levels }, (_, level) => 8 * 2 ** level);
}
