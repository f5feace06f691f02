// Cityscapes' *_polygons.json drawn into a picture of instance ids, as cityscapesScripts does (json2instanceImg.py).

import { polygonToRle } from '../masks/polygon-to-rle.js';
import type { Polygon } from '../masks/rle.js';
import type { CityscapesPicture } from './cityscapes.js';
import { cityscapesInstanceIds, cityscapesLabelNames } from './cityscapes-labels.js';
import { DataIssueList, describeValue } from './data-issue.js';
import { asObject, readJson } from './read-json.js';

// 64 million pixels: 30 times a Cityscapes picture.
const pixelLimit = 2 ** 26;

/**
 * The instance ids of one picture. Later objects cover earlier ones; objects marked deleted and those without a number
 * (licence plates) are not drawn. Outlines are filled by COCO's rule: along the edges single pixels differ from
 * *_instanceIds.png, which were filled by PIL's. Where those exist, read those.
 * @throws InputError naming the file and object
 */
export function drawCityscapesPolygons(
  text: string | Uint8Array,
  { fileName, image }: { readonly fileName: string; readonly image: string },
): CityscapesPicture {
  const issues = new DataIssueList(fileName);
  const root = asObject(readJson(text, issues));
  const side = (key: 'imgWidth' | 'imgHeight'): number => {
    const value = root?.[key];
    if (Number.isSafeInteger(value) && (value as number) > 0) return value as number;
    issues.error('wrong-value', key, `is ${describeValue(value)} (expected whole pixels, at least 1): correct it`);
    return 0;
  };
  const [width, height] = issues.errorCount > 0 ? [0, 0] : [side('imgWidth'), side('imgHeight')];
  if (width * height > pixelLimit) {
    issues.error('wrong-value', 'imgWidth', `x imgHeight is ${width} x ${height} (expected 2048 x 1024): correct it`);
  }
  const objects = root?.objects;
  if (issues.errorCount === 0 && !Array.isArray(objects)) {
    issues.error('missing-field', 'objects', `is ${describeValue(objects)} (expected a list): add it`);
  }
  issues.throwFirstError('annotation-invalid');
  const ids = new Uint16Array(width * height);
  const counts = new Map<number, number>();
  for (const [i, entry] of (objects as readonly unknown[]).entries()) {
    const object = readObject(entry, `objects[${i}]`, issues);
    if (object === undefined) continue;
    let id = object.label;
    if (object.isInstance) {
      const count = counts.get(id) ?? 0;
      counts.set(id, count + 1);
      id = id * 1000 + count;
    }
    fill(ids, object.polygon, id, width, height);
  }
  issues.throwFirstError('annotation-invalid');
  return { fileName, image, width, height, ids };
}

interface DrawnObject {
  readonly label: number;
  readonly isInstance: boolean;
  readonly polygon: Polygon;
}

function readObject(entry: unknown, path: string, issues: DataIssueList): DrawnObject | undefined {
  const object = asObject(entry);
  if (object?.deleted === 1 || object?.deleted === true || object?.label === 'license plate') return undefined;
  const name = object?.label;
  const plain = typeof name === 'string' ? cityscapesLabelNames.indexOf(name) : -1;
  const group = typeof name === 'string' ? cityscapesLabelNames.indexOf(name.replace(/group$/, '')) : -1;
  const label = plain >= 0 ? plain : group;
  if (label < 0) {
    issues.error(
      'unknown-category',
      `${path}.label`,
      `is ${describeValue(name)} (expected a Cityscapes label): correct it`,
    );
    return undefined;
  }
  const points = object?.polygon;
  const isPoint = (point: unknown): point is [number, number] =>
    Array.isArray(point) && point.length === 2 && point.every((value) => Number.isFinite(value));
  if (!Array.isArray(points) || !points.every(isPoint)) {
    issues.error('bad-mask', `${path}.polygon`, `is ${describeValue(points)} (expected [[x, y], ...]): correct it`);
    return undefined;
  }
  // A line or a point covers nothing.
  if (points.length < 3) return undefined;
  return { label, isInstance: plain >= 0 && cityscapesInstanceIds.includes(plain), polygon: points.flat() };
}

function fill(ids: Uint16Array, polygon: Polygon, id: number, width: number, height: number): void {
  const { counts } = polygonToRle(polygon, [height, width]);
  let at = 0;
  for (let i = 0; i < counts.length; i++) {
    const end = at + counts[i]!;
    if (i % 2 === 1) {
      for (; at < end; at++) ids[(at % height) * width + Math.floor(at / height)] = id;
    }
    at = end;
  }
}
