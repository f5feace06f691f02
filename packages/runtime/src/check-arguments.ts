// What a caller gives, looked at before anything is computed: pictures that are not what they say they are, or limits that are none,
// would else be answered with detections that mean nothing.
import { InputError, type RgbImage } from '@goshawk/core';

/** @throws InputError where a picture is not `width * height * 3` bytes, naming its place in the call */
export function requirePictures(images: readonly RgbImage[]): void {
  images.forEach((image, place) => {
    const problem = pictureProblem(image);
    if (problem) throw new InputError('image-invalid', `picture ${place + 1} of ${images.length}: ${problem}`);
  });
}

function pictureProblem({ data, width, height }: RgbImage): string | undefined {
  if (![width, height].every((side) => Number.isInteger(side) && side > 0))
    return `is ${width} x ${height} pixels (expected whole numbers from 1 on): correct its sides`;
  // By its name: an array of another window or worker is of another class.
  const type = Object.prototype.toString.call(data).slice('[object '.length, -1);
  if (type !== 'Uint8Array' && type !== 'Uint8ClampedArray')
    return `holds its pixels as ${type} (expected Uint8Array, grey levels from 0 to 255): convert them`;
  const pixels = width * height;
  if (data.length === 3 * pixels) return undefined;
  const remedy =
    data.length === 4 * pixels
      ? 'take the fourth value of each pixel away by rgbOfRgba'
      : data.length === pixels
        ? 'repeat the grey level of each pixel three times'
        : 'correct its sides or its pixels';
  return `has ${data.length} values (expected ${width} x ${height} pixels of red, green and blue, ${3 * pixels}): ${remedy}`;
}

/** @throws InputError where a limit is none */
export function requireLimits({
  scoreThreshold,
  maxDetections,
}: {
  readonly scoreThreshold?: number;
  readonly maxDetections?: number;
}): void {
  if (scoreThreshold !== undefined && !(scoreThreshold >= 0 && scoreThreshold <= 1))
    throw new InputError('usage', `scoreThreshold: is ${scoreThreshold} (expected a number from 0 to 1): correct it`);
  if (maxDetections !== undefined && !(Number.isInteger(maxDetections) && maxDetections >= 0))
    throw new InputError('usage', `maxDetections: is ${maxDetections} (expected a whole number from 0 on): correct it`);
}

/** @throws InputError where they are no bytes, such as what `fetch` gives, as it is */
export function requireBytes(bytes: Uint8Array, name: string): void {
  const type = Object.prototype.toString.call(bytes).slice('[object '.length, -1);
  if (type !== 'Uint8Array')
    throw new InputError(
      'usage',
      `${name}: is given as ${type} (expected Uint8Array, the file's bytes): ${
        type === 'ArrayBuffer' ? 'give new Uint8Array of it' : 'read the file first'
      }`,
    );
}
