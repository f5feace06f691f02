// A data set and what a middling detector would find in it, drawn by a seed: some right, some shifted, swapped, twice or nowhere.
import { type Annotation, boxXywh, type Dataset, type Detection } from '@goshawk/core';

export interface MadeDetections {
  readonly dataset: Dataset;
  readonly detections: readonly Detection[];
}

export interface MadeOptions {
  readonly pictures: number;
  readonly categories: readonly string[];
  readonly seed?: number;
}

export function makeDetections({ pictures, categories, seed = 1 }: MadeOptions): MadeDetections {
  const random = generator(seed);
  const draw = (from: number, to: number): number => from + random() * (to - from);
  const anyCategory = (): number => 1 + Math.floor(random() * categories.length);
  const annotations: Annotation[] = [];
  const detections: Detection[] = [];
  for (let imageId = 1; imageId <= pictures; imageId++) {
    const found = (categoryId: number, box: readonly [number, number, number, number], score: number): void => {
      detections.push({ imageId, categoryId, score, bbox: boxXywh(...box) });
    };
    for (let count = Math.floor(draw(0, 6)); count > 0; count--) {
      const [x, y, width, height] = [draw(0, 200), draw(0, 120), draw(12, 110), draw(12, 100)];
      const categoryId = anyCategory();
      const bbox = boxXywh(x, y, width, height);
      const isCrowd = random() < 0.05;
      annotations.push({ id: annotations.length + 1, imageId, categoryId, bbox, area: width * height, isCrowd });
      const near = (shift: number) => [x + shift * width, y + shift * height, width, height] as const;
      if (random() < 0.7) found(categoryId, near(draw(-0.08, 0.08)), draw(0.2, 1));
      if (random() < 0.2) found(categoryId, near(draw(0.2, 0.5)), draw(0.05, 0.8));
      if (random() < 0.2) found(anyCategory(), near(draw(-0.1, 0.1)), draw(0.05, 0.9));
    }
    if (random() < 0.5) found(anyCategory(), [draw(0, 200), draw(0, 120), draw(10, 90), draw(10, 90)], draw(0.05, 0.7));
  }
  const dataset: Dataset = {
    images: Array.from({ length: pictures }, (_, i) => ({
      id: i + 1,
      fileName: `${i + 1}.png`,
      width: 320,
      height: 240,
    })),
    annotations,
    categories: categories.map((name, i) => ({ id: i + 1, name })),
  };
  return { dataset, detections };
}

/** Numbers from 0 to 1 (mulberry32). */
function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
