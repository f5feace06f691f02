// How a file's box becomes one of a dataset: clipped to its picture for training, left as it is for an evaluation.
import type { BoxXywh } from '../boxes/box.js';
import { boxXywh } from '../boxes/box.js';
import type { MaskSize } from '../masks/rle.js';
import { type DataIssueList, describeValue } from './data-issue.js';

// Real files round their boxes: a border passed by less than this needs no word.
const roundingPx = 1;

export interface BoxPlace {
  /** Where the box stands in its file. */
  readonly path: string;
  /** What it belongs to, such as "annotation id 12". */
  readonly entity: string;
  /** An evaluation keeps every box. */
  readonly isKept: boolean;
  readonly issues: DataIssueList;
}

/** The box as the dataset holds it; undefined where the annotation is skipped. Each departure is a warning. */
export function fitBox(box: BoxXywh, size: MaskSize | undefined, place: BoxPlace): BoxXywh | undefined {
  const { path, entity, isKept, issues } = place;
  const skipped = isKept ? 'it is kept as it is' : 'the annotation is skipped';
  const [x, y, width, height] = box;
  if (width <= 0 || height <= 0) {
    issues.warning(
      'box-degenerate',
      path,
      `is ${describeValue(box)} (expected width and height above 0): ${skipped}; correct or remove it`,
      entity,
    );
    return isKept ? box : undefined;
  }
  if (size === undefined) return box;
  const [imageHeight, imageWidth] = size;
  const overshoot = Math.max(-x, -y, x + width - imageWidth, y + height - imageHeight);
  if (overshoot <= 0) return box;
  const picture = `the picture of ${imageWidth} x ${imageHeight}`;
  if (x >= imageWidth || y >= imageHeight || x + width <= 0 || y + height <= 0) {
    issues.warning(
      'box-outside',
      path,
      `is ${describeValue(box)}, wholly outside of ${picture}: ${skipped}; correct or remove it`,
      entity,
    );
    return isKept ? box : undefined;
  }
  if (overshoot > roundingPx) {
    const action = isKept ? 'it is kept as it is' : 'it is clipped to the picture';
    issues.warning('box-clipped', path, `is ${describeValue(box)}, partly outside of ${picture}: ${action}`, entity);
  }
  if (isKept) return box;
  const left = Math.max(x, 0);
  const top = Math.max(y, 0);
  return boxXywh(left, top, Math.min(x + width, imageWidth) - left, Math.min(y + height, imageHeight) - top);
}
