// A data set as a folder of YOLO: data.yaml, labels/SET/*.txt, and the place images/SET for its pictures.
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Dataset, formatYolo, InputError, sortedCategories, type YoloTask, yoloTaskOf } from '@goshawk/core';
import { stringify } from 'yaml';
import { isPictureName, shownEndings } from '../data/picture-names.js';
import { yoloLabelOf } from '../data/yolo-folder.js';
import { readYoloList } from '../data/yolo-list.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import { isHidden } from '../files/visible-entries.js';

/** Any file of a YOLO folder. */
export const YOLO_TRIAL = join('labels', 'any.txt');

/**
 * Adds the set to the folder's list, where there is one of the same classes.
 * @returns what the lines say, and in words what the format could not hold
 */
export function writeYolo(dataset: Dataset, folder: string, set: string): { task: YoloTask; lost: string[] } {
  const categories = sortedCategories(dataset.categories);
  const task = yoloTaskOf(dataset);
  const { texts, losses } = formatYolo(dataset, task);
  const names = new Map<string, string>();
  for (const { fileName } of dataset.images) {
    // A folder of the picture's own may be called images, too.
    const label = yoloLabelOf(join('images', set, fileName));
    const other = names.get(label);
    if (other !== undefined)
      throw new InputError(
        'annotation-invalid',
        `${folder}: ${other} and ${fileName} would both have the labels ${label}: rename one`,
      );
    names.set(label, fileName);
  }
  const list = join(folder, 'data.yaml');
  const sets = new Set([set]);
  if (existsSync(list)) {
    const { sets: there, classes } = readYoloList(list);
    if (classes?.names.join('\0') !== categories.map(({ name }) => name).join('\0'))
      throw new InputError(
        'usage',
        `${list}: has other names (${classes?.names.join(', ')}) than the set (${categories.map(({ name }) => name).join(', ')}): choose another --output`,
      );
    for (const [name, places] of there) {
      // The list is written anew, with each set where this format has it.
      if (places.some((place) => resolve(place) !== resolve(folder, 'images', name)))
        throw new InputError(
          'usage',
          `${list}: has its set ${name} elsewhere (expected images/${name}): choose another --output`,
        );
      sets.add(name);
    }
  }
  [...names.keys()].forEach((label, i) => {
    writeFileAtomic(join(folder, label), texts[i]!);
  });
  const points = categories.find(({ keypoints }) => keypoints !== undefined);
  const order = ['train', 'val', 'test'].filter((name) => sets.has(name));
  const keys = {
    path: '.',
    ...Object.fromEntries(
      [...order, ...[...sets].filter((name) => !order.includes(name))].map((name) => [name, `images/${name}`]),
    ),
    names: categories.map(({ name }) => name),
    ...(task === 'pose' && points?.keypoints ? poseKeys(points.keypoints, points.flipPairs) : {}),
  };
  writeFileAtomic(list, stringify(keys));
  const unseen = dataset.images.filter(({ fileName }) => !isPictureName(fileName) || isHidden(fileName)).length;
  const unseenWords = `${unseen} pictures have names that readers of YOLO pass over (expected ${shownEndings}): rename them`;
  return { task, lost: [...lossWords(losses), ...(unseen > 0 ? [unseenWords] : [])] };
}

function poseKeys(keypoints: readonly string[], pairs: readonly (readonly [number, number])[] | undefined): object {
  const order = keypoints.map((_, i) => i);
  for (const [a, b] of pairs ?? []) [order[a], order[b]] = [b, a];
  return {
    kpt_shape: [keypoints.length, 3],
    ...(pairs === undefined ? {} : { flip_idx: order }),
    kpt_names: { 0: [...keypoints] },
  };
}

function lossWords(losses: ReturnType<typeof formatYolo>['losses']): string[] {
  const words = {
    crowds: 'crowd regions are left out',
    joined: 'objects of several parts, or with holes, have one outline now, their parts joined by lines',
    traced: 'masks of run lengths are outlines now',
    bare: 'objects without the mask or keypoints that others have are their boxes, or unlabelled points',
    boxes: 'objects have the box around their outline now, not their own',
    difficult: "objects lose VOC's mark for difficult ones",
    marks: 'objects lose their pose, or that they are truncated or occluded',
    areas: 'objects lose their own area: readers take that of the outline or box',
    supercategories: 'categories lose their supercategory',
    masks: 'objects lose their mask, since the others have keypoints',
    skeletons: 'categories lose their skeleton or sigmas',
    lookedFor: "pictures lose LVIS' lists of what was looked for in them",
    frequencies: "categories lose LVIS' frequency",
  } as const;
  return (Object.keys(words) as (keyof typeof words)[])
    .filter((kind) => losses[kind] > 0)
    .map((kind) => `${losses[kind]} ${words[kind]}: YOLO's labels have no place for them`);
}
