// Pictures for a person to judge a model by: what was annotated at the left, what was found at the right.
import path from 'node:path';
import {
  boxXywh,
  type Category,
  type Dataset,
  type Detection,
  type DrawnItem,
  decodeMask,
  drawDetections,
  encodeMask,
  type RgbImage,
  type Segmentation,
} from '@goshawk/core';
import sharp from 'sharp';
import { decodeImageFile, encodePng } from '../data/index.js';
import { nodeCanvas } from '../drawing/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';

export interface ComparisonOptions {
  readonly dataset: Dataset;
  /** Folder of its pictures, which are all of one size. */
  readonly images: string;
  readonly detections: readonly Detection[];
  /** Only the first so many pictures. */
  readonly count: number;
  /** Folder for the drawn pictures. */
  readonly output: string;
}

// A pair is drawn at least this high, so that labels on small pictures can be read.
const readableHeightPx = 360;
const scoreThreshold = 0.5;
const pairGapPx = 2;
const rowGapPx = 12;
const pairsPerRow = 2;

/** Writes a picture a pair and one sheet of them all, whose path is returned. */
export async function drawComparisons(options: ComparisonOptions): Promise<string> {
  const { dataset, images, detections, count, output } = options;
  const pairs: RgbImage[] = [];
  for (const record of dataset.images.slice(0, count)) {
    const image = await decodeImageFile(path.join(images, record.fileName));
    const scale = Math.max(1, Math.ceil(readableHeightPx / image.height));
    const enlarged = repeatPixels(image, scale);
    const draw = (items: readonly DrawnItem[]): RgbImage => drawScaled(enlarged, scale, items, dataset.categories);
    const truth = draw(dataset.annotations.filter(({ imageId }) => imageId === record.id));
    const found = draw(detections.filter(({ imageId, score }) => imageId === record.id && score >= scoreThreshold));
    const pair = await tile([truth, found], 2, pairGapPx);
    pairs.push(pair);
    writeFileAtomic(path.join(output, `${path.parse(record.fileName).name}.png`), await encodePng(pair));
  }
  const sheet = path.join(output, 'all.png');
  writeFileAtomic(sheet, await encodePng(await tile(pairs, pairsPerRow, rowGapPx)));
  return sheet;
}

function drawScaled(
  enlarged: RgbImage,
  scale: number,
  items: readonly DrawnItem[],
  categories: readonly Category[],
): RgbImage {
  const scaled = items.map(
    ({ categoryId, score, bbox, segmentation }): DrawnItem => ({
      categoryId,
      ...(score === undefined ? {} : { score }),
      ...(bbox && { bbox: boxXywh(bbox[0] * scale, bbox[1] * scale, bbox[2] * scale, bbox[3] * scale) }),
      ...(segmentation && { segmentation: scaleSegmentation(segmentation, scale) }),
    }),
  );
  // One category may be annotated and two found: the colours must mean the same on both sides.
  return drawDetections(enlarged, scaled, { categories, canvas: nodeCanvas, colorBy: 'category' });
}

function scaleSegmentation(segmentation: Segmentation, scale: number): Segmentation {
  if (segmentation.kind === 'polygons') {
    const polygons = segmentation.polygons.map((polygon) => polygon.map((value) => value * scale));
    return { kind: 'polygons', polygons };
  }
  const [height, width] = segmentation.rle.size;
  const mask = repeatCells(decodeMask(segmentation.rle), width, height, 1, scale);
  return { kind: 'rle', rle: encodeMask(mask, [height * scale, width * scale]) };
}

function repeatPixels(image: RgbImage, scale: number): RgbImage {
  const { width, height } = image;
  return { data: repeatCells(image.data, width, height, 3, scale), width: width * scale, height: height * scale };
}

/** Each cell of `channels` bytes becomes `scale` x `scale` of them: the pixels stay what the model saw. */
function repeatCells(data: Uint8Array, width: number, height: number, channels: number, scale: number): Uint8Array {
  const result = new Uint8Array(data.length * scale * scale);
  let at = 0;
  for (let y = 0; y < height * scale; y++) {
    const row = Math.floor(y / scale) * width;
    for (let x = 0; x < width * scale; x++) {
      const from = (row + Math.floor(x / scale)) * channels;
      for (let c = 0; c < channels; c++) result[at++] = data[from + c]!;
    }
  }
  return result;
}

/** Pictures of one size in rows, on white. */
async function tile(images: readonly RgbImage[], perRow: number, gap: number): Promise<RgbImage> {
  const first = images[0]!;
  const rows = Math.ceil(images.length / perRow);
  const width = perRow * (first.width + gap) - gap;
  const height = rows * (first.height + gap) - gap;
  const placed = images.map((image, index) => ({
    input: image.data,
    raw: { width: image.width, height: image.height, channels: 3 as const },
    left: (index % perRow) * (first.width + gap),
    top: Math.floor(index / perRow) * (first.height + gap),
  }));
  const data = await sharp({ create: { width, height, channels: 3, background: '#ffffff' } })
    .composite(placed.map((one) => ({ ...one, input: Buffer.from(one.input) })))
    .removeAlpha()
    .raw()
    .toBuffer();
  return { data, width, height };
}
