// "CVAT for video": tracks, each with its shape on every frame from its first on (CVAT writes interpolated ones too), and a last one that
// is marked outside where the object leaves. Frames count from 0 over the whole film.
import type { Element } from '@xmldom/xmldom';
import { type CvatPicture, type CvatShape, enclosesNothing, nothingEnclosed, shapeNameOf } from './cvat-shapes.js';
import { type DataIssueList, describeValue } from './data-issue.js';
import { childElements, childText } from './voc-xml.js';

/** The pictures that a film's frames are. */
export interface CvatFrames {
  /** Paths below the image folder, by frame. */
  readonly pictures: ReadonlyMap<number, string>;
  /** What a file without `original_size` does not say. */
  readonly sizeOf: (fileName: string) => { readonly width: number; readonly height: number };
  /** Where the pictures were looked for, as a message names it. */
  readonly folder: string;
}

/** How CVAT calls the picture of a frame, without its ending. */
export function cvatFrameName(frame: number): string {
  return `frame_${String(frame).padStart(6, '0')}`;
}

/** The frames that have a picture, in their order, each with the shapes of the tracks that are seen on it. */
export function framesOfTracks(
  root: Element,
  { frames, set }: { readonly frames?: CvatFrames; readonly set?: string },
  issues: DataIssueList,
): CvatPicture[] {
  if (set !== undefined) {
    issues.error('top-level', 'track', `has no sets (expected ${describeValue(set)}): leave the set out`);
    return [];
  }
  const tracks = childElements(root, 'track');
  const tasks = new Set(tracks.map((track) => track.getAttribute('task_id')));
  if (tasks.size > 1) {
    issues.error(
      'top-level',
      'track',
      `is of ${tasks.size} tasks, whose frames have the same names: export each task by itself, or the project as "CVAT for images 1.1"`,
    );
    return [];
  }
  const shapes = shapesByFrame(tracks, frames, issues);
  if (shapes === undefined) return [];
  const names =
    frames?.pictures ?? new Map([...shapes.keys()].sort((a, b) => a - b).map((frame) => [frame, cvatFrameName(frame)]));
  const missing = [...shapes.keys()].find((frame) => !names.has(frame));
  if (missing !== undefined) {
    issues.error('image-missing', '', missingFrames(missing, names.size, frames?.folder ?? ''));
    return [];
  }
  const size = originalSize(root);
  if (size === undefined && frames === undefined) {
    issues.error('missing-field', 'meta.original_size', "is missing (expected the film's size): write it");
    return [];
  }
  return [...names].map(([frame, fileName]) => ({
    image: { fileName, ...(size ?? frames!.sizeOf(fileName)) },
    shapes: shapes.get(frame) ?? [],
  }));
}

function missingFrames(frame: number, count: number, folder: string): string {
  const name = `${cvatFrameName(frame)}.PNG`;
  const remedy = 'export with "Save images", or "CVAT for images 1.1" where the task is of pictures and not of a film';
  return count === 0
    ? `is of CVAT for video, and ${folder} has no pictures of frames (expected ${name} and so on): ${remedy}`
    : `has an object on frame ${frame}, whose picture ${name} is not among the ${count} in ${folder}: ${remedy}`;
}

/** Undefined after an error. */
function shapesByFrame(
  tracks: readonly Element[],
  frames: CvatFrames | undefined,
  issues: DataIssueList,
): Map<number, CvatShape[]> | undefined {
  const byFrame = new Map<number, CvatShape[]>();
  let isUsable = true;
  for (const [i, track] of tracks.entries()) {
    const label = track.getAttribute('label') ?? '';
    const entity = label === '' ? '' : `labelled ${describeValue(label)}`;
    const group = track.getAttribute('group_id') ?? '';
    /** The frame before, and whether the object is seen from it on. */
    let last: { readonly frame: number; readonly isSeen: boolean } | undefined;
    for (let node = track.firstChild; node !== null; node = node.nextSibling) {
      const name = shapeNameOf(node);
      if (name === undefined) continue;
      if (enclosesNothing(name)) {
        issues.warning('no-object', `track ${i + 1}, of ${name},`, nothingEnclosed, entity);
        break;
      }
      const element = node as Element;
      const text = element.getAttribute('frame');
      const frame = Number(text);
      if (!text || !Number.isSafeInteger(frame) || frame < 0) {
        issues.error(
          text === null ? 'missing-field' : 'wrong-value',
          `track ${i + 1}: a ${name}'s frame`,
          `is ${describeValue(text ?? undefined)} (expected the number of a frame, from 0): correct it`,
          entity,
        );
        isUsable = false;
        continue;
      }
      const gap = last?.isSeen ? pictureBetween(last.frame, frame, frames) : undefined;
      if (gap !== undefined) {
        issues.error(
          'missing-field',
          `track ${i + 1}`,
          `has no ${name} on frame ${gap}, between ${last!.frame} and ${frame}: export it with CVAT, which writes every frame`,
          entity,
        );
        isUsable = false;
      }
      const isSeen = !isOutside(element, name);
      last = { frame, isSeen };
      if (!isSeen) continue;
      const shape = { element, name, label, group, path: `track ${i + 1}: frame ${frame}, a ${name},` };
      const others = byFrame.get(frame);
      if (others === undefined) byFrame.set(frame, [shape]);
      else others.push(shape);
    }
  }
  return isUsable ? byFrame : undefined;
}

/** A frame that has a picture and lies between two: an object that is seen from the first on is there, too. */
function pictureBetween(first: number, next: number, frames: CvatFrames | undefined): number | undefined {
  for (let frame = first + 1; frame < next; frame++) if (frames?.pictures.has(frame)) return frame;
  return undefined;
}

/** A skeleton is outside where all of its points are. */
function isOutside(element: Element, name: string): boolean {
  if (name !== 'skeleton') return element.getAttribute('outside') === '1';
  return childElements(element, 'points').every((point) => point.getAttribute('outside') === '1');
}

/** Of the task or job, or beside it. */
function originalSize(root: Element): { width: number; height: number } | undefined {
  const meta = childElements(root, 'meta')[0];
  if (meta === undefined) return undefined;
  const holders = [meta, ...['task', 'job'].flatMap((name) => childElements(meta, name))];
  const element = holders.flatMap((holder) => childElements(holder, 'original_size'))[0];
  const [width, height] = ['width', 'height'].map((side) => Number((element && childText(element, side)) || 0));
  const isSide = (side: number | undefined): side is number => Number.isSafeInteger(side) && side! > 0;
  return isSide(width) && isSide(height) ? { width, height } : undefined;
}
