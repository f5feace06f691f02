// Synthetic ground truth and detections as COCO files, of the size of COCO val2017, for the evaluation's benchmark.
import { closeSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import {
  type BoxXywh,
  boxXywh,
  createRandom,
  polygonToRle,
  type Random,
  type Rle,
  rleArea,
  rleToBbox,
  rleToString,
} from '@goshawk/core';

const width = 640;
const height = 480;
const categories = 80;
const objectsPerImage = 7;
const detectionsPerImage = 40;
const crowdShare = 0.02;

/** A blob: centre, half axes, in pixels. */
interface Blob {
  readonly category: number;
  readonly x: number;
  readonly y: number;
  readonly rx: number;
  readonly ry: number;
}

/**
 * Writes gt.json, dt_bbox.json and dt_segm.json. Objects are blobs of 24 corners, sides from 10 to 400 pixels, 2 % of them
 * crowds as run lengths. Half of the detections are jittered copies of objects, some with another category; the rest are
 * blobs anywhere, of the image's categories or any other. Every tenth score is rounded to a hundredth, which makes ties.
 */
export function writeCocoScenes(folder: string, images: number, seed: number): void {
  const truth = openSync(join(folder, 'gt.json'), 'w');
  const boxes = openSync(join(folder, 'dt_bbox.json'), 'w');
  const masks = openSync(join(folder, 'dt_segm.json'), 'w');
  const records = Array.from({ length: images }, (_, i) => ({ id: i + 1, file_name: `${i + 1}.jpg`, width, height }));
  const names = Array.from({ length: categories }, (_, i) => ({ id: i + 1, name: `category ${i + 1}` }));
  writeSync(truth, `{"images":${JSON.stringify(records)},"categories":${JSON.stringify(names)},"annotations":[`);
  writeSync(boxes, '[');
  writeSync(masks, '[');
  let annotationId = 0;
  for (let image = 1; image <= images; image++) {
    const random = createRandom(seed, image);
    const objects = Array.from({ length: objectsPerImage }, () => randomBlob(random, 1 + random.integer(categories)));
    const annotations = objects.map((object) => {
      const polygon = outline(object, random);
      const rle = polygonToRle(polygon, [height, width]);
      const isCrowd = random.uniform() < crowdShare;
      return {
        id: ++annotationId,
        image_id: image,
        category_id: object.category,
        bbox: rleToBbox(rle),
        area: rleArea(rle),
        iscrowd: isCrowd ? 1 : 0,
        segmentation: isCrowd ? { size: [height, width], counts: Array.from(rle.counts) } : [polygon],
      };
    });
    const detections = Array.from({ length: detectionsPerImage }, (_, i) => {
      const blob =
        i < detectionsPerImage / 2 ? jittered(objects[i % objectsPerImage]!, random) : strayBlob(objects, random);
      const rle = polygonToRle(outline(blob, random), [height, width]);
      const score = i % 10 === 0 ? Math.round(random.uniform() * 100) / 100 : random.uniform();
      return { blob, rle, common: { image_id: image, category_id: blob.category, score } };
    });
    const comma = image === 1 ? '' : ',';
    const list = (items: readonly unknown[]) => comma + JSON.stringify(items).slice(1, -1);
    writeSync(truth, list(annotations));
    writeSync(boxes, list(detections.map(({ common, blob }) => ({ ...common, bbox: blobBox(blob) }))));
    writeSync(masks, list(detections.map(({ common, rle }) => ({ ...common, segmentation: writtenMask(rle) }))));
  }
  writeSync(truth, ']}');
  writeSync(boxes, ']');
  writeSync(masks, ']');
  for (const file of [truth, boxes, masks]) closeSync(file);
}

function writtenMask(rle: Rle): { size: readonly number[]; counts: string } {
  return { size: rle.size, counts: rleToString(rle) };
}

function randomBlob(random: Random, category: number): Blob {
  const side = () => 5 * 40 ** random.uniform();
  return { category, x: random.uniform() * width, y: random.uniform() * height, rx: side(), ry: side() };
}

function jittered(object: Blob, random: Random): Blob {
  const by = (size: number) => (random.uniform() - 0.5) * 0.5 * size;
  const category = random.uniform() < 0.15 ? 1 + random.integer(categories) : object.category;
  const { rx, ry } = object;
  return { category, x: object.x + by(rx), y: object.y + by(ry), rx: rx + by(rx), ry: ry + by(ry) };
}

function strayBlob(objects: readonly Blob[], random: Random): Blob {
  const isOfImage = random.uniform() < 0.5;
  return randomBlob(
    random,
    isOfImage ? objects[random.integer(objects.length)]!.category : 1 + random.integer(categories),
  );
}

function outline(blob: Blob, random: Random): number[] {
  const corners = 24;
  return Array.from({ length: 2 * corners }, (_, i) => {
    const angle = ((i >> 1) / corners) * 2 * Math.PI;
    const reach = 0.85 + 0.15 * random.uniform();
    const value = i % 2 === 0 ? blob.x + blob.rx * reach * Math.cos(angle) : blob.y + blob.ry * reach * Math.sin(angle);
    return Math.round(Math.min(Math.max(value, 0), i % 2 === 0 ? width : height) * 100) / 100;
  });
}

function blobBox(blob: Blob): BoxXywh {
  const left = Math.max(0, blob.x - blob.rx);
  const top = Math.max(0, blob.y - blob.ry);
  return boxXywh(left, top, Math.min(width, blob.x + blob.rx) - left, Math.min(height, blob.y + blob.ry) - top);
}
