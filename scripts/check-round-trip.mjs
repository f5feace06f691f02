// Converts data sets to YOLO and back by the command, and compares: what is not as it was has to be what the command said.
//   npm run build && node scripts/check-round-trip.mjs ANNOTATIONS[,IMAGES] ...
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { readAnnotations } from '../packages/goshawk/dist/data/index.js';

const goshawk = fileURLToPath(new URL('../packages/goshawk/bin/goshawk.js', import.meta.url));

/** How many of a kind the command said it would lose, by a word of its warning. */
const KINDS = {
  crowds: 'crowd regions',
  joined: 'several parts',
  traced: 'run lengths',
  bare: 'without the mask',
  boxes: 'box around their outline',
  difficult: "VOC's mark",
  marks: 'their pose',
  areas: 'own area',
  supercategories: 'supercategory',
  masks: 'lose their mask',
  skeletons: 'their skeleton',
  lookedFor: 'looked for',
  frequencies: 'frequency',
};

/** Numbers of pictures and objects there and back, of what was lost, and of what was said to be. */
export function roundTrip(annotations, images) {
  const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-round-trip-'));
  try {
    const source = { annotations, ...(images && { images }) };
    const before = readAnnotations(source, { purpose: 'evaluation', requireFiles: true });
    const yolo = path.join(folder, 'yolo');
    const there = convert(
      annotations,
      '--images',
      before.images,
      '--format',
      'yolo',
      '--copy-pictures',
      '--output',
      yolo,
    );
    const file = path.join(folder, 'back.json');
    const back = convert(path.join(yolo, 'data.yaml'), '--image-set', 'train', '--output', file);
    const after = readAnnotations({ annotations: file }, { purpose: 'evaluation', requireFiles: true });
    const said = Object.fromEntries(
      Object.entries(KINDS).map(([kind, words]) => {
        const line = there.split('\n').find((text) => text.includes(words));
        return [kind, Number(/^warning: (\d+) /.exec(line ?? '')?.[1] ?? 0)];
      }),
    );
    return { ...compare(before.dataset, after.dataset), said, warnings: there, back };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function convert(...args) {
  const { status, stderr } = spawnSync(process.execPath, [goshawk, 'data', 'convert', ...args], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
  return stderr;
}

function compare(before, after) {
  const lost = {
    ...{ crowds: 0, boxes: 0, difficult: 0, marks: 0, areas: 0, supercategories: 0, masks: 0, keypoints: 0 },
    ...{ skeletons: 0, lookedFor: 0, frequencies: 0 },
  };
  const names = ({ categories }) => [...categories].sort((a, b) => a.id - b.id).map(({ name }) => name);
  const problems = [];
  if (names(before).join() !== names(after).join()) problems.push(`categories are ${names(after).join(', ')}`);
  const files = new Map(after.images.map((image) => [image.fileName, image]));
  let farthest = 0;
  let objects = 0;
  for (const image of before.images) {
    const other = files.get(image.fileName);
    if (other === undefined || other.width !== image.width || other.height !== image.height) {
      problems.push(`${image.fileName} is not there, or of another size`);
      continue;
    }
    const own = objectsOf(before, image);
    const kept = own.filter(({ isCrowd }) => !isCrowd);
    const found = objectsOf(after, other);
    lost.crowds += own.length - kept.length;
    if (kept.length !== found.length) problems.push(`${image.fileName}: ${found.length} of ${kept.length} objects`);
    for (const [i, object] of kept.entries()) {
      const same = found[i];
      if (same === undefined) continue;
      objects++;
      if (object.name !== same.name) problems.push(`${image.fileName}: ${object.name} is ${same.name}`);
      const far = distance(object.bbox, same.bbox);
      if (far > 1e-6) lost.boxes++;
      else farthest = Math.max(farthest, far);
      if (object.isDifficult && !same.isDifficult) lost.difficult++;
      if (object.marks && !same.marks) lost.marks++;
      if (Math.abs(object.area - same.area) > 1e-6 * Math.max(1, object.area)) lost.areas++;
      const [outline, again] = [outlineOf(object), outlineOf(same)];
      if (outline && (!again || outline.length !== again.length)) lost.masks++;
      else if (outline) {
        const apart = distance(outline, again);
        if (apart > 1e-6) lost.masks++;
        else farthest = Math.max(farthest, apart);
      }
      if (object.keypoints && !(same.keypoints && distance(object.keypoints, same.keypoints) < 1e-6)) lost.keypoints++;
    }
  }
  const [own, again] = [before, after].map(({ categories }) => [...categories].sort((a, b) => a.id - b.id));
  const losing = (isLost) => own.filter((category, i) => isLost(category, again[i] ?? {})).length;
  lost.supercategories = losing((a, b) => a.supercategory !== b.supercategory);
  lost.skeletons = losing((a, b) => String(a.skeleton) !== String(b.skeleton) || String(a.sigmas) !== String(b.sigmas));
  lost.frequencies = losing((a, b) => a.frequency !== b.frequency);
  lost.lookedFor = before.images.filter(
    ({ lookedFor, fileName }) => lookedFor && !files.get(fileName)?.lookedFor,
  ).length;
  const pictures = before.images.length;
  return {
    pictures,
    picturesBack: after.images.length,
    objects,
    objectsBefore: before.annotations.length,
    lost,
    farthest,
    problems,
  };
}

function objectsOf({ annotations, categories }, { id }) {
  const nameOf = new Map(categories.map((category) => [category.id, category.name]));
  return annotations
    .filter(({ imageId }) => imageId === id)
    .map((object) => ({ ...object, name: nameOf.get(object.categoryId) }));
}

/** The corners of a mask of one part; others cannot stay as they are, and the command says how many they are. */
function outlineOf({ segmentation }) {
  return segmentation?.kind === 'polygons' && segmentation.polygons.length === 1 ? segmentation.polygons[0] : undefined;
}

function distance(a, b) {
  return a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
}

/** What was lost and not said, in words. */
export function unsaid({ lost, said, problems }) {
  const kinds = [
    ...['crowds', 'boxes', 'difficult', 'marks', 'areas', 'supercategories'],
    ...['skeletons', 'lookedFor', 'frequencies'],
  ];
  return [
    ...problems,
    ...kinds
      .filter((kind) => lost[kind] !== said[kind])
      .map((kind) => `${kind}: ${lost[kind]} lost, ${said[kind]} said`),
    ...(lost.masks > said.joined + said.traced + said.masks ? [`masks: ${lost.masks} are others`] : []),
    ...(lost.keypoints > 0 ? [`keypoints: ${lost.keypoints} are others`] : []),
  ];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const sources = process.argv.slice(2);
  if (sources.length === 0) {
    console.error('check-round-trip: name data sets: ANNOTATIONS[,IMAGES] ...');
    process.exit(2);
  }
  for (const source of sources) {
    const [annotations, images] = source.split(',');
    const result = roundTrip(annotations, images);
    const { pictures, picturesBack, objects, objectsBefore, said, farthest } = result;
    const losses = Object.entries(said)
      .filter(([, count]) => count > 0)
      .map(([kind, count]) => `${count} ${kind}`);
    console.log(
      `${annotations}: ${picturesBack} of ${pictures} pictures and ${objects} of ${objectsBefore} objects are back, boxes and corners within ${farthest.toExponential(1)} pixels; said to be lost: ${losses.join(', ') || 'nothing'}`,
    );
    for (const problem of unsaid(result)) {
      console.error(`  not said: ${problem}`);
      process.exitCode = 1;
    }
  }
}
