// Writing PASCAL VOC annotation files.
import type { Annotation, Category, ImageRecord } from './dataset.js';
import { xywhToVocBox } from './voc-box.js';

/**
 * The text of one picture's annotation file, boxes by VOC's pixel rule with their fractions; crowds are left out, which
 * the format cannot say.
 */
export function formatVocAnnotation(
  image: ImageRecord,
  annotations: readonly Annotation[],
  categories: readonly Category[],
): string {
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  const objects = annotations
    .filter(({ isCrowd }) => !isCrowd)
    .map(({ categoryId, bbox, isDifficult, marks }) => {
      const { xmin, ymin, xmax, ymax } = xywhToVocBox(bbox);
      const name = escapeXml(names.get(categoryId) ?? String(categoryId));
      return [
        '\t<object>',
        `\t\t<name>${name}</name>`,
        ...(marks?.pose === undefined ? [] : [`\t\t<pose>${escapeXml(marks.pose)}</pose>`]),
        ...(marks?.isTruncated ? ['\t\t<truncated>1</truncated>'] : []),
        ...(marks?.isOccluded ? ['\t\t<occluded>1</occluded>'] : []),
        `\t\t<difficult>${isDifficult ? 1 : 0}</difficult>`,
        `\t\t<bndbox><xmin>${xmin}</xmin><ymin>${ymin}</ymin><xmax>${xmax}</xmax><ymax>${ymax}</ymax></bndbox>`,
        '\t</object>',
      ].join('\n');
    });
  return [
    '<annotation>',
    `\t<filename>${escapeXml(image.fileName)}</filename>`,
    `\t<size><width>${image.width}</width><height>${image.height}</height><depth>3</depth></size>`,
    ...objects,
    '</annotation>',
    '',
  ].join('\n');
}

function escapeXml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
