// A loader's batch as the tensors that models take. On the CPU the pixels are not copied; to a card all goes in one copy.
import { type Device, type HostArray, type Tensor, tensor, tensorOver, toDeviceTogether } from '@goshawk/torch';
import type { Batch, Target } from '../data/index.js';
import { frameValues, type ImageBatch, type Targets, turnKeysOf } from '../models/index.js';

/** Pixels of N pictures as the loader or `prepareBatch` lays them out. */
export interface NetworkPixels extends Pick<Batch, 'pixels' | 'height' | 'width'> {
  /** Sizes without padding, and as the pictures were given. */
  readonly images: readonly (Pick<
    Batch['images'][number],
    'height' | 'width' | 'originalHeight' | 'originalWidth' | 'scaleX' | 'scaleY' | 'proposals'
  > & { readonly turn?: number })[];
}

/** A batch where the model is. */
export interface DeviceBatch {
  readonly images: ImageBatch;
  /** One a picture; none where the pictures came without. */
  readonly targets: readonly Targets[];
}

export interface DeviceBatchOptions {
  /**
   * Whether all of it is gathered and copied to the device at once; otherwise the pixels stay in the loader's memory where the
   * device is the CPU. Default: on all other devices.
   */
  readonly gathered?: boolean;
}

/** The tensors of a batch on a device; a card copies them while the host goes on. */
export function deviceBatchOf(
  batch: NetworkPixels & Partial<Pick<Batch, 'targets'>>,
  device: Device = 'cpu',
  { gathered = device !== 'cpu' }: DeviceBatchOptions = {},
): DeviceBatch {
  const { images, targets = [] } = batch;
  const pixels = pixelsOf(batch);
  const proposals = proposalsOf(images);
  const objects = hostTargetsOf(targets);
  const measures = measuresOf(images);
  const frames = gathered ? framesOf(measures) : undefined;
  const turns = turnsOf(images);
  const turnKeys = gathered && turns ? { array: turnKeysOf(turns), shape: [turns.length] } : undefined;
  const beside = [frames, turnKeys].filter((array) => array !== undefined);
  const others = [...beside, ...(proposals ?? []), ...objects.flatMap(arraysOf)];
  const made = gathered
    ? toDeviceTogether([pixels, ...others], device)
    : [borrowed(pixels).to({ device }), ...others.map(({ array, shape }) => tensor(array, { shape, device }))];
  const tensors = new Map([pixels, ...others].map((array, index) => [array, made[index]!]));
  const place = (array: HostArray): Tensor => tensors.get(array)!;
  return {
    images: {
      pixels: place(pixels),
      ...measures,
      ...(frames && { frames: place(frames) }),
      ...(proposals && { proposals: proposals.map(place) }),
      ...(turns && { turns }),
      ...(turnKeys && { turnKeys: place(turnKeys) }),
    },
    targets: objects.map((own) => placedTargets(own, place)),
  };
}

function measuresOf(images: NetworkPixels['images']): Pick<ImageBatch, 'sizes' | 'originals' | 'scales'> {
  return {
    sizes: images.map((image) => [image.height, image.width] as const),
    originals: images.map((image) => [image.originalHeight, image.originalWidth] as const),
    scales: images.map(({ scaleX, scaleY }) => ({ x: scaleX, y: scaleY })),
  };
}

function turnsOf(images: NetworkPixels['images']): readonly number[] | undefined {
  const turns = images.flatMap(({ turn }) => turn ?? []);
  return turns.length === images.length ? turns : undefined;
}

function framesOf(measures: ReturnType<typeof measuresOf>): HostArray {
  return { array: frameValues(measures), shape: [measures.sizes.length, 3, 4] };
}

export function imageBatchOf(batch: NetworkPixels, device: Device = 'cpu'): ImageBatch {
  const { pixels, height, width, images } = batch;
  return deviceBatchOf({ pixels, height, width, images }, device).images;
}

export function targetsOf({ targets }: Pick<Batch, 'targets'>, device: Device = 'cpu'): Targets[] {
  const place = ({ array, shape }: HostArray): Tensor => tensor(array, { shape, device });
  return hostTargetsOf(targets).map((own) => placedTargets(own, place));
}

/** The memory is N x H x W x 3: to the engine an N x 3 x H x W tensor in the channels_last format. */
function pixelsOf({ pixels, height, width, images }: NetworkPixels): HostArray {
  return { array: pixels, shape: [images.length, 3, height, width], strides: [height * width * 3, 1, width * 3, 3] };
}

function borrowed({ array, shape, strides }: HostArray): Tensor {
  return tensorOver(array, shape, { strides });
}

function proposalsOf(images: NetworkPixels['images']): readonly HostArray[] | undefined {
  if (!images.every(({ proposals }) => proposals)) return undefined;
  return images.map(({ proposals }) => ({ array: proposals!, shape: [proposals!.length / 4, 4] }));
}

/** What {@link Targets} are made of, in JavaScript's memory. */
interface HostTargets {
  readonly boxes: HostArray;
  readonly labels: HostArray;
  readonly masks?: { readonly pixels: HostArray; readonly crops: HostArray };
  readonly keypoints?: HostArray;
  readonly polygons?: Targets['polygons'];
}

function hostTargetsOf(targets: readonly Target[]): HostTargets[] {
  const withPoints = targets.find(({ keypoints }) => keypoints !== undefined && keypoints.length > 0);
  // No object in the whole batch: nothing tells how many points there would be.
  const pointCount = withPoints ? withPoints.keypoints!.length / (withPoints.classes.length * 3) : 0;
  return targets.map(({ boxes, classes, masks, keypoints, polygons }) => {
    const count = classes.length;
    return {
      boxes: { array: boxes, shape: [count, 4] },
      labels: { array: BigInt64Array.from(classes, BigInt), shape: [count] },
      ...(masks ? { masks: hostMasksOf(masks) } : {}),
      ...(keypoints ? { keypoints: { array: keypoints, shape: [count, pointCount, 3] } } : {}),
      ...(polygons ? { polygons } : {}),
    };
  });
}

function hostMasksOf(crops: NonNullable<Target['masks']>): NonNullable<HostTargets['masks']> {
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
  return {
    pixels: { array: pixels, shape: [pixels.length] },
    crops: { array: rows, shape: [crops.length, 5] },
  };
}

function arraysOf({ boxes, labels, masks, keypoints }: HostTargets): HostArray[] {
  return [boxes, labels, ...(masks ? [masks.pixels, masks.crops] : []), ...(keypoints ? [keypoints] : [])];
}

function placedTargets(
  { boxes, labels, masks, keypoints, polygons }: HostTargets,
  place: (array: HostArray) => Tensor,
) {
  return {
    boxes: place(boxes),
    labels: place(labels),
    ...(masks ? { masks: { pixels: place(masks.pixels), crops: place(masks.crops) } } : {}),
    ...(keypoints ? { keypoints: place(keypoints) } : {}),
    ...(polygons ? { polygons } : {}),
  } satisfies Targets;
}
