// Formats that are not read here, known by their marks, each with what to export instead.
import { readdirSync, statSync } from 'node:fs';
import { basename, extname, join } from 'node:path';
import { readHead } from '../files/read-head.js';

interface OtherFormat {
  readonly name: string;
  /** What is to be done, as the end of a sentence. */
  readonly remedy: string;
  /** Looks at a file's name and its first 64 KiB. */
  readonly recognises: (name: string, head: string) => boolean;
}

const isList = (head: string): boolean => /^\s*\[/.test(head);
const has = (head: string, ...keys: readonly string[]): boolean => keys.every((key) => head.includes(`"${key}"`));

/** In the order in which they are asked. */
const otherFormats: readonly OtherFormat[] = [
  {
    name: 'TFRecord',
    remedy: 'export the set again as COCO, PASCAL VOC or YOLO from the program that made the records',
    recognises: (name) => /\.tf_?records?(-\d+-of-\d+)?$|\.record$/i.test(name),
  },
  {
    name: 'CreateML',
    remedy: 'export the set as COCO or YOLO (Roboflow: Download, COCO JSON)',
    recognises: (name, head) =>
      /createml\.json$/i.test(name) || (isList(head) && has(head, 'image', 'annotations', 'coordinates')),
  },
  {
    name: 'Label Studio',
    remedy: 'in Label Studio choose Export and then COCO, or YOLO',
    recognises: (_, head) =>
      isList(head) && (has(head, 'data', 'annotations', 'result') || has(head, 'data', 'completions')),
  },
  {
    name: 'Label Studio',
    remedy: 'in Label Studio choose Export and then COCO, or YOLO',
    recognises: (_, head) => isList(head) && (has(head, 'rectanglelabels') || has(head, 'polygonlabels')),
  },
  {
    name: 'VIA (VGG Image Annotator)',
    remedy: 'in VIA choose Annotation, Export Annotations (COCO format)',
    recognises: (name, head) =>
      has(head, '_via_settings') ||
      has(head, '_via_img_metadata') ||
      has(head, 'regions', 'shape_attributes') ||
      (/\.csv$/i.test(name) && head.includes('region_shape_attributes')),
  },
  {
    name: 'Datumaro',
    remedy: 'convert it with datum convert -f coco_instances',
    recognises: (_, head) => /^\s*\{/.test(head) && has(head, 'items', 'categories', 'label') && has(head, 'info'),
  },
  {
    name: 'Supervisely',
    remedy: 'in Supervisely run the app Export to COCO, and export as that',
    recognises: (name, head) =>
      has(head, 'objects', 'classTitle') || (basename(name) === 'meta.json' && has(head, 'classes', 'tags')),
  },
  {
    name: 'Labelbox',
    remedy: 'convert its export to COCO (the labelbox package has a converter), or export as COCO',
    recognises: (_, head) => has(head, 'data_row', 'projects') || has(head, 'DataRow ID', 'Labeled Data'),
  },
  {
    name: 'V7 Darwin',
    remedy: 'export the release as COCO',
    recognises: (_, head) =>
      has(head, 'item', 'annotations', 'slots') || has(head, 'bounding_box', 'annotations', 'dataset'),
  },
  {
    name: "Ultralytics' NDJSON",
    remedy: 'download the set as YOLO, a folder with a data.yaml',
    recognises: (name, head) => /\.ndjson$/i.test(name) && has(head, 'type', 'task'),
  },
  {
    name: 'Open Images',
    remedy: 'convert its tables to COCO (FiftyOne exports what it has loaded as COCO)',
    recognises: (name, head) => /\.csv$/i.test(name) && /^ImageID,(Source|LabelName|XMin)/m.test(head),
  },
  {
    name: "Roboflow's table",
    remedy: 'in Roboflow choose Download and then COCO JSON or YOLO',
    recognises: (name, head) =>
      /\.csv$/i.test(name) &&
      (/^_annotations\.csv$/i.test(basename(name)) || /^filename,width,height,class,/m.test(head)),
  },
  {
    name: 'the kind CSV, a table of boxes',
    remedy:
      'write its rows as COCO (images, categories, and annotations with bbox [x, y, width, height]), or name a module that reads them (docs/datasets.md)',
    recognises: (name, head) =>
      /\.csv$/i.test(name) && /^[^\n]*\b(x_?min|xmin|x1|left)\b[^\n]*\b(y_?max|ymax|y2|bottom|height)\b/i.test(head),
  },
  {
    name: 'DOTA, whose boxes are turned',
    remedy:
      'convert the corners of its lines to YOLO outlines (class x1 y1 ... as fractions), which become boxes around them',
    recognises: (name, head) =>
      /\.txt$/i.test(name) && everyLine(head, /^(-?[\d.]+\s+){8}\S+\s+[0-2]\s*$|^(imagesource|gsd):/),
  },
  {
    name: 'KITTI',
    remedy: 'convert its labels to PASCAL VOC or YOLO; its boxes are left, top, right, bottom in the columns 5 to 8',
    recognises: (name, head) =>
      /\.txt$/i.test(name) && everyLine(head, /^[A-Za-z_]+\s+(-?[\d.]+\s+){13,14}-?[\d.]+\s*$/),
  },
  {
    name: "Hugging Face's tables",
    remedy: 'write the set as COCO with the datasets package, pictures beside it',
    recognises: (name) => /\.(parquet|arrow)$/i.test(name),
  },
];

/**
 * The format that a file, or the first files of a folder and of the folders in it, has the marks of.
 * @returns name and remedy for a message; undefined where nothing is known
 */
export function recogniseOtherFormat(path: string): { readonly name: string; readonly remedy: string } | undefined {
  const isFolder = statSync(path).isDirectory();
  let found: OtherFormat | undefined;
  for (const file of isFolder ? filesOf(path) : [path]) {
    const { head } = readHead(file, 65_536);
    // Beside a COCO file the others are of no concern.
    if (
      isFolder &&
      /\.json$/i.test(file) &&
      has(head, 'images') &&
      (has(head, 'categories') || has(head, 'annotations'))
    )
      return undefined;
    found ??= otherFormats.find(({ recognises }) => recognises(file, head));
  }
  return found && { name: found.name, remedy: found.remedy };
}

const endings = /^\.(json|ndjson|csv|txt|record|tfrecords?|parquet|arrow)$/i;
const FEW = 5;

/** A few files of each kind; in folders up to ds/ann of Supervisely's exports. */
function filesOf(folder: string, depth = 2): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(({ name }) => !name.startsWith('.'));
  const files = entries.filter((entry) => entry.isFile()).map(({ name }) => name);
  const seen = new Map<string, number>();
  const some = files.sort().filter((name) => {
    const ending = /\.tf_?records?/i.test(name) ? '.tfrecord' : extname(name).toLowerCase();
    const count = (seen.get(ending) ?? 0) + 1;
    seen.set(ending, count);
    return endings.test(ending) && count <= FEW;
  });
  const own = some.map((name) => join(folder, name));
  if (depth === 0) return own;
  const folders = entries.filter((entry) => entry.isDirectory()).slice(0, FEW);
  return [...own, ...folders.flatMap(({ name }) => filesOf(join(folder, name), depth - 1))];
}

function everyLine(head: string, line: RegExp): boolean {
  // The last one may be cut.
  const lines = head.split(/\r?\n/).filter((text) => text.trim() !== '');
  const whole = head.length >= 65_536 ? lines.slice(0, -1) : lines;
  return whole.length > 0 && whole.every((text) => line.test(text));
}
