// One picture's way into a batch: decode, check, take the steps of data.augment, mirror, resize, crop and normalise into its slot, make the target. It is a
// function of its request alone, so that it gives the same wherever it runs.
import {
  fillPadding,
  InputError,
  type InputErrorCode,
  type Preprocess,
  padValuesOf,
  placeInFrame,
  prepareImage,
  type RgbImage,
} from '@goshawk/core';
import { makePicture } from './augment/make-picture.js';
import type { PlannedPicture } from './augment/planned-picture.js';
import type { Target } from './batch.js';
import { decodeImageFile, readImageHeader } from './decode-image.js';
import { decodeContent, type LoadedPictures } from './loaded-pictures.js';
import { pictureSizeProblem } from './picture-size.js';
import { fastResizer, flipImageInPlace, recycle } from './pixels/index.js';
import { makeTarget, type PictureView } from './target.js';

/** Everything that the work on one picture needs; can be sent to a worker. */
export interface SampleRequest extends PictureView, PlannedPicture {
  /** Absent: paths are files. */
  readonly loaded?: LoadedPictures;
  readonly preprocess: Preprocess;
  readonly exifOrientation: 'apply' | 'ignore';
  readonly masks: boolean;
  readonly polygons?: boolean;
  readonly keypointCount: number;
  readonly keypointFlipOrder: readonly number[];
  /** Where the pixels go: `offset` and `rowStride` in floats. */
  readonly slot: {
    readonly memory: SharedArrayBuffer;
    readonly offset: number;
    readonly rowStride: number;
    readonly height: number;
  };
}

/** Errors cross threads as their parts. */
export type SampleResult =
  | { readonly target: Target; readonly error?: undefined }
  | { readonly error: { readonly code?: InputErrorCode; readonly message: string } };

/** Never rejects: what goes wrong is in the result. */
export async function prepareSample(request: SampleRequest): Promise<SampleResult> {
  try {
    const conventions = { keypointFlipOrder: request.keypointFlipOrder, pixelCentres: request.legacyPlusOne };
    const decode = (picture: Pick<PlannedPicture, 'image' | 'path'>) => decodeNamed(picture, request);
    const { image, objects } = await makePicture(request, decode, conventions);
    if (request.flip) flipImageInPlace(image);
    const { memory, offset, rowStride, height } = request.slot;
    const into = { data: new Float32Array(memory), offset, rowStride };
    const { size, window } = request;
    const place = { into: placeInFrame(into, size.frame), size, window };
    prepareImage(image, request.preprocess, { ...place, resizer: fastResizer });
    fillPadding(into, window ?? size, height, padValuesOf(request.preprocess));
    recycle(image);
    const annotations = objects.map(({ annotation }) => annotation);
    const classes = objects.map(({ objectClass }) => objectClass);
    return { target: makeTarget(annotations, image, { ...request, classes }) };
  } catch (error) {
    if (error instanceof InputError) {
      return { error: { code: error.code, message: namedMessage(error, request.path) } };
    }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { error: { message: `internal: ${request.path}: ${reason}` } };
  }
}

/** The pictures that steps add are others than the request's: each error names its own. */
async function decodeNamed(
  picture: Pick<PlannedPicture, 'image' | 'path'>,
  { exifOrientation, loaded }: Pick<SampleRequest, 'exifOrientation' | 'loaded'>,
): Promise<RgbImage> {
  try {
    return await decodeSample(picture, exifOrientation, loaded);
  } catch (error) {
    if (!(error instanceof InputError)) throw error;
    throw new NamedError(error.code, namedMessage(error, picture.path));
  }
}

/** One whose message names the picture that it is about. */
class NamedError extends InputError {}

function namedMessage(error: InputError, path: string): string {
  return error instanceof NamedError || error.message.includes(path) ? error.message : `${path}: ${error.message}`;
}

/**
 * A data set's picture.
 * @param loaded pictures that are not files
 * @throws InputError also where its size is not the one that its annotations are meant for
 */
export async function decodeSample(
  { path, image }: Pick<SampleRequest, 'path' | 'image'>,
  exifOrientation: SampleRequest['exifOrientation'],
  loaded: LoadedPictures = {},
): Promise<RgbImage> {
  const content = loaded[path];
  const decoded =
    content === undefined
      ? await decodeImageFile(path, { exifOrientation })
      : await decodeContent(content, path, { exifOrientation });
  if (decoded.width === image.width && decoded.height === image.height) return decoded;
  const orientation = content === undefined ? (await readImageHeader(path)).orientation : 1;
  const problem = pictureSizeProblem(image, { ...decoded, orientation }, exifOrientation);
  throw new InputError('annotation-invalid', `${path}: image id ${image.id} ${problem}`);
}
