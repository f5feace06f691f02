// Four small pictures with their annotations, for tests of training.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

export interface TinyDataset {
  /** COCO annotation file. */
  readonly annotations: string;
  /** Folder of the pictures. */
  readonly images: string;
  /** `--set` options that train and evaluate on it. */
  readonly sets: readonly string[];
}

export interface TinyDatasetOptions {
  readonly categories?: readonly { readonly id: number; readonly name: string }[];
  /** File name of the annotations. Default train.json. */
  readonly name?: string;
  /** Names three points of each rectangle: its upper corners, and its middle, which is hidden. Default false. */
  readonly keypoints?: boolean;
}

type Rectangle = readonly [x: number, y: number, width: number, height: number];

/** Pictures of 96 x 64 and 64 x 96 pixels on grey: a red and a blue rectangle; the last one has none. */
export async function writeTinyDataset(
  folder: string,
  { categories = CATEGORIES, name = 'train.json', keypoints = false }: TinyDatasetOptions = {},
): Promise<TinyDataset> {
  const images = join(folder, 'images');
  mkdirSync(images, { recursive: true });
  const annotations: object[] = [];
  const records: object[] = [];
  for (const [index, [width, height, rectangles]] of PICTURES.entries()) {
    const fileName = `picture-${index + 1}.png`;
    const pixels = Buffer.alloc(width * height * 3, 110);
    rectangles.forEach(([x, y, w, h], object) => {
      for (let row = y; row < y + h; row++)
        for (let column = x; column < x + w; column++) pixels[(row * width + column) * 3 + object * 2] = 230;
      annotations.push({
        id: annotations.length + 1,
        image_id: index + 1,
        category_id: categories[object]!.id,
        bbox: [x, y, w, h],
        area: w * h,
        iscrowd: 0,
        segmentation: [[x, y, x + w, y, x + w, y + h, x, y + h]],
        ...(keypoints && { keypoints: [x, y, 2, x + w - 1, y, 2, x + w / 2, y + h / 2, 1], num_keypoints: 3 }),
      });
    });
    await sharp(pixels, { raw: { width, height, channels: 3 } })
      .png()
      .toFile(join(images, fileName));
    records.push({ id: index + 1, file_name: fileName, width, height });
  }
  const named = categories.map((category) => ({
    ...category,
    ...(keypoints && { keypoints: KEYPOINTS, skeleton: [] }),
  }));
  const file = join(folder, name);
  writeFileSync(file, JSON.stringify({ images: records, annotations, categories: named }));
  const split = (of: string) => [`data.${of}.annotations=${file}`, `data.${of}.images=${images}`];
  return { annotations: file, images, sets: [...split('train'), ...split('val')] };
}

const KEYPOINTS = ['left_corner', 'right_corner', 'middle'];

const CATEGORIES = [
  { id: 2, name: 'red' },
  { id: 5, name: 'blue' },
];

const PICTURES: readonly (readonly [width: number, height: number, objects: readonly Rectangle[]])[] = [
  [
    96,
    64,
    [
      [8, 8, 32, 24],
      [50, 20, 30, 36],
    ],
  ],
  [64, 96, [[10, 30, 40, 40]]],
  [
    96,
    64,
    [
      [60, 4, 28, 28],
      [6, 30, 36, 28],
    ],
  ],
  [64, 96, []],
];
