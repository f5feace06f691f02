// Mirroring keypoints: a left elbow becomes the right one, so names pair up and the points change places.
import { InputError } from '../errors/index.js';

/**
 * For each keypoint the index of the one it becomes in a mirrored picture (itself for a point on the middle line).
 * Pairs are read off the names: "left" and "right" (or "l" and "r") as a whole word, wherever it stands:
 * left_eye / right_eye, eyeLeft / eyeRight, l-wing / r-wing.
 * @throws InputError where a left or right has no partner, since a mirrored picture could then not be labelled.
 */
export function keypointFlipOrder(names: readonly string[]): number[] {
  const words = names.map(splitWords);
  const index = new Map(words.map((parts, i) => [parts.join(' '), i]));
  return words.map((parts, i) => {
    const mirrored = parts.map((word) => opposite[word] ?? word).join(' ');
    if (mirrored === parts.join(' ')) return i;
    const partner = index.get(mirrored);
    if (partner === undefined) {
      throw new InputError(
        'annotation-invalid',
        `keypoints: "${names[i]}" has no counterpart on the other side (expected "${mirrored}" in some spelling): ` +
          'add it to the category or train without horizontal flips',
      );
    }
    return partner;
  });
}

/** Pairs of 0-based indices that change places, each once, from `keypointFlipOrder`. */
export function keypointFlipPairs(names: readonly string[]): [number, number][] {
  return keypointFlipOrder(names).flatMap((partner, i): [number, number][] => (partner > i ? [[i, partner]] : []));
}

export interface FlipKeypointsOptions {
  /** Pixels. */
  readonly imageWidth: number;
  /** From `keypointFlipOrder`. */
  readonly order: readonly number[];
  /** x becomes width - 1 - x (Detectron): coordinates name pixel centres. Default false: width - x (torchvision). */
  readonly pixelCentres?: boolean;
}

/** `[x, y, v, ...]` in the picture mirrored left to right. Points that are not labelled (v = 0) become 0, 0, 0. */
export function flipKeypoints(keypoints: readonly number[], options: FlipKeypointsOptions): number[] {
  const { imageWidth, order, pixelCentres = false } = options;
  if (keypoints.length !== order.length * 3) {
    throw new RangeError(
      `flipKeypoints: expected ${order.length * 3} numbers for ${order.length} points, got ${keypoints.length}`,
    );
  }
  const mirror = pixelCentres ? imageWidth - 1 : imageWidth;
  return order.flatMap((from) => {
    const visibility = keypoints[from * 3 + 2]!;
    return visibility === 0 ? [0, 0, 0] : [mirror - keypoints[from * 3]!, keypoints[from * 3 + 1]!, visibility];
  });
}

const opposite: Readonly<Record<string, string>> = { left: 'right', right: 'left', l: 'r', r: 'l' };

function splitWords(name: string): string[] {
  return name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .toLowerCase()
    .split(/[^\p{L}\p{N}]+/u)
    .filter((word) => word !== '');
}
