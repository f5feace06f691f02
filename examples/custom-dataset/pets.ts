// A data set of an odd format: a folder of pictures beside a list with a line for each object, `file;WIDTHxHEIGHT;name;x y w h;outline`,
// where x and y are the middle of the box in shares of the picture, and the outline is points in pixels.
//
//     npx tsc -b examples
//     goshawk data draw examples/dist/custom-dataset/pets.js --output drawn
//     goshawk train CONFIG --set data.train.annotations=examples/dist/custom-dataset/pets.js
//
// PETS names the folder; default: pets/ in the current one.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { CustomDataset } from 'goshawk';

const folder = process.env.PETS ?? 'pets';
const NAMES = ['cat', 'dog'];

interface Pet {
  readonly name: string;
  readonly box: readonly [number, number, number, number];
  readonly outline: readonly number[];
}

interface Picture {
  readonly file: string;
  readonly width: number;
  readonly height: number;
  readonly pets: Pet[];
}

const pictures = new Map<string, Picture>();
for (const line of readFileSync(join(folder, 'pets.txt'), 'utf8').trim().split('\n')) {
  const [file = '', sides = '', name = '', place = '', points = ''] = line.split(';');
  const [width = 0, height = 0] = sides.split('x').map(Number);
  const [x = 0, y = 0, w = 0, h = 0] = place.split(' ').map(Number);
  const picture = pictures.get(file) ?? { file, width, height, pets: [] };
  pictures.set(file, picture);
  const box = [(x - w / 2) * width, (y - h / 2) * height, (x + w / 2) * width, (y + h / 2) * height] as const;
  picture.pets.push({ name, box, outline: points.split(' ').map(Number) });
}
const list = [...pictures.values()];

export default {
  length: list.length,
  categories: NAMES,
  imageInfo: (index) => list[index]!,
  item: (index) => {
    const { pets } = list[index]!;
    return {
      boxes: pets.map(({ box }) => box),
      labels: pets.map(({ name }) => NAMES.indexOf(name) + 1),
      masks: pets.map(({ outline }) => [outline]),
    };
  },
} satisfies CustomDataset;
