// PASCAL VOC annotations (host.robots.ox.ac.uk/pascal/VOC): a file a picture, read into the one shape of a dataset.
import { type DataIssue, DataIssueList, describeValue } from './data-issue.js';
import type { Annotation, Dataset, ImageRecord } from './dataset.js';
import { imagePathProblem } from './image-path.js';
import { ObjectTwins, tellTwin } from './object-twins.js';
import { readVocAnnotation, type VocAnnotation } from './voc-annotation.js';
import { classCategories, vocClassList } from './voc-classes.js';

export interface VocFile {
  /** Stands at the head of every message about the file. */
  readonly fileName: string;
  /** UTF-8, with or without byte order mark; UTF-16 with one. */
  readonly content: string | Uint8Array;
  /**
   * The picture, below the image folder. Default: the XML's own name with the ending that its `filename` has: the names
   * of ImageSets are those of the XML files, and `filename` often is of another picture.
   */
  readonly image?: string;
  /** Of the picture as shown, for files that do not say it, or say 0. */
  readonly size?: () => { readonly width: number; readonly height: number };
}

export interface VocOptions {
  /** Class names in the order of their category ids 1, 2, ...; default: `vocClassList` of the names in the files. */
  readonly classes?: readonly string[];
  /**
   * `training` (the default): boxes are clipped to the picture; those of a single point or wholly outside are skipped with
   * a warning. `evaluation`: boxes stay as they are, as the devkit takes them.
   */
  readonly purpose?: 'training' | 'evaluation';
  /** Stands at the head of messages about all files together. Default `annotations`. */
  readonly name?: string;
}

export interface ParsedVoc {
  /** Images 1, 2, ... in the order of the files, objects in file order. */
  readonly dataset: Dataset;
  /** What was skipped, clipped or looks wrong, in file order. */
  readonly warnings: readonly DataIssue[];
}

/**
 * Reads the annotation files of one set. Nothing that a file holds makes the reader open another: references to entities
 * are errors. The pixel rule is `vocBoxToXywh`'s; `part`s of objects are no objects; `difficult`,
 * `pose`, `truncated` and `occluded` are kept.
 * @throws InputError that names the file, object, field and remedy of the first error and counts the others.
 */
export function parseVoc(files: Iterable<VocFile>, options: VocOptions = {}): ParsedVoc {
  const issues = new DataIssueList(options.name ?? 'annotations');
  const dataset = readFiles(files, options, issues);
  issues.throwFirstError('annotation-invalid');
  return { dataset, warnings: issues.warnings };
}

/** Every problem of the files, in file order; never throws for what they hold. */
export function checkVoc(files: Iterable<VocFile>, options: VocOptions = {}): DataIssue[] {
  const issues = new DataIssueList(options.name ?? 'annotations');
  readFiles(files, options, issues);
  return issues.issues;
}

/** The class names that occur in the files, those with errors left out. */
export function vocNames(files: Iterable<VocFile>): Set<string> {
  const names = new Set<string>();
  for (const { fileName, content } of files) {
    // Boxes are not looked at here, so any size does where a file has none.
    const annotation = readVocAnnotation(content, true, new DataIssueList(fileName), () => ({ width: 1, height: 1 }));
    for (const { name } of annotation?.objects ?? []) names.add(name);
  }
  return names;
}

function readFiles(files: Iterable<VocFile>, options: VocOptions, issues: DataIssueList): Dataset {
  const read: { annotation: VocAnnotation; image: string; file: DataIssueList }[] = [];
  const lists: DataIssueList[] = [];
  for (const file of files) {
    const own = new DataIssueList(file.fileName);
    lists.push(own);
    const annotation = readVocAnnotation(file.content, options.purpose === 'evaluation', own, file.size);
    if (annotation !== undefined) {
      checkClasses(annotation, options.classes, own);
      const image = file.image ?? pictureName(file.fileName, annotation.fileName);
      const problem = imagePathProblem(image);
      if (problem !== undefined) own.error('unsafe-path', 'filename', `is ${describeValue(image)}, which ${problem}`);
      read.push({ annotation, image, file: own });
    }
  }
  const names =
    options.classes ?? vocClassList(read.flatMap(({ annotation }) => annotation.objects.map((o) => o.name)));
  const idOf = new Map(names.map((name, i) => [name, i + 1]));
  const images: ImageRecord[] = [];
  const annotations: Annotation[] = [];
  const twins = new ObjectTwins<Annotation & { readonly place: string }>();
  for (const { annotation, image, file } of read) {
    const imageId = images.length + 1;
    images.push({ id: imageId, fileName: image, width: annotation.width, height: annotation.height });
    for (const { name, place, bbox, isDifficult, marks } of annotation.objects) {
      const categoryId = idOf.get(name);
      // An unknown class is an error by now.
      if (categoryId === undefined) continue;
      const object: Annotation = {
        id: annotations.length + 1,
        imageId,
        categoryId,
        bbox,
        area: bbox[2] * bbox[3],
        isCrowd: false,
        ...(isDifficult ? { isDifficult } : {}),
        ...(marks && { marks }),
      };
      annotations.push(object);
      const twin = twins.take({ ...object, place });
      if (twin !== undefined) tellTwin(twin.place, place, file, `of class ${describeValue(name)}`);
    }
  }
  for (const own of lists) issues.append(own);
  return { images, annotations, categories: classCategories(names) };
}

function checkClasses(annotation: VocAnnotation, classes: readonly string[] | undefined, issues: DataIssueList): void {
  if (classes === undefined) return;
  for (const { name, place } of annotation.objects) {
    if (classes.includes(name)) continue;
    const known = classes.length > 8 ? `one of ${classes.length} classes` : classes.join(', ');
    issues.error(
      'unknown-category',
      `${place}.name`,
      `is ${describeValue(name)} (expected ${known}): add it to the classes, or correct or remove the object`,
    );
  }
}

/** The XML's name with the ending of the picture that it names; .jpg where it names none. */
function pictureName(xmlFile: string, fileName: string): string {
  const base = xmlFile.slice(xmlFile.search(/[^/\\]*$/)).replace(/\.xml$/i, '');
  return base + (/\.[a-z0-9]+$/i.exec(fileName)?.[0] ?? '.jpg');
}
