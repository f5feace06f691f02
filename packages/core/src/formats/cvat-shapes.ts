// The shapes of CVAT's XML as objects of a data set: boxes, outlines, masks and skeletons.
import type { Element } from '@xmldom/xmldom';
import { boxXywh } from '../boxes/box.js';
import { boxAround } from '../boxes/measure-box.js';
import { InputError } from '../errors/index.js';
import type { MaskSize } from '../masks/rle.js';
import { encodeMask } from '../masks/rle-encode.js';
import type { CvatLabel } from './cvat-labels.js';
import { type DataIssueList, describeValue } from './data-issue.js';
import type { Annotation, ImageRecord, ObjectMarks } from './dataset.js';
import { decimalNumber, numberRemedy } from './decimal-number.js';
import { fitBox } from './fit-box.js';
import { objectMarks } from './object-marks.js';
import { boxOutline, ellipseOutline, type ObjectPart, objectOfParts } from './object-of-parts.js';
import { ObjectTwins, tellTwin } from './object-twins.js';
import { childElements } from './voc-xml.js';

export interface CvatReading {
  readonly labels: ReadonlyMap<string, CvatLabel>;
  /** As for COCO: `evaluation` keeps boxes as they are. */
  readonly purpose: 'training' | 'evaluation' | undefined;
  readonly issues: DataIssueList;
}

interface ShapePlace extends CvatReading {
  /** `"a.jpg": shape 3, a box,` */
  readonly path: string;
  readonly entity: string;
  readonly size: MaskSize;
}

export type CvatObject = Omit<Annotation, 'id' | 'imageId'>;

/** Elements of a picture that are shapes, and what of them are objects. */
const shapeNames = ['box', 'polygon', 'ellipse', 'mask', 'skeleton', 'polyline', 'points', 'cuboid'] as const;
type ShapeName = (typeof shapeNames)[number];

/** A shape on one picture: drawn there, or a track's on one frame. */
export interface CvatShape {
  readonly element: Element;
  readonly name: ShapeName;
  readonly label: string;
  /** Of the shapes that are one object; empty or 0: none. */
  readonly group: string;
  /** How messages name it: `"a.jpg": shape 3, a box,`. */
  readonly path: string;
}

export interface CvatPicture {
  readonly image: Omit<ImageRecord, 'id'>;
  readonly shapes: readonly CvatShape[];
}

/** The kind of shape that an element is, if it is one. */
export function shapeNameOf(element: { readonly nodeName: string }): ShapeName | undefined {
  return shapeNames.find((shape) => shape === element.nodeName);
}

/** Whether a shape is no object: it has neither a box nor an outline in the picture. */
export function enclosesNothing(name: ShapeName): boolean {
  return name === 'polyline' || name === 'points' || name === 'cuboid';
}

/** What follows the place of such a shape in a warning. */
export const nothingEnclosed = 'has neither a box nor an outline in the picture: it is left out';

/** The shapes of an `image` element, in the order of the file. */
export function shapesOfImage(image: Element, fileName: string): CvatShape[] {
  const shapes: CvatShape[] = [];
  for (let node = image.firstChild; node !== null; node = node.nextSibling) {
    const name = shapeNameOf(node);
    if (name === undefined) continue;
    const element = node as Element;
    shapes.push({
      element,
      name,
      label: element.getAttribute('label') ?? '',
      group: element.getAttribute('group_id') ?? '',
      path: `${describeValue(fileName)}: shape ${shapes.length + 1}, a ${name},`,
    });
  }
  return shapes;
}

/** The objects that the shapes of one picture are. */
export function objectsOfShapes(
  shapes: readonly CvatShape[],
  { width, height }: Pick<ImageRecord, 'width' | 'height'>,
  reading: CvatReading,
): CvatObject[] {
  const groups = new Map<string, { parts: ObjectPart[]; readonly object: Marks; readonly place: ShapePlace }>();
  const objects: { readonly make: () => CvatObject | undefined; readonly place: ShapePlace }[] = [];
  for (const [i, { element, name, label, group, path }] of shapes.entries()) {
    const entity = label === '' ? '' : `labelled ${describeValue(label)}`;
    const place: ShapePlace = { ...reading, path, entity, size: [height, width] };
    const marks = readMarks(element, label, name, place);
    if (marks === undefined) continue;
    if (name === 'skeleton') {
      objects.push({ make: () => readSkeleton(element, marks, place), place });
      continue;
    }
    const part = readPart(element, name, place);
    if (part === undefined) continue;
    const isAlone = part.kind === 'box' || !group || group === '0';
    const key = isAlone ? `alone ${i}` : `${group} ${label}`;
    const same = groups.get(key);
    if (same !== undefined) {
      same.parts.push(part);
      continue;
    }
    const made = { parts: [part], object: marks, place };
    groups.set(key, made);
    objects.push({ make: () => makeObject(made.parts, made.object, made.place), place });
  }
  const twins = new ObjectTwins<CvatObject & { readonly imageId: number; readonly shape: string }>();
  return objects.flatMap(({ make, place: { path, entity } }) => {
    const object = make();
    if (object === undefined) return [];
    const twin = twins.take({ ...object, imageId: 0, shape: path });
    if (twin !== undefined) tellTwin(twin.shape.replace(/,$/, ''), path, reading.issues, entity);
    return [object];
  });
}

interface Marks {
  readonly categoryId: number;
  readonly label: CvatLabel;
  readonly isCrowd: boolean;
  readonly isDifficult: boolean;
  readonly marks: ObjectMarks | undefined;
}

/** Undefined where the shape is no object, or after an error. */
function readMarks(element: Element, label: string, name: ShapeName, place: ShapePlace): Marks | undefined {
  const { path, entity, issues, labels } = place;
  if (enclosesNothing(name)) {
    issues.warning('no-object', path, nothingEnclosed, entity);
    return undefined;
  }
  const known = labels.get(label);
  if (known === undefined) {
    const names = labels.size > 8 ? `one of ${labels.size} labels` : [...labels.keys()].join(', ');
    issues.error(
      'unknown-category',
      path,
      `has the label ${describeValue(label)} (expected ${names}): add it to the labels in meta, or correct it`,
    );
    return undefined;
  }
  const attributes = new Map(
    childElements(element, 'attribute').map((own) => [own.getAttribute('name') ?? '', own.textContent?.trim() ?? '']),
  );
  // Attributes by which CVAT keeps COCO's and VOC's marks.
  const is = (...names: string[]): boolean => names.some((own) => /^(true|1)$/i.test(attributes.get(own) ?? ''));
  return {
    categoryId: known.category.id,
    label: known,
    isCrowd: is('is_crowd', 'iscrowd'),
    isDifficult: is('difficult'),
    marks: objectMarks({
      pose: attributes.get('pose'),
      truncated: attributes.get('truncated'),
      occluded: element.getAttribute('occluded') === '1' || attributes.get('occluded'),
    }),
  };
}

function makeObject(
  parts: readonly ObjectPart[],
  { categoryId, isCrowd, isDifficult, marks }: Marks,
  { path, entity, size, purpose, issues }: ShapePlace,
): CvatObject | undefined {
  try {
    const object = objectOfParts(parts, size);
    const bbox = fitBox(object.bbox, size, { path, entity, isKept: purpose === 'evaluation', issues });
    return (
      bbox && { ...object, categoryId, bbox, isCrowd, ...(isDifficult && { isDifficult }), ...(marks && { marks }) }
    );
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    issues.error('bad-mask', path, error.message.replace(/^mask: /, ''), entity);
    return undefined;
  }
}

function readPart(element: Element, name: 'box' | 'polygon' | 'ellipse' | 'mask' | ShapeName, place: ShapePlace) {
  const number = (key: string): number | undefined => numberOf(element, key, place);
  switch (name) {
    case 'box': {
      const [left, top, right, bottom] = [number('xtl'), number('ytl'), number('xbr'), number('ybr')];
      const degrees = element.getAttribute('rotation') ? number('rotation') : 0;
      if (left === undefined || top === undefined || right === undefined || bottom === undefined) return undefined;
      if (degrees === undefined) return undefined;
      if (right < left || bottom < top) {
        place.issues.error(
          'bad-box',
          place.path,
          `is ${describeValue([left, top, right, bottom])} (expected xtl <= xbr and ytl <= ybr): exchange the corners`,
          place.entity,
        );
        return undefined;
      }
      const box = boxXywh(left, top, right - left, bottom - top);
      if (degrees === 0) return { kind: 'box', box } as const;
      return { kind: 'polygon', polygon: boxOutline(box, degrees) } as const;
    }
    case 'ellipse': {
      const [cx, cy, rx, ry] = [number('cx'), number('cy'), number('rx'), number('ry')];
      const degrees = element.getAttribute('rotation') ? number('rotation') : 0;
      if (cx === undefined || cy === undefined || rx === undefined || ry === undefined) return undefined;
      if (degrees === undefined) return undefined;
      return { kind: 'polygon', polygon: ellipseOutline({ cx, cy, rx, ry, degrees }) } as const;
    }
    case 'mask':
      return readMask(element, place);
    default: {
      const polygon = pointsOf(element, place);
      if (polygon === undefined || polygon.length >= 6) return polygon && ({ kind: 'polygon', polygon } as const);
      place.issues.warning(
        'polygon-degenerate',
        place.path,
        `has ${polygon.length / 2} corners (expected at least 3): it is left out; draw it again or remove it`,
        place.entity,
      );
      return undefined;
    }
  }
}

function numberOf(element: Element, key: string, { path, entity, issues }: ShapePlace): number | undefined {
  const text = element.getAttribute(key);
  const value = decimalNumber(text ?? '');
  if (Number.isFinite(value)) return value;
  const unit = key === 'rotation' ? 'degrees' : 'pixels';
  issues.error(
    text === null ? 'missing-field' : 'bad-box',
    path,
    `has ${key} ${describeValue(text ?? undefined)} (expected a number of ${unit}): ${numberRemedy(text ?? '')}`,
    entity,
  );
  return undefined;
}

/** `x,y;x,y;...` */
function pointsOf(element: Element, { path, entity, issues }: ShapePlace): number[] | undefined {
  const text = element.getAttribute('points') ?? '';
  const numbers = text.split(';').flatMap((point) => {
    const pair = point.split(',');
    return pair.length === 2 ? pair.map((word) => decimalNumber(word.trim())) : [Number.NaN];
  });
  if (numbers.every(Number.isFinite)) return numbers;
  issues.error('bad-box', path, `has points ${describeValue(text)} (expected x,y;x,y;...): draw it again`, entity);
  return undefined;
}

/** Run lengths within a box, row by row, zeros first. */
function readMask(element: Element, place: ShapePlace): ObjectPart | undefined {
  const { path, entity, issues, size } = place;
  const sides = (['left', 'top', 'width', 'height'] as const).map((key) => numberOf(element, key, place));
  if (sides.includes(undefined)) return undefined;
  const [left, top, width, height] = sides as [number, number, number, number];
  const refuse = (text: string): undefined => {
    issues.error('bad-mask', path, `${text}: draw it again`, entity);
  };
  const isInside =
    sides.every(Number.isSafeInteger) &&
    Math.min(left, top) >= 0 &&
    Math.min(width, height) > 0 &&
    left + width <= size[1] &&
    top + height <= size[0];
  if (!isInside)
    return refuse(
      `covers ${width} x ${height} pixels from ${left}, ${top} on (expected whole pixels of the picture of ${size[1]} x ${size[0]})`,
    );
  const text = element.getAttribute('rle') ?? '';
  const runs = text.split(',').map((word) => (word.trim() === '' ? Number.NaN : Number(word)));
  const sum = runs.reduce((total, run) => total + (Number.isSafeInteger(run) && run >= 0 ? run : Number.NaN), 0);
  if (sum !== width * height)
    return refuse(
      Number.isNaN(sum)
        ? `has rle ${describeValue(text)} (expected whole run lengths, such as 3, 5, 2)`
        : `has run lengths of ${sum} pixels (expected ${width} x ${height} = ${width * height})`,
    );
  const mask = new Uint8Array(size[0] * size[1]);
  let at = 0;
  for (const [i, run] of runs.entries()) {
    if (i % 2 === 1)
      for (let pixel = at; pixel < at + run; pixel++)
        mask[(top + Math.floor(pixel / width)) * size[1] + left + (pixel % width)] = 1;
    at += run;
  }
  if (mask.includes(1)) return { kind: 'mask', rle: encodeMask(mask, size) };
  issues.warning('no-object', path, 'is a mask without a pixel: it is left out', entity);
  return undefined;
}

/** Its points by their labels, in the order of the label's; the box is around those that are labelled, as in CVAT's export to COCO. */
function readSkeleton(element: Element, marks: Marks, place: ShapePlace): CvatObject | undefined {
  const { path, entity, issues, size, purpose } = place;
  const names = marks.label.category.keypoints ?? [];
  const keypoints = new Array<number>(names.length * 3).fill(0);
  const labelled: number[] = [];
  for (const point of childElements(element, 'points')) {
    const name = point.getAttribute('label') ?? '';
    const index = names.indexOf(name);
    if (index < 0) {
      issues.error(
        'bad-keypoints',
        path,
        `has the point ${describeValue(name)} (expected ${names.join(', ') || 'sublabels in meta'}): add it to the skeleton's labels`,
        entity,
      );
      return undefined;
    }
    const [x, y] = pointsOf(point, place) ?? [];
    if (x === undefined || y === undefined) return undefined;
    if (point.getAttribute('outside') === '1') continue;
    keypoints.splice(index * 3, 3, x, y, point.getAttribute('occluded') === '1' ? 1 : 2);
    labelled.push(x, y);
  }
  if (labelled.length === 0) {
    issues.warning('no-object', path, 'has no point in the picture: it is left out', entity);
    return undefined;
  }
  const around = boxAround(labelled);
  const bbox = fitBox(around, size, { path, entity, isKept: purpose === 'evaluation', issues });
  if (bbox === undefined) return undefined;
  const { categoryId, isCrowd, isDifficult } = marks;
  return {
    categoryId,
    bbox,
    area: bbox[2] * bbox[3],
    isCrowd,
    ...(isDifficult ? { isDifficult } : {}),
    ...(marks.marks && { marks: marks.marks }),
    keypoints,
    numKeypoints: labelled.length / 2,
  };
}
