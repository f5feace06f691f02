// The `annotations` list of a COCO file, checked against its images and categories.
import type { BoxXywh } from '../boxes/box.js';
import { boxAround } from '../boxes/measure-box.js';
import { InputError } from '../errors/index.js';
import { polygonsToRle } from '../masks/polygon-to-rle.js';
import type { MaskSize, Polygon } from '../masks/rle.js';
import { rleArea } from '../masks/rle.js';
import { isFiniteNumber, readBox, readId, readKeypoints } from './coco-fields.js';
import type { CocoOptions } from './coco-options.js';
import { readSegmentation } from './coco-segmentation.js';
import type { ById } from './coco-tables.js';
import type { DataIssueList } from './data-issue.js';
import { describeValue } from './data-issue.js';
import type { Annotation, Category, ImageRecord, Segmentation } from './dataset.js';
import { fitBox } from './fit-box.js';
import { objectMarks } from './object-marks.js';
import { ObjectTwins, tellTwin } from './object-twins.js';
import { asObject, type JsonObject } from './read-json.js';

export interface CocoTables {
  readonly images: ById<ImageRecord>;
  readonly categories: ById<Category>;
}

/** Reads the entries of `annotations`, one after the other. */
export class AnnotationReader {
  /** Those that are kept, in file order. */
  readonly annotations: Annotation[] = [];
  private readonly tables: CocoTables;
  private readonly options: CocoOptions;
  private readonly issues: DataIssueList;
  private readonly seenIds = new Set<number>();
  private readonly twins = new ObjectTwins<Annotation>();
  private entries = 0;

  constructor(tables: CocoTables, options: CocoOptions, issues: DataIssueList) {
    this.tables = tables;
    this.options = options;
    this.issues = issues;
  }

  read(entry: unknown): void {
    const { issues, tables, options } = this;
    const path = `annotations[${this.entries++}]`;
    const object = asObject(entry);
    if (object === undefined) {
      issues.error('wrong-value', path, `is ${describeValue(entry)} (expected an object): correct it`);
      return;
    }
    const id = readId(object.id, `${path}.id`, issues);
    if (id === undefined) return;
    const entity = `annotation id ${id}`;
    if (this.seenIds.has(id)) {
      issues.error(
        'duplicate-id',
        `${path}.id`,
        `is ${id}, which an earlier annotation has: give each annotation an id of its own`,
        entity,
      );
      return;
    }
    this.seenIds.add(id);
    const annotation = readAnnotation(object, id, tables, { path, entity, options, issues });
    if (annotation === undefined) return;
    const twin = this.twins.take(annotation);
    this.annotations.push(annotation);
    if (twin !== undefined) tellTwin(`annotation id ${twin.id}`, path, issues, entity);
  }
}

interface Place {
  readonly path: string;
  readonly entity: string;
  readonly options: CocoOptions;
  readonly issues: DataIssueList;
}

// Every field is checked before giving up, so that one pass over the file finds all of its problems.
function readAnnotation(object: JsonObject, id: number, tables: CocoTables, place: Place): Annotation | undefined {
  const { path, entity, issues } = place;
  const image = readReference(object.image_id, 'image', tables.images, place);
  const category = readReference(object.category_id, 'category', tables.categories, place);
  const isCrowd = readCrowd(object.iscrowd, place);
  const box = readBox(object.bbox, `${path}.bbox`, issues, entity);
  const size: MaskSize | undefined =
    image !== undefined && image.width > 0 && image.height > 0 ? [image.height, image.width] : undefined;
  const mask = readMask(object.segmentation, size, place);
  const area = readArea(
    object.area,
    { segmentation: mask === 'skip' ? undefined : mask?.segmentation, size, box },
    place,
  );
  const keypoints = readAnnotationKeypoints(object.keypoints, category, place);
  if (image === undefined || category === undefined || isCrowd === undefined || box === undefined) return undefined;
  if (mask === undefined || area === undefined || keypoints === undefined) return undefined;
  const bbox = fitBox(box, size, {
    path: `${path}.bbox`,
    entity,
    isKept: place.options.purpose === 'evaluation',
    issues,
  });
  if (bbox === undefined || mask === 'skip') return undefined;
  const marks = objectMarks(object);
  const numKeypoints = Number.isSafeInteger(object.num_keypoints)
    ? (object.num_keypoints as number)
    : keypoints.labelled;
  return {
    id,
    imageId: image.id,
    categoryId: category.id,
    bbox,
    area,
    isCrowd,
    // The word of Detectron's PASCAL VOC files for a difficult object; pycocotools does not look at it.
    ...(object.ignore === 1 || object.ignore === true ? { isDifficult: true } : {}),
    ...(marks && { marks }),
    ...(mask.segmentation === undefined ? {} : { segmentation: mask.segmentation }),
    ...(keypoints.points === undefined ? {} : { keypoints: keypoints.points }),
    ...(numKeypoints === undefined ? {} : { numKeypoints }),
  };
}

function readReference<Entry>(
  value: unknown,
  noun: 'image' | 'category',
  table: ById<Entry>,
  place: Place,
): Entry | undefined {
  const { entity, issues } = place;
  const path = `${place.path}.${noun}_id`;
  const id = readId(value, path, issues, entity);
  if (id === undefined) return undefined;
  const entry = table.entries.get(id);
  if (entry === undefined && !table.hasUnknownIds) {
    const list = noun === 'image' ? 'images' : 'categories';
    const listed = table.entries.size === 0 ? 'is empty' : `has ${describeIds(table.entries)}`;
    issues.error(
      `unknown-${noun}`,
      path,
      `is ${id}, but "${list}" ${listed}: add ${noun} id ${id} or drop the annotation`,
      entity,
    );
  }
  return entry;
}

function describeIds(entries: ReadonlyMap<number, unknown>): string {
  const ids = [...entries.keys()];
  return ids.length <= 5 ? `only ${ids.join(', ')}` : `${ids.length} others, from ${ids[0]} to ${ids[ids.length - 1]}`;
}

function readCrowd(value: unknown, { path, entity, issues }: Place): boolean | undefined {
  if (value === undefined || value === null || value === 0 || value === false) return false;
  if (value === 1 || value === true) return true;
  issues.error('wrong-value', `${path}.iscrowd`, `is ${describeValue(value)} (expected 0 or 1): correct it`, entity);
  return undefined;
}

// Undefined after an error; 'skip' where the annotation is no use to a model of masks.
function readMask(
  value: unknown,
  size: MaskSize | undefined,
  place: Place,
): { segmentation?: Segmentation } | 'skip' | undefined {
  const { entity, issues, options } = place;
  const path = `${place.path}.segmentation`;
  const { segmentation: read, error, leftOut } = readSegmentation(value, size);
  if (error !== undefined) {
    issues.error(error.code, path + error.path, error.text, entity);
    return undefined;
  }
  for (const part of leftOut) issues.warning(part.code, path + part.path, part.text, entity);
  const segmentation = read && withinPicture(read, size, { path, entity, options, issues });
  if (!options.forMasks) return { segmentation };
  if (options.purpose === 'evaluation') {
    if (segmentation !== undefined) return { segmentation };
    issues.error(
      'mask-missing',
      path,
      'has no mask, which the evaluation of masks needs: add polygons or evaluate boxes',
      entity,
    );
    return undefined;
  }
  if (segmentation !== undefined && (segmentation.kind === 'polygons' || rleArea(segmentation.rle) > 0))
    return { segmentation };
  issues.warning(
    'mask-missing',
    path,
    'has no mask, which this model learns from: the annotation is skipped; add polygons',
    entity,
  );
  return 'skip';
}

/** Without the polygons that have no part in the picture; an evaluation keeps them. Undefined where none is left. */
function withinPicture(
  segmentation: Segmentation,
  size: MaskSize | undefined,
  { path, entity, options: { purpose = 'training' }, issues }: Place,
): Segmentation | undefined {
  if (segmentation.kind !== 'polygons' || size === undefined) return segmentation;
  const [height, width] = size;
  const inside = segmentation.polygons.filter((polygon, i) => {
    const [x, y, w, h] = boxAround(polygon);
    if (x < width && y < height && x + w > 0 && y + h > 0) return true;
    const done = purpose === 'training' ? 'the polygon is left out' : 'it is kept as it is';
    issues.byRule(
      'polygon-outside',
      purpose,
      `${path}[${i}]`,
      `lies from ${round(x)}, ${round(y)} to ${round(x + w)}, ${round(y + h)}, wholly outside of the picture of ${width} x ${height}: ${done}; correct or remove it`,
      entity,
    );
    return false;
  });
  if (purpose === 'evaluation' || inside.length === segmentation.polygons.length) return segmentation;
  return inside.length === 0 ? undefined : { kind: 'polygons', polygons: inside };
}

function round(pixels: number): number {
  return Math.round(pixels * 10) / 10;
}

interface Extent {
  readonly segmentation: Segmentation | undefined;
  readonly size: MaskSize | undefined;
  readonly box: BoxXywh | undefined;
}

function readArea(value: unknown, { segmentation, size, box }: Extent, place: Place): number | undefined {
  const { path, entity, issues } = place;
  if (value !== undefined && value !== null) {
    if (isFiniteNumber(value) && value >= 0) return value;
    issues.error(
      'wrong-value',
      `${path}.area`,
      `is ${describeValue(value)} (expected square pixels, at least 0): correct it, or drop it to have it computed`,
      entity,
    );
    return undefined;
  }
  if (segmentation?.kind === 'rle') return rleArea(segmentation.rle);
  if (segmentation?.kind === 'polygons') return polygonsArea(segmentation.polygons, size, place);
  return box === undefined ? undefined : Math.max(box[2], 0) * Math.max(box[3], 0);
}

// Undefined after an error; no points where the file has none.
function readAnnotationKeypoints(
  value: unknown,
  category: Category | undefined,
  place: Place,
): ReadKeypoints | undefined {
  // Some tools write an empty list for every object without points.
  if (value === undefined || value === null || (Array.isArray(value) && value.length === 0)) return {};
  const { entity, issues } = place;
  const path = `${place.path}.keypoints`;
  const points = readKeypoints(value, category?.keypoints?.length, path, issues, entity);
  if (points === undefined) return undefined;
  let labelled = 0;
  for (let i = 2; i < points.length; i += 3) {
    const visibility = points[i]!;
    if (visibility !== 0 && visibility !== 1 && visibility !== 2) {
      issues.error(
        'bad-keypoints',
        `${path}[${i}]`,
        `is ${visibility} (expected 0 not labelled, 1 hidden or 2 visible): correct it`,
        entity,
      );
      return undefined;
    }
    if (visibility > 0) labelled++;
  }
  return { points, labelled };
}

interface ReadKeypoints {
  readonly points?: readonly number[];
  readonly labelled?: number;
}

/**
 * Pixels of the polygons' mask, those of several polygons once. Without a picture size it is drawn on a canvas from the origin to
 * its farthest corner. Undefined after an error.
 */
function polygonsArea(
  polygons: readonly Polygon[],
  size: MaskSize | undefined,
  { path, entity, issues }: Place,
): number | undefined {
  try {
    return rleArea(polygonsToRle(polygons, size ?? canvasOf(polygons)));
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-mask', `${path}.segmentation`, error.message.replace(/^mask: /, ''), entity);
    return undefined;
  }
}

// Far enough for every real picture; a corner beyond it is a mistake, and memory goes with the columns.
const mostCanvas = 65535;

function canvasOf(polygons: readonly Polygon[]): MaskSize {
  const farthest = (first: 0 | 1): number => {
    let most = 0;
    for (const polygon of polygons) for (let i = first; i < polygon.length; i += 2) most = Math.max(most, polygon[i]!);
    return Math.min(Math.ceil(most) + 1, mostCanvas);
  };
  return [farthest(1), farthest(0)];
}
