// Colours that are told apart, on photos and from each other.

/** Red, green, blue, 0 to 255. */
export type RgbColor = readonly [number, number, number];

// Picked by eye: bright enough for dark photos, deep enough for light ones, neighbours in the list far apart in hue.
const picked: readonly RgbColor[] = [
  [255, 82, 82],
  [38, 166, 255],
  [255, 193, 7],
  [0, 200, 120],
  [186, 104, 255],
  [255, 138, 48],
  [0, 200, 212],
  [240, 98, 170],
  [156, 204, 50],
  [92, 124, 250],
  [255, 171, 145],
  [0, 150, 136],
  [214, 164, 100],
  [130, 177, 255],
  [224, 64, 251],
  [174, 213, 129],
];

/** The colour of the n-th category or object; n from 0, any number of them. */
export function distinctColor(index: number): RgbColor {
  const chosen = picked[index];
  if (chosen !== undefined) return chosen;
  // Steps by the golden ratio never land near an earlier hue.
  const hue = (index * 0.6180339887498949) % 1;
  const value = index % 2 === 0 ? 0.95 : 0.75;
  const channel = (n: number) => {
    const k = (n + hue * 6) % 6;
    return Math.round(255 * value * (1 - 0.7 * Math.max(0, Math.min(k, 4 - k, 1))));
  };
  return [channel(5), channel(3), channel(1)];
}

/** Black or white, whichever is read better on the colour (contrast ratio of WCAG 2.1). */
export function readableOn([red, green, blue]: RgbColor): RgbColor {
  const luminance = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  // Contrast with black is (L + 0.05) / 0.05, with white 1.05 / (L + 0.05): equal at L = 0.179.
  return luminance > 0.179 ? [16, 16, 16] : [255, 255, 255];
}

function linear(channel: number): number {
  const share = channel / 255;
  return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
}
