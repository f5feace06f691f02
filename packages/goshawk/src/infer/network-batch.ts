// A loader's batch as the tensors that models take; the pixels are not copied.
import { type Device, tensor, tensorOver } from '@goshawk/torch';
import type { Batch, Target } from '../data/index.js';
import type { ImageBatch, MaskTargets, Targets } from '../models/index.js';

/** Pixels of N pictures as the loader or `prepareBatch` lays them out. */
export interface NetworkPixels extends Pick<Batch, 'pixels' | 'height' | 'width'> {
  /** Sizes without padding, and as the pictures were given. */
  readonly images: readonly Pick<
    Batch['images'][number],
    'height' | 'width' | 'originalHeight' | 'originalWidth' | 'scaleX' | 'scaleY' | 'proposals'
  >[];
}

export function imageBatchOf(batch: NetworkPixels, device: Device = 'cpu'): ImageBatch {
  const { height, width, images } = batch;
  // The memory is N x H x W x 3: to the engine an N x 3 x H x W tensor in the channels_last format.
  const borrowed = tensorOver(batch.pixels, [images.length, 3, height, width], {
    strides: [height * width * 3, 1, width * 3, 3],
  });
  return {
    pixels: device === 'cpu' ? borrowed : borrowed.to({ device }),
    sizes: images.map((image) => [image.height, image.width] as const),
    originals: images.map((image) => [image.originalHeight, image.originalWidth] as const),
    scales: images.map(({ scaleX, scaleY }) => ({ x: scaleX, y: scaleY })),
    ...(images.every(({ proposals }) => proposals) && {
      proposals: images.map(({ proposals }) => tensor(proposals!, { shape: [proposals!.length / 4, 4], device })),
    }),
  };
}

export function targetsOf(batch: Pick<Batch, 'targets'>, device: Device = 'cpu'): Targets[] {
  const withPoints = batch.targets.find((target) => target.keypoints !== undefined && target.keypoints.length > 0);
  // No object in the whole batch: nothing tells how many points there would be.
  const pointCount = withPoints ? withPoints.keypoints!.length / (withPoints.classes.length * 3) : 0;
  return batch.targets.map((target) => {
    const count = target.classes.length;
    return {
      boxes: tensor(target.boxes, { shape: [count, 4], device }),
      labels: tensor(BigInt64Array.from(target.classes, BigInt), { shape: [count], device }),
      ...(target.masks ? { masks: maskTargets(target.masks, device) } : {}),
      ...(target.keypoints ? { keypoints: tensor(target.keypoints, { shape: [count, pointCount, 3], device }) } : {}),
      ...(target.polygons ? { polygons: target.polygons } : {}),
    };
  });
}

function maskTargets(crops: NonNullable<Target['masks']>, device: Device): MaskTargets {
  const pixels = new Uint8Array(crops.reduce((sum, crop) => sum + crop.data.length, 0));
  const rows = new BigInt64Array(crops.length * 5);
  let offset = 0;
  crops.forEach(({ x, y, width, height, data }, index) => {
    pixels.set(data, offset);
    [offset, x, y, width, height].forEach((value, column) => {
      rows[index * 5 + column] = BigInt(value);
    });
    offset += data.length;
  });
  return { pixels: tensor(pixels, { device }), crops: tensor(rows, { shape: [crops.length, 5], device }) };
}
