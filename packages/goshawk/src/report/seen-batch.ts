// A batch of a training as the network gets it, drawn with what it learns from.
import { join } from 'node:path';
import { drawDetections, InputError } from '@goshawk/core';
import sharp from 'sharp';
import type { RunConfig } from '../config/index.js';
import { createLoader, type DetectionDataset, itemsOfTarget, pictureOfBatch } from '../data/index.js';
import { nodeCanvas } from '../drawing/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { trainingBatches } from '../infer/split-options.js';
import type { SeenPicture } from './page/report-data.js';
import { PICTURES_FOLDER } from './thumbnails.js';

const MOST_PICTURES = 8;
const SIDE = 640;

/**
 * Writes pictures of the first batch of a training beside its report: with the config's seed and draws.
 * @returns none where its pictures cannot be used, which the training tells
 */
export async function writeSeenBatch(
  config: RunConfig,
  dataset: DetectionDataset,
  output: string,
): Promise<readonly SeenPicture[]> {
  const loader = createLoader({ ...trainingBatches(config), dataset, workers: 0, prefetch: 1 });
  try {
    const { value: batch } = await loader.next();
    if (batch === undefined) return [];
    const seen: SeenPicture[] = [];
    for (const [place, image] of batch.images.slice(0, MOST_PICTURES).entries()) {
      const picture = pictureOfBatch(batch, place, config.preprocess);
      const items = itemsOfTarget(batch.targets[place]!, dataset.categories, image);
      const { data, width, height } = drawDetections(picture, items, {
        categories: dataset.categories,
        canvas: nodeCanvas,
      });
      const jpeg = await sharp(data, { raw: { width, height, channels: 3 } })
        .resize({ width: SIDE, height: SIDE, fit: 'inside', withoutEnlargement: true })
        .jpeg({ quality: 78 })
        .toBuffer();
      const file = `${PICTURES_FOLDER}/batch-${place + 1}.jpg`;
      writeFileAtomic(join(output, file), jpeg);
      seen.push({ file, name: image.fileName });
    }
    batch.release();
    return seen;
  } catch (error) {
    if (error instanceof InputError) return [];
    throw error;
  } finally {
    await loader.close();
  }
}
