// What an evaluation will need of a data set, asked before any work begins: a fault found at its end would cost all of it.
import {
  type Annotation,
  type DataIssue,
  DataIssueList,
  type Dataset,
  defaultSigmas,
  type ImageRecord,
  InputError,
  type IouType,
  polygonsToRle,
} from '@goshawk/core';
import type { DetectionDataset } from './dataset.js';
import { readImageHeader } from './decode-image.js';
import { pictureSizeProblem } from './picture-size.js';

export interface EvaluationNeeds {
  /** What is measured; a detector's kind names it. */
  readonly measuredBy: readonly IouType[];
  /** Keypoints of an object that the model finds. Absent: not known, or none. */
  readonly keypoints?: number;
  /** Where they are given. Default: as core's defaultSigmas has them. */
  readonly oksSigmas?: readonly number[];
}

/** Every annotation that the evaluation would stop at, in the order of the file; all are errors. Opens no picture. */
export function checkForEvaluation(
  { fileName, annotations: groundTruth }: Pick<DetectionDataset, 'fileName' | 'annotations'>,
  needs: EvaluationNeeds,
): DataIssue[] {
  const issues = new DataIssueList(fileName);
  if (needs.measuredBy.includes('segm')) checkMasks(groundTruth, issues);
  if (needs.measuredBy.includes('keypoints')) checkKeypoints(groundTruth, needs, issues);
  return issues.issues;
}

/**
 * Pictures that cannot be opened, or whose size is not that of their entry. Reads headers alone, some 0.3 ms each: damage
 * behind the header is found when a picture is decoded.
 */
export async function checkPictureHeaders({
  fileName,
  samples,
  exifOrientation,
  load,
}: Pick<DetectionDataset, 'fileName' | 'samples' | 'exifOrientation' | 'load'>): Promise<DataIssue[]> {
  // Those of a program told their size when they were loaded.
  if (load !== undefined) return [];
  const found: DataIssueList[] = [];
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < samples.length) {
      const index = next++;
      const { image, path } = samples[index]!;
      const issues = new DataIssueList(fileName);
      found[index] = issues;
      const entity = `image id ${image.id}`;
      try {
        const header = await readImageHeader(path, { exifOrientation });
        const problem = pictureSizeProblem(image, header, exifOrientation);
        if (problem !== undefined) issues.error('image-size', 'images', `${path} ${problem}`, entity);
      } catch (error) {
        if (!(error instanceof InputError)) throw error;
        const code = error.code === 'file-not-found' ? 'image-missing' : 'image-damaged';
        issues.error(code, 'images', error.message, entity);
      }
    }
  };
  await Promise.all(Array.from({ length: HEADERS_AT_ONCE }, worker));
  return found.flatMap(({ issues }) => issues);
}

/**
 * The first of all that {@link checkForEvaluation} and {@link checkPictureHeaders} find, with the number of the others.
 * @param options.damaged whether damaged pictures are refused (the default), or returned, for work that goes on without them
 * @throws InputError `image-invalid` where it is a picture, else `annotation-invalid`
 */
export async function requireEvaluable(
  dataset: DetectionDataset,
  needs: EvaluationNeeds,
  { damaged = 'refuse' }: { readonly damaged?: 'refuse' | 'return' } = {},
): Promise<DataIssue[]> {
  const all = [...checkForEvaluation(dataset, needs), ...(await checkPictureHeaders(dataset))];
  const returned = damaged === 'return' ? all.filter(({ code }) => code === 'image-damaged') : [];
  const issues = all.filter((issue) => !returned.includes(issue));
  const first = issues[0];
  if (first === undefined) return returned;
  const others = issues.length === 1 ? '' : ` (and ${issues.length - 1} more: goshawk data check lists them)`;
  throw new InputError(first.code === 'image-damaged' ? 'image-invalid' : 'annotation-invalid', first.message + others);
}

// libuv reads files on four threads.
const HEADERS_AT_ONCE = 4;

function checkMasks({ images, annotations }: Dataset, issues: DataIssueList): void {
  const imageOf = new Map(images.map((image) => [image.id, image]));
  for (const annotation of annotations) {
    const image = imageOf.get(annotation.imageId)!;
    const entity = `annotation id ${annotation.id}`;
    const problem = maskProblem(annotation, image);
    if (problem === 'missing')
      issues.error(
        'mask-missing',
        'annotations',
        'has no mask, which the evaluation of masks needs: add polygons, or take a model of boxes such as faster_rcnn',
        entity,
      );
    else if (problem !== undefined) issues.error('bad-mask', 'annotations', problem, entity);
  }
}

function maskProblem({ segmentation }: Annotation, image: ImageRecord): string | undefined {
  if (segmentation === undefined) return 'missing';
  if (segmentation.kind === 'rle') {
    const [height, width] = segmentation.rle.size;
    if (height === image.height && width === image.width) return undefined;
    return (
      `has a mask of [${height}, ${width}] but the picture is [${image.height}, ${image.width}] (height, width): ` +
      "encode the mask at the picture's size"
    );
  }
  if (segmentation.polygons.length === 0) return 'missing';
  const corners = segmentation.polygons.reduce((most, polygon) => Math.max(most, polygon.length / 2), 0);
  if (corners * image.width < CORNERS_BY_COLUMNS) return undefined;
  try {
    polygonsToRle(segmentation.polygons, [image.height, image.width]);
    return undefined;
  } catch (error) {
    if (error instanceof InputError) return `cannot be drawn: ${error.message}`;
    throw error;
  }
}

// A polygon of less than this never meets the rasteriser's limit, so it need not be drawn to know.
const CORNERS_BY_COLUMNS = 2 ** 22;

function checkKeypoints({ annotations, categories }: Dataset, needs: EvaluationNeeds, issues: DataIssueList): void {
  const named = categories.find(({ keypoints = [] }) => keypoints.length > 0);
  const count = (needs.oksSigmas ?? defaultSigmas({ annotations, categories })).length;
  const from = needs.oksSigmas
    ? 'the sigmas given'
    : named
      ? `the keypoints of category '${named.name}'`
      : 'the first annotation, as no category names its keypoints';
  if (needs.keypoints !== undefined && needs.keypoints !== count)
    issues.error(
      'bad-keypoints',
      'categories',
      `asks for ${count} keypoints (${from}), but the model finds ${needs.keypoints}: ` +
        'name as many in categories[].keypoints, or evaluate on the data that the model was trained for',
    );
  for (const { id, keypoints } of annotations) {
    if (keypoints === undefined || keypoints.length === 3 * count) continue;
    issues.error(
      'bad-keypoints',
      'annotations',
      `has ${keypoints.length / 3} keypoints (expected ${count}: ${from}): name them in categories[].keypoints, or correct the annotation`,
      `annotation id ${id}`,
    );
  }
}
