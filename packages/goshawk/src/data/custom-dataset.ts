// A data set that a person writes as code: so many pictures, each with its objects, given by their index. It becomes what a COCO
// file of the same pictures would hold, so that every rule about annotations holds for it too.
import { encodeMask, InputError, type Polygon, type Rle } from '@goshawk/core';

/** What is known of a picture without opening it. */
export interface CustomImageInfo {
  /** Relative to the folder of the pictures. */
  readonly file: string;
  /** Pixels, as the picture is shown (after EXIF orientation). */
  readonly width: number;
  readonly height: number;
}

/** x1, y1, x2, y2 in pixels of the picture; x2 - x1 is the width. */
export type CustomBox = readonly [x1: number, y1: number, x2: number, y2: number];

/** Pixels of the whole picture, rows first: anything but 0 belongs to the object. */
export interface CustomBitmap {
  readonly width: number;
  readonly height: number;
  readonly data: ArrayLike<number>;
}

/** Polygons of x and y by turns, run lengths of the whole picture, or its pixels. */
export type CustomMask = readonly Polygon[] | Rle | CustomBitmap;

/** The objects of a picture; every list has an entry for each of them. */
export interface CustomItem {
  readonly boxes: readonly CustomBox[];
  /** 1 for the first category. */
  readonly labels: readonly number[];
  readonly masks?: readonly CustomMask[];
  /** x, y, v of each point by turns; v: 0 not labelled, 1 hidden, 2 visible. */
  readonly keypoints?: readonly (readonly number[])[];
  /** Whether it is a region of many objects rather than one. Default none is. */
  readonly crowd?: readonly boolean[];
  /** Anything else that is known of each object. It has to be as long as the others; training does not look at it. */
  readonly fields?: Readonly<Record<string, readonly unknown[]>>;
}

export interface CustomCategory {
  readonly name: string;
  /** Names of the keypoints, in their order. */
  readonly keypoints?: readonly string[];
  /** Pairs of 1-based keypoint numbers to be joined by a line. */
  readonly skeleton?: readonly (readonly [number, number])[];
}

export interface CustomDataset {
  readonly length: number;
  /** In the order of the labels. */
  readonly categories: readonly (string | CustomCategory)[];
  imageInfo(index: number): CustomImageInfo;
  item(index: number): CustomItem;
}

/** Nothing but the type: so that a mistake in a data set does not compile. */
export function defineDataset(dataset: CustomDataset): CustomDataset {
  return dataset;
}

/**
 * The pictures of several data sets one after another; their categories have to be the same.
 * @throws InputError where they are not
 */
export function concatenateDatasets(datasets: readonly [CustomDataset, ...CustomDataset[]]): CustomDataset {
  const [first] = datasets;
  const namesOf = ({ categories }: CustomDataset): string => categories.map((one) => categoryOf(one).name).join(', ');
  const other = datasets.findIndex((dataset) => namesOf(dataset) !== namesOf(first));
  if (other >= 0)
    throw new InputError(
      'annotation-invalid',
      `data set ${other}: its categories are ${namesOf(datasets[other]!)} (expected those of the first: ${namesOf(first)}): give both the same list`,
    );
  const places = datasets.flatMap((dataset) =>
    Array.from({ length: dataset.length }, (_, index) => [dataset, index] as const),
  );
  return atPlaces(first, places);
}

/**
 * A data set that has pictures several times, so that training sees them as often.
 * @param times of every picture, or of each by its index; whole numbers, 0 leaves it out
 */
export function repeatDataset(dataset: CustomDataset, times: number | ((index: number) => number)): CustomDataset {
  const places = Array.from({ length: dataset.length }, (_, index) => index).flatMap((index) => {
    const count = typeof times === 'number' ? times : times(index);
    if (!Number.isInteger(count) || count < 0)
      throw new InputError(
        'annotation-invalid',
        `picture ${index}: is repeated ${count} times (expected a whole number)`,
      );
    return Array.from({ length: count }, () => [dataset, index] as const);
  });
  return atPlaces(dataset, places);
}

function atPlaces(
  { categories }: CustomDataset,
  places: readonly (readonly [dataset: CustomDataset, index: number])[],
): CustomDataset {
  return {
    length: places.length,
    categories,
    imageInfo: (index) => places[index]![0].imageInfo(places[index]![1]),
    item: (index) => places[index]![0].item(places[index]![1]),
  };
}

/**
 * The COCO file of a data set, as JSON.
 * @param name of the data set, for messages
 * @throws InputError naming the index and the field that is not as described
 */
export function customDatasetJson(dataset: unknown, name: string): string {
  const { length, categories, imageInfo, item } = checkedDataset(dataset, name);
  const images: object[] = [];
  const annotations: object[] = [];
  for (let index = 0; index < length; index++) {
    const fail = failing(`${name}: item ${index}`);
    const info = checkedInfo(imageInfo(index), fail);
    images.push({ id: index + 1, file_name: info.file, width: info.width, height: info.height });
    const checked = checkedItem(item(index), info, categories, fail);
    checked.boxes.forEach(([x1, y1, x2, y2], object) => {
      const mask = checked.masks?.[object];
      const keypoints = checked.keypoints?.[object];
      annotations.push({
        id: annotations.length + 1,
        image_id: index + 1,
        category_id: checked.labels[object],
        bbox: [x1, y1, x2 - x1, y2 - y1],
        area: (x2 - x1) * (y2 - y1),
        iscrowd: checked.crowd?.[object] ? 1 : 0,
        ...(mask !== undefined && { segmentation: segmentationOf(mask) }),
        ...(keypoints !== undefined && {
          keypoints,
          num_keypoints: keypoints.filter((value, i) => i % 3 === 2 && value > 0).length,
        }),
      });
    });
  }
  return JSON.stringify({
    images,
    annotations,
    categories: categories.map((category, index) => ({ id: index + 1, ...category })),
  });
}

type Fail = (field: string, problem: string) => never;

const failing =
  (where: string): Fail =>
  (field, problem) => {
    throw new InputError('annotation-invalid', `${where}: ${field}: ${problem}`);
  };

const categoryOf = (category: string | CustomCategory): CustomCategory =>
  typeof category === 'string' ? { name: category } : category;

const isNumbers = (value: unknown): value is readonly number[] => Array.isArray(value) && value.every(Number.isFinite);

function shown(value: unknown): string {
  const text = typeof value === 'function' ? 'a function' : (JSON.stringify(value) ?? String(value));
  return text.length > 60 ? `${text.slice(0, 60)}...` : text;
}

function checkedDataset(value: unknown, name: string) {
  const fail = failing(name);
  if (typeof value !== 'object' || value === null)
    return fail(
      'its default export',
      `is ${shown(value)} (expected a data set, or a function that gives one): export one`,
    );
  const { length, categories, imageInfo, item } = value as Partial<CustomDataset>;
  if (!Number.isInteger(length) || length! < 0)
    return fail('length', `is ${shown(length)} (expected the number of pictures): correct it`);
  if (!Array.isArray(categories) || categories.length === 0)
    return fail('categories', `is ${shown(categories)} (expected a list of names): add it`);
  for (const method of ['imageInfo', 'item'] as const)
    if (typeof (value as Partial<CustomDataset>)[method] !== 'function')
      return fail(method, 'is missing (expected a function of the index): add it');
  const whole = categories.map(categoryOf);
  for (const [index, category] of whole.entries())
    if (typeof category?.name !== 'string' || category.name === '')
      return fail(`categories[${index}]`, `is ${shown(category)} (expected a name): correct it`);
  return {
    length: length!,
    categories: whole,
    // Bound, since a data set may be an object of a class.
    imageInfo: (index: number): unknown => imageInfo!.call(value, index),
    item: (index: number): unknown => item!.call(value, index),
  };
}

function checkedInfo(value: unknown, fail: Fail): CustomImageInfo {
  if (typeof value !== 'object' || value === null)
    return fail('imageInfo', `is ${shown(value)} (expected file, width and height): return them`);
  const info = value as CustomImageInfo;
  if (typeof info.file !== 'string' || info.file === '')
    return fail('file', `is ${shown(info.file)} (expected a name below the folder of the pictures): correct it`);
  for (const side of ['width', 'height'] as const)
    if (!Number.isInteger(info[side]) || info[side] < 1)
      return fail(side, `is ${shown(info[side])} (expected a whole number of pixels): correct it`);
  return info;
}

function checkedItem(
  value: unknown,
  { width, height }: CustomImageInfo,
  categories: readonly CustomCategory[],
  fail: Fail,
): CustomItem {
  if (typeof value !== 'object' || value === null)
    return fail('item', `is ${shown(value)} (expected boxes and labels): return them`);
  const item = value as CustomItem;
  if (!Array.isArray(item.boxes))
    return fail('boxes', `is ${shown(item.boxes)} (expected a list of [x1, y1, x2, y2]): add it`);
  const count = item.boxes.length;
  for (const [index, box] of item.boxes.entries()) {
    if (!isNumbers(box) || box.length !== 4)
      return fail(`boxes[${index}]`, `is ${shown(box)} (expected four numbers [x1, y1, x2, y2]): correct it`);
    if (box[2]! <= box[0]! || box[3]! <= box[1]!)
      return fail(
        `boxes[${index}]`,
        `is ${shown(box)} (expected x1 below x2 and y1 below y2): is it [x, y, width, height]?`,
      );
  }
  const lists = {
    labels: item.labels,
    masks: item.masks,
    keypoints: item.keypoints,
    crowd: item.crowd,
    ...item.fields,
  };
  for (const [field, list] of Object.entries(lists)) {
    if (list === undefined && field !== 'labels') continue;
    if (!Array.isArray(list) || list.length !== count)
      return fail(
        field,
        `has ${Array.isArray(list) ? list.length : 'no'} entries (expected one for each of the ${count} boxes): correct it`,
      );
  }
  for (const [index, label] of item.labels.entries())
    if (!Number.isInteger(label) || label < 1 || label > categories.length)
      return fail(
        `labels[${index}]`,
        `is ${shown(label)} (expected 1 to ${categories.length}, as there are categories): correct it`,
      );
  for (const [index, mask] of (item.masks ?? []).entries()) {
    const problem = maskProblem(mask, width, height);
    if (problem !== undefined) return fail(`masks[${index}]`, problem);
  }
  for (const [index, points] of (item.keypoints ?? []).entries()) {
    const names = categories[item.labels[index]! - 1]!.keypoints ?? [];
    if (!isNumbers(points) || points.length !== 3 * names.length)
      return fail(
        `keypoints[${index}]`,
        `has ${Array.isArray(points) ? points.length : 'no'} numbers (expected x, y, v of each of the ${names.length} keypoints of its category): correct it`,
      );
  }
  return item;
}

function maskProblem(mask: CustomMask, width: number, height: number): string | undefined {
  if (Array.isArray(mask)) {
    const bad = (mask as readonly unknown[]).findIndex(
      (polygon) => !isNumbers(polygon) || polygon.length < 6 || polygon.length % 2 !== 0,
    );
    return bad < 0
      ? undefined
      : `polygon ${bad} is ${shown(mask[bad])} (expected at least three corners, x and y by turns): correct it`;
  }
  if (typeof mask !== 'object' || mask === null)
    return `is ${shown(mask)} (expected polygons, run lengths or a bitmap): correct it`;
  const size =
    'counts' in mask ? [mask.size?.[1], mask.size?.[0]] : [(mask as CustomBitmap).width, (mask as CustomBitmap).height];
  if (size[0] !== width || size[1] !== height)
    return `is ${size[0]} x ${size[1]} (expected ${width} x ${height}, as the picture): correct it`;
  if (!('counts' in mask) && (mask as CustomBitmap).data?.length !== width * height)
    return `has ${(mask as CustomBitmap).data?.length ?? 'no'} pixels (expected ${width * height}): correct it`;
  return undefined;
}

function segmentationOf(mask: CustomMask): unknown {
  if (Array.isArray(mask)) return mask;
  const { size, counts } = 'counts' in mask ? mask : rleOfBitmap(mask as CustomBitmap);
  return { size, counts: Array.from(counts) };
}

function rleOfBitmap({ width, height, data }: CustomBitmap): Rle {
  return encodeMask(
    Uint8Array.from(data, (value) => (value === 0 ? 0 : 1)),
    [height, width],
  );
}
