// A data set of a program: samples that load themselves, from memory, a database, the network. Each is loaded once to know its size and
// its objects, and again whenever its pixels are needed; nothing of it is kept but the objects.
import { encodeMask, InputError, parseCoco, type RgbImage } from '@goshawk/core';
import { type CustomCategory, type CustomItem, type CustomMask, customDatasetJson } from './custom-dataset.js';
import { type DatasetOptions, type DetectionDataset, firstImages, openDataset } from './dataset.js';
import { imageHeaderOf } from './decode-image.js';
import type { PictureContent } from './loaded-pictures.js';

/** A picture and its objects: boxes as x1, y1, x2, y2 in its pixels, labels from 1 for the first category. */
export interface LoadedSample extends CustomItem {
  readonly image: PictureContent;
}

export interface Sample {
  /** What messages and results call the picture; no two may have the same. Default: `sample` and its place, from 1. */
  readonly name?: string;
  /** The same whenever it is asked: size and objects are those of the first time. */
  load(): LoadedSample | Promise<LoadedSample>;
}

export interface SampleDataset {
  /** In the order of the labels. */
  readonly categories: readonly (string | CustomCategory)[];
  readonly samples: readonly Sample[];
}

/** Nothing but the type: so that a mistake in a data set does not compile. */
export function defineSamples(dataset: SampleDataset): SampleDataset {
  return dataset;
}

/** Samples that are asked for at the same time. */
const LOADED_AT_ONCE = 8;

/**
 * Loads every sample once. All rules about annotations hold for it as for a COCO file.
 * @param name of the data set, for messages
 * @throws InputError naming the sample and the field that is not as described
 */
export async function openSampleDataset(
  { categories, samples }: SampleDataset,
  name: string,
  options: DatasetOptions = {},
): Promise<DetectionDataset> {
  const byName = new Map<string, Sample>();
  for (const [index, sample] of samples.entries()) {
    const own = nameOf(sample, index);
    if (byName.has(own))
      throw new InputError('annotation-invalid', `${name}: two samples are called ${own}: give each a name of its own`);
    byName.set(own, sample);
  }
  const names = [...byName.keys()];
  const known: { readonly width: number; readonly height: number; readonly item: CustomItem }[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < samples.length) {
      const index = next++;
      const { image, ...item } = await loadSample(samples[index]!, names[index]!);
      const { width, height } = await sizeOf(image, names[index]!, options);
      known[index] = { width, height, item: withRuns(item, width, height) };
    }
  };
  await Promise.all(Array.from({ length: LOADED_AT_ONCE }, worker));
  const json = customDatasetJson(
    {
      ...{ length: samples.length, categories },
      imageInfo: (index: number) => ({ file: names[index], width: known[index]!.width, height: known[index]!.height }),
      item: (index: number) => known[index]!.item,
    },
    name,
  );
  const { purpose = 'training', limit } = options;
  const { dataset, warnings } = parseCoco(new TextEncoder().encode(json), {
    ...{ fileName: name, purpose, requireFiles: true },
  });
  const opened = openDataset(
    firstImages(dataset, limit),
    { annotations: name, images: undefined, issues: warnings },
    options,
  );
  return { ...opened, load: async (path) => (await loadSample(byName.get(path)!, path)).image };
}

function nameOf({ name }: Sample, index: number): string {
  return name ?? `sample ${index + 1}`;
}

/** What goes wrong in a program's own code is about that picture, as damage in a file is. */
async function loadSample(sample: Sample, name: string): Promise<LoadedSample> {
  let loaded: LoadedSample;
  try {
    loaded = await sample.load();
  } catch (error) {
    if (error instanceof InputError) throw error;
    const reason = error instanceof Error ? error.message.split('\n')[0]! : String(error);
    throw new InputError('image-invalid', `${name}: load() failed: ${reason}: mend it, or leave the sample out`, {
      cause: error,
    });
  }
  const image: unknown = loaded?.image;
  if (image instanceof Uint8Array) return loaded;
  const { width, height, data } = (image ?? {}) as Partial<RgbImage>;
  if (!(data instanceof Uint8Array) || data.length !== width! * height! * 3 || data.length === 0)
    throw new InputError(
      'image-invalid',
      `${name}: load() gives no picture (expected image: the bytes of a file as Uint8Array, or width, height and data, a Uint8Array of width x height x 3): return one`,
    );
  return loaded;
}

async function sizeOf(image: PictureContent, name: string, { exifOrientation = 'apply' }: DatasetOptions) {
  return image instanceof Uint8Array ? imageHeaderOf(image, name, { exifOrientation }) : image;
}

/** Bitmaps as run lengths, which take a hundredth of the memory. What does not fit is left to be told. */
function withRuns(item: CustomItem, width: number, height: number): CustomItem {
  if (!Array.isArray(item.masks)) return item;
  const runs = (mask: CustomMask): CustomMask => {
    if (typeof mask !== 'object' || mask === null || !('data' in mask)) return mask;
    if (mask.width !== width || mask.height !== height || mask.data.length !== width * height) return mask;
    return encodeMask(
      Uint8Array.from(mask.data, (value) => (value === 0 ? 0 : 1)),
      [height, width],
    );
  };
  return { ...item, masks: item.masks.map(runs) };
}
