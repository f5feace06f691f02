// labelme's annotations (github.com/wkentaro/labelme, labelme/_label_file.py and _shape.py): a JSON file beside each picture, with a
// list of shapes that are drawn on it.
import { boxAround } from '../boxes/measure-box.js';
import { InputError } from '../errors/index.js';
import type { MaskSize } from '../masks/rle.js';
import { encodeMask } from '../masks/rle-encode.js';
import { isFiniteNumber } from './coco-fields.js';
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Annotation, Dataset, ImageRecord } from './dataset.js';
import { fitBox } from './fit-box.js';
import { imagePathProblem } from './image-path.js';
import { ellipseOutline, type ObjectPart, objectOfParts } from './object-of-parts.js';
import { ObjectTwins, tellTwin } from './object-twins.js';
import { asObject, type JsonObject, readJson } from './read-json.js';
import { classCategories } from './voc-classes.js';

export interface LabelmeFile {
  /** Stands at the head of every message about the file. */
  readonly fileName: string;
  readonly content: string | Uint8Array;
  /**
   * Finds the picture that the file names. Default: the name as it is.
   * @returns its path below the image folder, and its size as shown where the file does not say it
   */
  readonly locate?: (imagePath: string | undefined) => LabelmePicture;
}

export interface LabelmePicture {
  readonly image: string;
  /** Whether there is such a file. */
  readonly isThere: boolean;
  readonly size?: () => { readonly width: number; readonly height: number };
}

export interface LabelmeOptions {
  /** Class names in the order of their category ids 1, 2, ...; default: the labels in the files, sorted by code point. */
  readonly classes?: readonly string[];
  /** As for COCO: `training` (the default) clips and skips, `evaluation` keeps boxes as they are. */
  readonly purpose?: 'training' | 'evaluation';
  /** Stands at the head of messages about all files together. Default `annotations`. */
  readonly name?: string;
  /** Decodes the PNG of a shape of the kind mask, of one grey channel; every value but 0 is mask. Without it such shapes are errors. */
  readonly decodePng?: (
    bytes: Uint8Array,
    shownName: string,
  ) => { readonly width: number; readonly height: number; readonly values: ArrayLike<number> };
}

export interface ParsedLabelme {
  /** Images 1, 2, ... in the order of the files, objects in that of their first shapes. */
  readonly dataset: Dataset;
  readonly warnings: readonly DataIssue[];
}

/**
 * Reads the files of one set. Shapes with the same label and the same `group_id` are one object, as in labelme's own converters;
 * rectangles are boxes, turned rectangles, polygons, circles and masks are objects with masks; points and lines are no objects.
 * @throws InputError that names the file, shape and remedy of the first error and counts the others
 */
export function parseLabelme(files: Iterable<LabelmeFile>, options: LabelmeOptions = {}): ParsedLabelme {
  const issues = new DataIssueList(options.name ?? 'annotations');
  const dataset = readFiles(files, options, issues);
  issues.throwFirstError('annotation-invalid');
  return { dataset, warnings: issues.warnings };
}

/** Every problem of the files, in file order; never throws for what they hold. */
export function checkLabelme(files: Iterable<LabelmeFile>, options: LabelmeOptions = {}): DataIssue[] {
  const issues = new DataIssueList(options.name ?? 'annotations');
  readFiles(files, options, issues);
  return issues.issues;
}

/** The labels of objects that occur in the files, those with errors left out. */
export function labelmeNames(files: Iterable<LabelmeFile>): Set<string> {
  const names = new Set<string>();
  for (const { fileName, content } of files) {
    const shapes = asObject(readJson(content, new DataIssueList(fileName)))?.shapes;
    for (const entry of Array.isArray(shapes) ? (shapes as readonly unknown[]) : []) {
      const shape = asObject(entry);
      const isObject = !noObjects.has(String(shape?.shape_type)) && !noClasses.has(String(shape?.label));
      if (isObject && typeof shape?.label === 'string' && shape.label.trim() !== '') names.add(shape.label);
    }
  }
  return names;
}

/** Kinds of shapes that enclose nothing. */
const noObjects: ReadonlySet<string> = new Set(['point', 'points', 'line', 'linestrip']);
/** Labels by which labelme's own examples mark what is of no class. */
const noClasses: ReadonlySet<string> = new Set(['__ignore__', '_background_']);

type LabelmeObject = Omit<Annotation, 'id' | 'imageId' | 'categoryId'> & { readonly label: string };

function readFiles(files: Iterable<LabelmeFile>, options: LabelmeOptions, issues: DataIssueList): Dataset {
  const read: { readonly image: Omit<ImageRecord, 'id'>; readonly objects: readonly LabelmeObject[] }[] = [];
  for (const file of files) {
    const own = new DataIssueList(file.fileName);
    const root = asObject(readJson(file.content, own));
    if (root === undefined || !Array.isArray(root.shapes)) {
      if (own.errorCount === 0)
        own.error(
          'top-level',
          'shapes',
          `is ${describeValue(root?.shapes)} (expected the list of a labelme file): check that it is the right file`,
        );
    } else {
      const image = readPicture(root, file, own);
      if (image !== undefined)
        read.push({ image, objects: readShapes(root.shapes, image, file.fileName, options, own) });
    }
    issues.append(own);
  }
  const names =
    options.classes ?? [...new Set(read.flatMap(({ objects }) => objects.map(({ label }) => label)))].sort();
  const idOf = new Map(names.map((name, i) => [name, i + 1]));
  const images: ImageRecord[] = [];
  const annotations: Annotation[] = [];
  for (const { image, objects } of read) {
    const imageId = images.push({ id: images.length + 1, ...image });
    // A label that is not known is an error by now.
    for (const { label, ...object } of objects)
      annotations.push({ id: annotations.length + 1, imageId, categoryId: idOf.get(label) ?? 0, ...object });
  }
  return { images, annotations, categories: classCategories(names) };
}

function readPicture(root: JsonObject, file: LabelmeFile, issues: DataIssueList): Omit<ImageRecord, 'id'> | undefined {
  const { imagePath, imageData } = root;
  if (imagePath !== undefined && imagePath !== null && typeof imagePath !== 'string') {
    issues.error(
      'wrong-value',
      'imagePath',
      `is ${describeValue(imagePath)} (expected the picture's path): correct it`,
    );
    return undefined;
  }
  const path = imagePath ?? undefined;
  const picture = file.locate?.(path) ?? { image: path ?? '', isThere: true };
  const problem = imagePathProblem(picture.image);
  if (problem !== undefined) {
    issues.error('unsafe-path', 'imagePath', `is ${describeValue(picture.image)}, which ${problem}`);
    return undefined;
  }
  if (!picture.isThere && typeof imageData === 'string' && imageData !== '')
    issues.error(
      'image-missing',
      'imagePath',
      `is ${describeValue(path)}, which is not there; the picture is only inside of the file, as imageData: write it beside (labelme_export_json does)`,
    );
  const [width, height] = [root.imageWidth, root.imageHeight];
  const isMissing = (side: unknown): boolean => side === undefined || side === null;
  if (isMissing(width) && isMissing(height) && picture.isThere && picture.size !== undefined)
    return { fileName: picture.image, ...picture.size() };
  const isSide = (side: unknown): side is number => Number.isSafeInteger(side) && (side as number) > 0;
  if (isSide(width) && isSide(height)) return { fileName: picture.image, width, height };
  const [name, value] = isSide(width) ? ['imageHeight', height] : ['imageWidth', width];
  issues.error(
    isMissing(value) ? 'missing-field' : 'wrong-value',
    name!,
    `is ${describeValue(value)} (expected whole pixels, at least 1): write the picture's size`,
  );
  return undefined;
}

interface ShapePlace {
  readonly path: string;
  readonly entity: string;
  readonly isDifficult: boolean;
  readonly size: MaskSize;
  readonly options: LabelmeOptions;
  readonly fileName: string;
  readonly issues: DataIssueList;
}

function readShapes(
  shapes: readonly unknown[],
  { width, height }: Omit<ImageRecord, 'id'>,
  fileName: string,
  options: LabelmeOptions,
  issues: DataIssueList,
): LabelmeObject[] {
  const size: MaskSize = [height, width];
  const groups = new Map<
    string,
    { readonly label: string; readonly place: ShapePlace; readonly parts: ObjectPart[] }
  >();
  for (const [i, entry] of shapes.entries()) {
    const path = `shapes[${i}]`;
    const shape = asObject(entry);
    const label = shape?.label;
    if (shape === undefined || typeof label !== 'string' || label.trim() === '') {
      const [at, value] = shape === undefined ? [path, entry] : [`${path}.label`, label];
      issues.error(
        value === undefined ? 'missing-field' : 'wrong-value',
        at,
        `is ${describeValue(value)} (expected ${shape === undefined ? 'a shape' : 'a label'}): draw it again, or remove it`,
      );
      continue;
    }
    // A mark of X-AnyLabeling's, as VOC has it.
    const isDifficult = shape.difficult === true;
    const place = { path, entity: `labelled ${describeValue(label)}`, isDifficult, size, options, fileName, issues };
    const part = readPart(shape, label, place);
    if (part === undefined) continue;
    const { group_id: group } = shape;
    const key = group === undefined || group === null ? path : JSON.stringify([label, group]);
    const same = groups.get(key);
    if (same === undefined) groups.set(key, { label, place, parts: [part] });
    else same.parts.push(part);
  }
  const twins = new ObjectTwins<LabelmeObject & Numbered>();
  const numbers = new Map<string, number>();
  return [...groups.values()].flatMap(({ label, place, parts }) => {
    const object = makeObject(label, parts, place);
    if (object === undefined) return [];
    const categoryId = numbers.get(label) ?? numbers.size;
    numbers.set(label, categoryId);
    const twin = twins.take({ ...object, imageId: 0, categoryId, path: place.path });
    if (twin !== undefined) tellTwin(twin.path, place.path, issues, place.entity);
    return [object];
  });
}

/** A shape's object among those of its file, before labels have their numbers. */
type Numbered = Pick<Annotation, 'imageId' | 'categoryId'> & { readonly path: string };

function makeObject(label: string, parts: readonly ObjectPart[], place: ShapePlace): LabelmeObject | undefined {
  const { path, entity, isDifficult, size, options, issues } = place;
  try {
    const object = objectOfParts(parts, size);
    const isKept = options.purpose === 'evaluation';
    const bbox = fitBox(object.bbox, size, { path, entity, isKept, issues });
    return bbox && { ...object, label, bbox, isCrowd: false, ...(isDifficult && { isDifficult }) };
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-mask', `${path}.points`, error.message.replace(/^mask: /, ''), entity);
    return undefined;
  }
}

/** Undefined where the shape is no object, or after an error. */
function readPart(shape: JsonObject, label: string, place: ShapePlace): ObjectPart | undefined {
  const { path, entity, issues, options } = place;
  // Files of the first versions, which had polygons alone, do not say it.
  const kind = shape.shape_type ?? 'polygon';
  if (noClasses.has(label)) {
    issues.warning('no-object', path, 'marks what is of no class: it is left out', entity);
    return undefined;
  }
  if (typeof kind === 'string' && noObjects.has(kind)) {
    issues.warning('no-object', path, `is a ${kind}, which encloses nothing: it is left out`, entity);
    return undefined;
  }
  if (options.classes !== undefined && !options.classes.includes(label)) {
    const known = options.classes.length > 8 ? `one of ${options.classes.length} classes` : options.classes.join(', ');
    issues.error(
      'unknown-category',
      `${path}.label`,
      `is ${describeValue(label)} (expected ${known}): add it to the classes, or correct or remove the shape`,
    );
    return undefined;
  }
  const points = readPoints(shape.points, place);
  if (points === undefined) return undefined;
  const corners = points.length / 2;
  switch (kind) {
    case 'rectangle':
      // Two opposite corners in any order; newer versions write all four.
      if (corners === 2 || corners === 4) return { kind: 'box', box: boxAround(points) };
      return wrongPoints(corners, 'two corners', place);
    // labelme's own turned rectangles, and those of X-AnyLabeling, which writes labelme's files.
    case 'oriented_rectangle':
    case 'rotation':
      if (corners === 4) return { kind: 'polygon', polygon: points };
      return wrongPoints(corners, 'four corners', place);
    case 'polygon':
      if (corners >= 3) return { kind: 'polygon', polygon: points };
      issues.warning(
        'polygon-degenerate',
        `${path}.points`,
        `has ${corners} corners (expected at least 3): the shape is left out; draw it again or remove it`,
        entity,
      );
      return undefined;
    case 'circle': {
      if (corners !== 2) return wrongPoints(corners, 'the middle and a point of the rim', place);
      const [cx, cy, x, y] = points as [number, number, number, number];
      const radius = Math.hypot(x - cx, y - cy);
      return { kind: 'polygon', polygon: ellipseOutline({ cx, cy, rx: radius, ry: radius }) };
    }
    case 'mask':
      if (corners !== 2) return wrongPoints(corners, 'the two corners of its box', place);
      return readMask(shape.mask, points, place);
    default:
      issues.error(
        'wrong-value',
        `${path}.shape_type`,
        `is ${describeValue(kind)} (expected rectangle, polygon, oriented_rectangle, circle or mask, or a line or point): draw it again, or remove it`,
        entity,
      );
      return undefined;
  }
}

function wrongPoints(corners: number, expected: string, { path, entity, issues }: ShapePlace): undefined {
  issues.error('bad-box', `${path}.points`, `has ${corners} points (expected ${expected}): draw it again`, entity);
}

function readPoints(value: unknown, { path, entity, issues }: ShapePlace): number[] | undefined {
  const list = Array.isArray(value) ? (value as readonly unknown[]) : [];
  const isPoint = (point: unknown): point is [number, number] =>
    Array.isArray(point) && point.length === 2 && point.every(isFiniteNumber);
  const bad = list.findIndex((point) => !isPoint(point));
  if (list.length > 0 && bad < 0) return (list as readonly (readonly [number, number])[]).flat();
  const [at, found] = bad < 0 ? ['points', value] : [`points[${bad}]`, list[bad]];
  issues.error(
    found === undefined ? 'missing-field' : 'bad-box',
    `${path}.${at}`,
    `is ${describeValue(found)} (expected [x, y] in pixels, one for each corner): draw it again`,
    entity,
  );
  return undefined;
}

/** A PNG of the pixels from the first corner to the last, both inside. */
function readMask(value: unknown, points: readonly number[], place: ShapePlace): ObjectPart | undefined {
  const { path, entity, issues, options, size, fileName } = place;
  const refuse = (text: string): undefined => {
    issues.error('bad-mask', `${path}.mask`, `${text}: draw it again`, entity);
  };
  if (typeof value !== 'string' || options.decodePng === undefined)
    return refuse(`is ${describeValue(value)} (expected a PNG in base64)`);
  let picture: ReturnType<NonNullable<LabelmeOptions['decodePng']>>;
  try {
    const text = atob(value);
    const bytes = Uint8Array.from(text, (character) => character.charCodeAt(0));
    picture = options.decodePng(bytes, `${fileName}: ${path}.mask`);
  } catch (error) {
    const reason = error instanceof InputError ? error.message.replace(/^.*\.mask: /, '') : 'is no base64';
    return refuse(reason.replace(/: get a complete copy.*$/, ''));
  }
  const [height, width] = size;
  const left = Math.round(Math.min(points[0]!, points[2]!));
  const top = Math.round(Math.min(points[1]!, points[3]!));
  const isInside =
    left >= 0 && top >= 0 && left + picture.width <= width && top + picture.height <= height && picture.width > 0;
  if (!isInside)
    return refuse(
      `covers ${picture.width} x ${picture.height} pixels from ${left}, ${top} on (expected pixels of the picture of ${width} x ${height})`,
    );
  const mask = new Uint8Array(width * height);
  for (let y = 0; y < picture.height; y++)
    for (let x = 0; x < picture.width; x++)
      if (picture.values[y * picture.width + x] !== 0) mask[(top + y) * width + left + x] = 1;
  if (!mask.includes(1)) {
    issues.warning('no-object', path, 'is a mask without a pixel: it is left out', entity);
    return undefined;
  }
  return { kind: 'mask', rle: encodeMask(mask, size) };
}
