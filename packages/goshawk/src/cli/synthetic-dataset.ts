// A data set of made scenes on disk: images/*.png and a COCO file for each split.
import { mkdirSync } from 'node:fs';
import path from 'node:path';
import {
  type Annotation,
  demoShapes,
  formatCoco,
  type ImageRecord,
  type SceneOptions,
  shapeNames,
  synthesisCategories,
  synthesizeScene,
} from '@goshawk/core';
import sharp from 'sharp';
import { writeFileAtomic } from '../files/atomic-file.js';
import { writeFolderAtomic } from '../files/atomic-folder.js';

export interface SyntheticDatasetOptions extends Omit<SceneOptions, 'index'> {
  /** Folder to make; it appears when everything is in it. */
  readonly output: string;
  /** Name of each split and its number of pictures; one scene is in one split only. */
  readonly splits: readonly { readonly name: string; readonly images: number }[];
  /** What makes it, for others that find it begun, such as `goshawk data synth`. */
  readonly work?: string;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * Makes the scenes and writes `images/000001.png` ... and `<split>.json` with file names that start from `images/`.
 * Equal options give equal files.
 * @throws InputError when `output` is there already, or for a size that scenes cannot have
 */
export async function writeSyntheticDataset(options: SyntheticDatasetOptions): Promise<void> {
  const { output, splits, work, onProgress, ...given } = options;
  const shapes = given.categories ?? (given.difficulty === 'hard' ? shapeNames : demoShapes);
  const categories = synthesisCategories.filter((category) => shapes.some((name) => name === category.name));
  const scene = { ...given, categories: shapes };
  const total = splits.reduce((sum, split) => sum + split.images, 0);
  const fill = async (folder: string): Promise<void> => {
    mkdirSync(path.join(folder, 'images'));
    let index = 0;
    for (const split of splits) {
      const images: ImageRecord[] = [];
      const annotations: Annotation[] = [];
      for (let i = 0; i < split.images; i++, index++) {
        const made = synthesizeScene({ ...scene, index });
        const { data, width, height } = made.image;
        const fileName = `${String(index + 1).padStart(6, '0')}.png`;
        // Noise does not shrink: the quickest compression is nearly as small as the best.
        const png = sharp(data, { raw: { width, height, channels: 3 } }).png({ compressionLevel: 3 });
        await png.toFile(path.join(folder, 'images', fileName));
        images.push({ id: index + 1, fileName, width, height });
        annotations.push(...made.annotations);
        onProgress?.(index + 1, total);
      }
      writeFileAtomic(path.join(folder, `${split.name}.json`), formatCoco({ images, annotations, categories }));
    }
  };
  await writeFolderAtomic(output, fill, { work });
}
