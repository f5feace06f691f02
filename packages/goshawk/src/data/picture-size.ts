// Whether a picture has the size that its annotations are meant for. Asked of headers before work begins, and of decoded
// pixels when they are used.
import type { ImageRecord } from '@goshawk/core';
import type { ImageHeader } from './decode-image.js';

/**
 * The rest of a sentence about the picture, with what to do; undefined where the sizes agree.
 * @param header of the file, its sides turned as `exifOrientation` asks
 */
export function pictureSizeProblem(
  record: Pick<ImageRecord, 'width' | 'height'>,
  { width, height, orientation }: ImageHeader,
  exifOrientation: 'apply' | 'ignore',
): string | undefined {
  if (width === record.width && height === record.height) return undefined;
  const isTurned = orientation >= 5 && width === record.height && height === record.width;
  const remedy = isTurned
    ? `EXIF orientation ${orientation} exchanges them: set data.exifOrientation to ${exifOrientation === 'apply' ? 'ignore' : 'apply'}, ` +
      'or annotate the picture as shown'
    : 'boxes would be scaled wrongly: correct the annotation file or take the picture that was annotated';
  return `is ${width} x ${height} pixels, declared ${record.width} x ${record.height}: ${remedy}`;
}
