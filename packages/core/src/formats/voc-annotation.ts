// One PASCAL VOC annotation file: the picture's size and its objects, with what is wrong named by file and object.
import type { Element } from '@xmldom/xmldom';
import type { BoxXywh } from '../boxes/box.js';
import { InputError } from '../errors/index.js';
import { type DataIssueList, describeValue } from './data-issue.js';
import type { ObjectMarks } from './dataset.js';
import { decimalNumber, numberRemedy } from './decimal-number.js';
import { fitBox } from './fit-box.js';
import { objectMarks } from './object-marks.js';
import { type VocCorners, vocBoxToXywh } from './voc-box.js';
import { childElements, childText, readXml } from './voc-xml.js';

export interface VocObject {
  /** How messages name it, by its place in the file. */
  readonly place: string;
  readonly name: string;
  /** Image pixels, as every dataset here has them. */
  readonly bbox: BoxXywh;
  readonly isDifficult: boolean;
  readonly marks?: ObjectMarks;
}

export interface VocAnnotation {
  /** The picture's name as the file gives it, which need not be that of the picture. */
  readonly fileName: string;
  readonly width: number;
  readonly height: number;
  readonly objects: readonly VocObject[];
}

/**
 * Reads one file. Only `size` and each object's own `name`, `bndbox`, `difficult` and what else VOC notes of it (`pose`,
 * `truncated`, `occluded`) are looked at: a `part` of an object is no object. Every field is checked before giving up.
 * @param isKept boxes stay as they are (for an evaluation) instead of being clipped and skipped
 * @param ofPicture its size, for a file without one, or with zeros: some programs leave it to the reader
 * @returns undefined after an error
 */
export function readVocAnnotation(
  input: string | Uint8Array,
  isKept: boolean,
  issues: DataIssueList,
  ofPicture?: () => Size,
): VocAnnotation | undefined {
  const before = issues.errorCount;
  const root = readXml(input, 'annotation', issues);
  if (root === undefined) return undefined;
  const size = readSize(root, issues, ofPicture);
  const objects: VocObject[] = [];
  for (const [i, element] of childElements(root, 'object').entries()) {
    const object = readObject(element, `object ${i + 1}`, size, isKept, issues);
    if (object !== undefined) objects.push(object);
  }
  if (issues.errorCount > before || size === undefined) return undefined;
  return { fileName: childText(root, 'filename') ?? '', ...size, objects };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function readSize(root: Element, issues: DataIssueList, ofPicture: (() => Size) | undefined): Size | undefined {
  const element = childElements(root, 'size')[0];
  const isUnknown = ['width', 'height'].every((side) => Number((element && childText(element, side)) || 0) === 0);
  if (isUnknown && ofPicture !== undefined) {
    try {
      return ofPicture();
    } catch (error) {
      if (!(error instanceof InputError)) throw error;
      issues.error('image-damaged', 'size', `is missing (expected width and height), and ${error.message}`);
      return undefined;
    }
  }
  if (element === undefined) {
    issues.error('missing-field', 'size', "is missing (expected width and height): write the picture's size");
    return undefined;
  }
  const [width, height] = ['width', 'height'].map((side) => {
    const text = childText(element, side);
    const value = Number(text);
    if (text && Number.isSafeInteger(value) && value > 0) return value;
    issues.error(
      text === undefined ? 'missing-field' : 'wrong-value',
      `size.${side}`,
      `is ${describeValue(text)} (expected whole pixels, at least 1): write the picture's size`,
    );
    return undefined;
  });
  return width === undefined || height === undefined ? undefined : { width, height };
}

function readObject(
  element: Element,
  path: string,
  size: Size | undefined,
  isKept: boolean,
  issues: DataIssueList,
): VocObject | undefined {
  const name = childText(element, 'name');
  const entity = name ? `of class ${describeValue(name)}` : '';
  if (!name) {
    issues.error(
      name === undefined ? 'missing-field' : 'wrong-value',
      `${path}.name`,
      `is ${describeValue(name)} (expected a class name): name the object's class`,
    );
  }
  const difficult = flagOf(childText(element, 'difficult') ?? '');
  if (difficult === undefined) {
    issues.error(
      'wrong-value',
      `${path}.difficult`,
      `is ${describeValue(childText(element, 'difficult'))} (expected 0 or 1): correct it`,
      entity,
    );
  }
  const corners = readCorners(element, path, entity, issues);
  if (!name || corners === undefined) return undefined;
  const bbox = fitCorners(corners, size, { path: `${path}.bndbox`, entity, isKept, issues });
  if (bbox === undefined) return undefined;
  const [pose, truncated, occluded] = ['pose', 'truncated', 'occluded'].map((own) => childText(element, own));
  const marks = objectMarks({ pose, truncated, occluded });
  return { place: path, name, bbox, isDifficult: difficult === true, ...(marks && { marks }) };
}

/** 0 and 1, in words too; "Unspecified" is VOC's own word for what nobody noted. */
function flagOf(text: string): boolean | undefined {
  if (/^(0|false|no|unspecified|)$/i.test(text)) return false;
  return /^(1|true|yes)$/i.test(text) ? true : undefined;
}

function readCorners(element: Element, path: string, entity: string, issues: DataIssueList): VocCorners | undefined {
  const [box, ...more] = childElements(element, 'bndbox');
  if (box === undefined) {
    const isTurned = childElements(element, 'robndbox').length > 0;
    const remedy = isTurned ? "add the upright one around roLabelImg's turned robndbox" : 'add it';
    issues.error('missing-field', `${path}.bndbox`, `is missing (expected xmin, ymin, xmax, ymax): ${remedy}`, entity);
    return undefined;
  }
  if (more.length > 0) {
    issues.error(
      'wrong-value',
      `${path}.bndbox`,
      `is there ${more.length + 1} times (expected one): make an object of each`,
      entity,
    );
    return undefined;
  }
  const corner = (name: keyof VocCorners): number | undefined => {
    const text = childText(box, name);
    const value = decimalNumber(text ?? '');
    if (Number.isFinite(value)) return value;
    issues.error(
      text === undefined ? 'missing-field' : 'bad-box',
      `${path}.bndbox.${name}`,
      `is ${describeValue(text)} (expected a number of pixels): ${numberRemedy(text ?? '')}`,
      entity,
    );
    return undefined;
  };
  const [xmin, ymin, xmax, ymax] = [corner('xmin'), corner('ymin'), corner('xmax'), corner('ymax')];
  if (xmin === undefined || ymin === undefined || xmax === undefined || ymax === undefined) return undefined;
  if (xmax < xmin || ymax < ymin) {
    issues.error(
      'bad-box',
      `${path}.bndbox`,
      `is ${describeValue([xmin, ymin, xmax, ymax])} (expected xmin <= xmax and ymin <= ymax): exchange the corners`,
      entity,
    );
    return undefined;
  }
  return { xmin, ymin, xmax, ymax };
}

function fitCorners(
  corners: VocCorners,
  size: Size | undefined,
  place: { path: string; entity: string; isKept: boolean; issues: DataIssueList },
): BoxXywh | undefined {
  const { xmin, ymin, xmax, ymax } = corners;
  // A click of the annotator's: nothing to learn from, though the rule makes a box of one pixel of it.
  if (xmin === xmax && ymin === ymax) {
    place.issues.warning(
      'box-degenerate',
      place.path,
      `is the single point ${xmin}, ${ymin} (expected a box): the object is ${place.isKept ? 'kept as it is' : 'skipped'}; correct or remove it`,
      place.entity,
    );
    if (!place.isKept) return undefined;
  }
  return fitBox(vocBoxToXywh(corners), size && [size.height, size.width], place);
}
