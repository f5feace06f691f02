// A data set as a folder of PASCAL VOC: Annotations/ID.xml and ImageSets/Main/SET.txt.
import { basename, join } from 'node:path';
import { type Annotation, type Dataset, formatVocAnnotation, InputError } from '@goshawk/core';
import { writeFileAtomic } from '../files/atomic-file.js';

/** Any file of a VOC folder. */
export const VOC_TRIAL = join('Annotations', 'any.xml');

/** @returns the number of files, and in words what the format could not hold */
export function writeVoc(dataset: Dataset, folder: string, set: string): { files: number; lost: string[] } {
  const byImage = new Map<number, Annotation[]>(dataset.images.map(({ id }) => [id, []]));
  for (const annotation of dataset.annotations) byImage.get(annotation.imageId)?.push(annotation);
  const names = new Map<string, string>();
  const text = dataset.images.map((image) => {
    const name = basename(image.fileName).replace(/\.[^.]*$/, '');
    const other = names.get(name);
    if (other !== undefined) {
      throw new InputError(
        'annotation-invalid',
        `${folder}: ${other} and ${image.fileName} would both be ${name}.xml: VOC has one folder of pictures, rename one`,
      );
    }
    names.set(name, image.fileName);
    const record = { ...image, fileName: basename(image.fileName) };
    return [name, formatVocAnnotation(record, byImage.get(image.id)!, dataset.categories)] as const;
  });
  for (const [name, annotation] of text) writeFileAtomic(join(folder, 'Annotations', `${name}.xml`), annotation);
  writeFileAtomic(join(folder, 'ImageSets', 'Main', `${set}.txt`), `${[...names.keys()].join('\n')}\n`);
  return { files: text.length, lost: lossWords(dataset) };
}

function lossWords({ images, annotations, categories }: Dataset): string[] {
  const objects = annotations.filter(({ isCrowd }) => !isCrowd);
  const isOther = ({ area, bbox }: Annotation): boolean =>
    Math.abs(area - bbox[2] * bbox[3]) > 1e-6 * Math.max(1, area);
  const used = new Set(objects.map(({ categoryId }) => categoryId));
  const sameNames = categories.length - new Set(categories.map(({ name }) => name)).size;
  const losses: readonly (readonly [count: number, words: string])[] = [
    [annotations.length - objects.length, 'crowd regions are left out'],
    [objects.filter(({ segmentation }) => segmentation !== undefined).length, 'objects lose their mask'],
    [objects.filter(({ keypoints }) => keypoints !== undefined).length, 'objects lose their keypoints'],
    [objects.filter(isOther).length, 'objects lose their own area: readers take that of the box'],
    [
      categories.filter(({ supercategory }) => supercategory !== undefined).length,
      'categories lose their supercategory',
    ],
    [categories.filter(({ id }) => !used.has(id)).length, 'categories have no object, and so are named nowhere'],
    [sameNames, 'categories have the name of another, and become one with it'],
    [
      categories.filter(({ keypoints }) => keypoints !== undefined).length,
      'categories lose the names of their keypoints',
    ],
    [categories.filter(({ frequency }) => frequency !== undefined).length, "categories lose LVIS' frequency"],
    [
      images.filter(({ lookedFor }) => lookedFor !== undefined).length,
      "pictures lose LVIS' lists of what was looked for in them",
    ],
    [images.filter(({ fileName }) => fileName.includes('/')).length, 'pictures lose the folder that they are in'],
  ];
  return losses
    .filter(([count]) => count > 0)
    .map(([count, words]) => `${count} ${words}: VOC's annotations have no place for them`);
}
