// One picture's way into a batch: decode, check, mirror, resize, crop and normalise into its slot, make the target. It is a
// function of its request alone, so that it gives the same wherever it runs.
import {
  type Annotation,
  fillPadding,
  flipImageInPlace,
  type ImageRecord,
  InputError,
  type InputErrorCode,
  type Preprocess,
  padValuesOf,
  placeInFrame,
  prepareImage,
  type RgbImage,
} from '@goshawk/core';
import type { Target } from './batch.js';
import { decodeImageFile, readImageHeader } from './decode-image.js';
import { pictureSizeProblem } from './picture-size.js';
import { makeTarget, type PictureView } from './target.js';

/** Everything that the work on one picture needs; can be sent to a worker. */
export interface SampleRequest extends PictureView {
  readonly image: ImageRecord;
  readonly path: string;
  readonly annotations: readonly Annotation[];
  readonly classes: readonly number[];
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
    const decoded = await decodeSample(request, request.exifOrientation);
    if (request.flip) flipImageInPlace(decoded);
    const { memory, offset, rowStride, height } = request.slot;
    const into = { data: new Float32Array(memory), offset, rowStride };
    const { size, window } = request;
    prepareImage(decoded, request.preprocess, { into: placeInFrame(into, size.frame), size, window });
    fillPadding(into, window ?? size, height, padValuesOf(request.preprocess));
    return { target: makeTarget(request.annotations, request.image, request) };
  } catch (error) {
    if (error instanceof InputError) {
      const message = error.message.includes(request.path) ? error.message : `${request.path}: ${error.message}`;
      return { error: { code: error.code, message } };
    }
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
    return { error: { message: `internal: ${request.path}: ${reason}` } };
  }
}

/** A data set's picture. @throws InputError also where its size is not the one that its annotations are meant for */
export async function decodeSample(
  { path, image }: Pick<SampleRequest, 'path' | 'image'>,
  exifOrientation: SampleRequest['exifOrientation'],
): Promise<RgbImage> {
  const decoded = await decodeImageFile(path, { exifOrientation });
  if (decoded.width === image.width && decoded.height === image.height) return decoded;
  const { orientation } = await readImageHeader(path);
  const problem = pictureSizeProblem(image, { ...decoded, orientation }, exifOrientation);
  throw new InputError('annotation-invalid', `${path}: image id ${image.id} ${problem}`);
}
