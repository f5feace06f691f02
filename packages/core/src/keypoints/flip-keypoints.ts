// Mirroring keypoints: a left elbow becomes the right one, so names pair up and the points change places.
import { InputError } from '../errors/index.js';

/** What mirroring a picture does to the points of a category. */
export interface KeypointFlip {
  /** For each keypoint the index of the one it becomes (itself for a point on the middle line). */
  readonly order: readonly number[];
  /** A left or right point without a partner, which a mirrored picture cannot label; it stays itself in `order`. */
  readonly oneSided?: { readonly name: string; readonly expected: string };
  /** No pair is given, and of several names none says left or right: that nothing changes places is a guess. */
  readonly isGuess: boolean;
}

/**
 * By the category's `flipPairs` where it has them, else by its names: "left" and "right" (or "l" and "r") as a whole
 * word, wherever it stands: left_eye / right_eye, eyeLeft / eyeRight, l-wing / r-wing.
 */
export function keypointFlip({
  keypoints: names = [],
  flipPairs,
}: {
  readonly keypoints?: readonly string[];
  readonly flipPairs?: readonly (readonly [number, number])[];
}): KeypointFlip {
  const order = names.map((_, i) => i);
  if (flipPairs !== undefined) {
    for (const [a, b] of flipPairs) [order[a], order[b]] = [b, a];
    return { order, isGuess: false };
  }
  const words = names.map(splitWords);
  const index = new Map(words.map((parts, i) => [parts.join(' '), i]));
  let oneSided: KeypointFlip['oneSided'];
  let hasSides = false;
  words.forEach((parts, i) => {
    const mirrored = parts.map((word) => opposite[word] ?? word).join(' ');
    if (mirrored === parts.join(' ')) return;
    hasSides = true;
    const partner = index.get(mirrored);
    if (partner !== undefined) order[i] = partner;
    else oneSided ??= { name: names[i]!, expected: mirrored };
  });
  return { order, isGuess: !hasSides && names.length > 1, ...(oneSided && { oneSided }) };
}

/**
 * {@link keypointFlip}'s order from names alone.
 * @throws InputError where a left or right has no partner, since a mirrored picture could then not be labelled.
 */
export function keypointFlipOrder(names: readonly string[]): readonly number[] {
  const { order, oneSided } = keypointFlip({ keypoints: names });
  if (oneSided) throw new InputError('annotation-invalid', `keypoints: ${oneSidedProblem(oneSided)}`);
  return order;
}

/** In words, with what to do. */
export function oneSidedProblem({ name, expected }: NonNullable<KeypointFlip['oneSided']>): string {
  return (
    `"${name}" has no counterpart on the other side (expected "${expected}" in some spelling): ` +
    'give the pairs that change places in data.keypointFlipPairs, add the point to the category, or train without horizontal flips'
  );
}

/** Pairs of 0-based indices that change places, each once, from `keypointFlipOrder`. */
export function keypointFlipPairs(names: readonly string[]): [number, number][] {
  return keypointFlipOrder(names).flatMap((partner, i): [number, number][] => (partner > i ? [[i, partner]] : []));
}

/**
 * Pairs of names, or of numbers from 0, as pairs of numbers.
 * @throws InputError whose message is the rest of a sentence about them
 */
export function flipPairsOf(names: readonly string[], pairs: unknown): (readonly [number, number])[] {
  const refuse = (what: string): never => {
    throw new InputError(
      'annotation-invalid',
      `${what} (expected pairs of two of the ${names.length} keypoints, by name or by number from 0, each point once): correct it`,
    );
  };
  if (!Array.isArray(pairs)) return refuse('is no list');
  const taken = new Set<number>();
  return pairs.map((pair: unknown) => {
    if (!Array.isArray(pair) || pair.length !== 2) return refuse('has an entry that is no pair');
    const [a, b] = (pair as readonly unknown[]).map((point) => {
      const index = typeof point === 'string' ? names.indexOf(point) : point;
      if (typeof index !== 'number' || !Number.isInteger(index) || index < 0 || index >= names.length)
        return refuse(
          `names ${JSON.stringify(point)?.slice(0, 40)}, which is no keypoint of ${names.slice(0, 6).join(', ')}`,
        );
      if (taken.has(index)) return refuse(`has "${names[index]}" twice`);
      taken.add(index);
      return index;
    });
    return [a!, b!] as const;
  });
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
