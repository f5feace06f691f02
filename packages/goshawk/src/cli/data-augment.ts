// goshawk data augment: training pictures as the network gets them, with what it learns from drawn on them.
import path from 'node:path';
import { drawDetections } from '@goshawk/core';
import sharp from 'sharp';
import { createLoader, itemsOfTarget, pictureOfBatch } from '../data/index.js';
import { nodeCanvas } from '../drawing/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { claimOutput, requireNotInput } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { openConfig } from '../foreign/open-config.js';
import { trainingBatches } from '../infer/split-options.js';
import { createProgressLine, formatDuration } from '../terminal/progress-line.js';
import { openSplit } from '../train/training-data.js';
import { ContactSheet } from './contact-sheet.js';
import { wholeNumber } from './parse-option.js';

export interface DataAugmentCommandOptions {
  readonly output: string;
  readonly count: string;
  readonly set?: readonly string[];
}

const sheetLimit = 36;

/** Draws the first pictures of a training, in its order: with the config's seed, its batches and its draws. */
export async function runDataAugment(file: string, options: DataAugmentCommandOptions): Promise<void> {
  const count = wholeNumber('--count', options.count, 1, 100_000);
  const { config, notices } = openConfig(file, options.set);
  for (const notice of notices) console.error(`notice: ${notice}`);
  const { train } = config.data;
  const sources = train ? [train, ...(train.also ?? [])] : [];
  requireNotInput(
    [options.output],
    sources.flatMap(({ images }) => images ?? []),
  );
  const dataset = openSplit(config, 'train', { purpose: 'training' });
  endTidilyOnSignals();
  const claim = claimOutput(options.output, { work: 'goshawk data augment', files: ['contact-sheet.png'] });
  const loader = createLoader({ ...trainingBatches(config), dataset });
  const sheet = new ContactSheet({ limit: sheetLimit });
  const line = createProgressLine();
  const started = performance.now();
  let done = 0;
  let objects = 0;
  try {
    while (done < count) {
      const { value: batch } = await loader.next();
      if (batch === undefined) break;
      for (let place = 0; place < batch.images.length && done < count; place++) {
        const image = pictureOfBatch(batch, place, config.preprocess);
        const items = itemsOfTarget(batch.targets[place]!, dataset.categories, batch.images[place]!);
        const drawn = drawDetections(image, items, { categories: dataset.categories, canvas: nodeCanvas });
        const raw = { width: drawn.width, height: drawn.height, channels: 3 } as const;
        const png = await sharp(drawn.data, { raw }).png({ compressionLevel: 3 }).toBuffer();
        done += 1;
        objects += items.length;
        writeFileAtomic(path.join(options.output, `${String(done).padStart(4, '0')}.png`), png);
        await sheet.add(drawn, `${done}: ${batch.images[place]!.fileName}`);
        const rate = done / ((performance.now() - started) / 1000);
        const left = formatDuration((count - done) / rate);
        line.update(`${done}/${count} drawn  ${rate.toFixed(1)} a second  ${left} left`);
      }
      batch.release();
    }
    line.done();
    const sheetFile = path.join(options.output, 'contact-sheet.png');
    writeFileAtomic(sheetFile, await sheet.encode());
    console.log(
      `${options.output}: ${done} training pictures with ${objects} objects; ${sheetFile} shows ${sheet.count}`,
    );
  } finally {
    await loader.close();
    claim.release();
  }
}
