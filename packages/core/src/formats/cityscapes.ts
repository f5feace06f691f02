// Cityscapes' instance labels (gtFine *_instanceIds.png) as a dataset with masks. A pixel holds class * 1000 + instance,
// or the class alone for a group whose members could not be told apart.
import { InputError } from '../errors/input-error.js';
import { maskPixels, type Rle, rleArea } from '../masks/rle.js';
import { rleToBbox } from '../masks/rle-to-bbox.js';
import { cityscapesCategories, cityscapesInstanceIds, cityscapesVoidIds } from './cityscapes-labels.js';
import type { Annotation, Dataset, ImageRecord } from './dataset.js';

/** The instance labels of one picture. */
export interface CityscapesPicture {
  /** Stands at the head of messages. */
  readonly fileName: string;
  /** The picture that the labels belong to, below the image folder. */
  readonly image: string;
  readonly width: number;
  readonly height: number;
  /** height * width ids in row-major order. */
  readonly ids: Uint16Array;
}

/**
 * A dataset of the eight instance classes, category ids being Cityscapes' label ids (24 person to 33 bicycle). Groups are
 * crowds; pixels of void classes go to `ignoredRegions`; everything else is background. Images are numbered 1, 2, ...
 * in the order of the pictures, each read as it comes, and objects in that of their ids within.
 * @throws InputError for a picture of another size than its ids, and for ids that Cityscapes does not have.
 */
export function cityscapesDataset(pictures: Iterable<CityscapesPicture>): Dataset {
  const images: ImageRecord[] = [];
  const annotations: Annotation[] = [];
  const ignoredRegions = new Map<number, Rle>();
  for (const picture of pictures) {
    const { image, width, height } = picture;
    const imageId = images.length + 1;
    images.push({ id: imageId, fileName: image, width, height });
    const { instances, ignored } = readRegions(picture);
    if (ignored !== undefined) ignoredRegions.set(imageId, ignored);
    for (const [id, rle] of instances) {
      annotations.push({
        id: annotations.length + 1,
        imageId,
        categoryId: id < 1000 ? id : Math.floor(id / 1000),
        bbox: rleToBbox(rle),
        area: rleArea(rle),
        isCrowd: id < 1000,
        segmentation: { kind: 'rle', rle },
      });
    }
  }
  return { images, annotations, categories: cityscapesCategories, ignoredRegions };
}

// All void classes are one region.
const voidRegion = 0;
const categoryIds = new Set(cityscapesCategories.map(({ id }) => id));

/** What an id's pixels belong to: its own region, the void one, or none. Undefined for an id that cannot be. */
function regionOf(id: number): number | undefined {
  const label = id < 1000 ? id : Math.floor(id / 1000);
  if (label > 33 || (id >= 1000 && !cityscapesInstanceIds.includes(label))) return undefined;
  if (categoryIds.has(label)) return id;
  // Single caravans and trailers are background to the evaluation, groups of them void: it compares whole ids.
  return cityscapesVoidIds.includes(id) ? voidRegion : -1;
}

/** Walks the picture by columns, as run lengths go, and keeps the runs of each region. */
function readRegions({ fileName, width, height, ids }: CityscapesPicture): {
  instances: (readonly [number, Rle])[];
  ignored: Rle | undefined;
} {
  const size = [height, width] as const;
  if (ids.length !== maskPixels(size)) {
    throw new InputError(
      'annotation-invalid',
      `${fileName}: has ${ids.length} pixels (expected ${height} x ${width}): pass the size of the label picture`,
    );
  }
  const regionById = new Int32Array(65536).fill(-2);
  const runs = new Map<number, { counts: number[]; end: number }>();
  let region = -1;
  let start = 0;
  let at = 0;
  const close = (): void => {
    if (region < 0 || at === start) return;
    let own = runs.get(region);
    if (own === undefined) {
      own = { counts: [], end: 0 };
      runs.set(region, own);
    }
    own.counts.push(start - own.end, at - start);
    own.end = at;
  };
  const columns = byColumns(ids, width, height);
  for (; at < columns.length; at++) {
    const id = columns[at]!;
    let here = regionById[id]!;
    if (here === -2) {
      const found = regionOf(id);
      if (found === undefined) {
        throw new InputError(
          'annotation-invalid',
          `${fileName}: pixel ${Math.floor(at / height)}, ${at % height} is ${id} (expected an id of Cityscapes: 0 to 33, or class * 1000 + instance of ${cityscapesInstanceIds.join(', ')}): pass the *_instanceIds.png`,
        );
      }
      here = found;
      regionById[id] = found;
    }
    if (here === region) continue;
    close();
    region = here;
    start = at;
  }
  close();
  const finish = ({ counts, end }: { counts: number[]; end: number }): Rle => ({
    size: [height, width],
    counts: Uint32Array.from(end < ids.length ? [...counts, ids.length - end] : counts),
  });
  const ignored = runs.get(voidRegion);
  const instances = [...runs].filter(([id]) => id !== voidRegion).sort(([a], [b]) => a - b);
  return {
    instances: instances.map(([id, own]) => [id, finish(own)] as const),
    ignored: ignored && finish(ignored),
  };
}

/** The pixels column after column, copied in strips that stay in the processor's cache. */
function byColumns(ids: Uint16Array, width: number, height: number): Uint16Array {
  const strip = 32;
  const columns = new Uint16Array(ids.length);
  for (let left = 0; left < width; left += strip) {
    const right = Math.min(left + strip, width);
    for (let y = 0; y < height; y++) {
      for (let x = left; x < right; x++) columns[x * height + y] = ids[y * width + x]!;
    }
  }
  return columns;
}
