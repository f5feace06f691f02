// The pictures that both sides of bench/gpu learn from, as files: boxes and boxed masks by the rule of peers/gpu.py.
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import sharp from 'sharp';

const OBJECTS = 7;
const CLASSES = 90;

export interface SceneSize {
  readonly height: number;
  readonly width: number;
}

/** Writes so many pictures and their annotations. @returns the folder's `annotations` and `images` */
export async function writeScenes(
  folder: string,
  { height, width }: SceneSize,
  count: number,
): Promise<{ annotations: string; images: string }> {
  const images = join(folder, 'pictures');
  mkdirSync(images, { recursive: true });
  const records = Array.from({ length: count }, (_, index) => ({
    id: index + 1,
    file_name: `${index}.jpg`,
    width,
    height,
  }));
  for (const { file_name } of records) {
    // Smooth, so that the files are small and read in a moment.
    const small = { width: Math.ceil(width / 16), height: Math.ceil(height / 16) };
    const data = Buffer.from(Uint8Array.from({ length: small.width * small.height * 3 }, (_, i) => (i * 7919) % 256));
    await sharp(data, { raw: { ...small, channels: 3 } })
      .resize(width, height)
      .jpeg()
      .toFile(join(images, file_name));
  }
  const annotations = join(folder, 'annotations.json');
  writeFileSync(
    annotations,
    JSON.stringify({
      images: records,
      annotations: records.flatMap(({ id }, index) =>
        objectsOf({ height, width }, index).map(([x, y, side, category], i) => ({
          id: id * OBJECTS + i,
          image_id: id,
          category_id: category,
          bbox: [x, y, side, side],
          area: side * side,
          iscrowd: 0,
          segmentation: [[x, y, x + side, y, x + side, y + side, x, y + side]],
        })),
      ),
      categories: Array.from({ length: CLASSES }, (_, index) => ({ id: index + 1, name: `class ${index + 1}` })),
    }),
  );
  return { annotations, images };
}

/** x, y, side, class of each object. */
function objectsOf({ height, width }: SceneSize, index: number): (readonly [number, number, number, number])[] {
  return Array.from({ length: OBJECTS }, (_, i) => {
    const side = Math.min(40 + 30 * i, Math.floor(Math.min(height, width) / 2));
    const x = (37 * (i + 1) * (index + 1)) % (width - side);
    const y = (53 * (i + 2) * (index + 1)) % (height - side);
    return [x, y, side, 1 + ((i * 11) % CLASSES)] as const;
  });
}
