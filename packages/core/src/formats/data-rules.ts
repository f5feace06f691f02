// What is done with the odd cases of annotations and pictures: one entry a case, for reading, checking and the page
// docs/data-rules.md alike. An issue's code is a key here, so a case without a rule does not compile.

/** What one use of the data does with a case. */
export interface Treatment {
  /** error: the data is refused; warning: it is said and passed over; silent: nothing is said. */
  readonly severity: 'error' | 'warning' | 'silent';
  /** In words, as the documentation has it. */
  readonly does: string;
}

export interface DataRule {
  readonly about: 'file' | 'picture' | 'object' | 'keypoint';
  readonly when: string;
  readonly training: Treatment;
  readonly evaluation: Treatment;
}

const refused: Treatment = { severity: 'error', does: 'refused' };
const leftOut: Treatment = { severity: 'warning', does: 'the object is left out' };
const keptAsItStands: Treatment = { severity: 'warning', does: 'as it stands' };
const counts: Treatment = { severity: 'silent', does: 'counts' };
const notAsked: Treatment = { severity: 'silent', does: '-' };
const said: Treatment = { severity: 'warning', does: 'said by `data check`' };

function alike(about: DataRule['about'], when: string, treatment: Treatment): DataRule {
  return { about, when, training: treatment, evaluation: treatment };
}

function unlike(about: DataRule['about'], when: string, training: Treatment, evaluation: Treatment): DataRule {
  return { about, when, training, evaluation };
}

const bothKept: Treatment = { severity: 'warning', does: 'both are kept' };

export const dataRules = {
  'json-syntax': alike('file', 'text that is no JSON', refused),
  'xml-syntax': alike('file', 'text that is no XML', refused),
  'json-not-finite': alike('file', 'NaN or Infinity for a number', refused),
  'top-level': alike('file', 'no object with images, annotations and categories', refused),
  'missing-field': alike('file', 'a field that is needed is missing', {
    severity: 'error',
    does: 'refused; where only numbers are compared, names and sizes of pictures may be missing',
  }),
  'wrong-value': alike('file', 'a field of another kind than expected', refused),
  'duplicate-id': alike('file', 'one id given twice', refused),
  'duplicate-name': alike('file', 'two categories, or two pictures, of one name', bothKept),
  'unknown-image': alike('file', 'an annotation of a picture that is not listed', refused),
  'unknown-category': alike('file', 'an annotation of a category that is not listed', refused),
  'category-ids': alike('file', 'detections whose `category_id` is not that of their `category_name`', {
    severity: 'warning',
    does: 'matched by name; refused where nothing has that name',
  }),
  'json-unfinished': alike('file', 'detections whose list has no end, as a killed prediction leaves them', {
    severity: 'warning',
    does: 'read as far as they go',
  }),
  'categories-differ': alike('file', 'categories of other names than those of `data.train`, or of the checkpoint', {
    severity: 'error',
    does: 'refused; other ids, or another order, of the same names are matched by name, and that is said',
  }),
  'partly-annotated': unlike(
    'file',
    'LVIS: each picture is annotated for some categories alone',
    { severity: 'silent', does: 'what is not annotated is background' },
    { severity: 'warning', does: "counted as COCO does: figures lie below LVIS' own" },
  ),
  'set-missing': alike('file', 'YOLO: a set that data.yaml names and that is not there', {
    severity: 'warning',
    does: 'left out where all sets are read; refused where it is asked for',
  }),
  'labels-alone': alike('file', 'YOLO: labels without a picture', { severity: 'warning', does: 'left out' }),
  more: alike('file', 'more warnings than are kept one by one', { severity: 'warning', does: 'counted' }),
  'unsafe-path': alike('picture', '`file_name` that is absolute, a web address, or leads out of the folder', refused),
  'link-outside': alike('picture', 'a link that leads out of the image folder', {
    severity: 'error',
    does: 'refused; followed with `data.followLinks`',
  }),
  'image-missing': alike('picture', 'no such file', refused),
  'image-damaged': alike('picture', 'cut, damaged, or no picture that can be read', refused),
  'image-size': alike('picture', 'another size than its entry says', refused),
  'image-empty': unlike(
    'picture',
    'without a usable object',
    { severity: 'warning', does: 'left out; background with `data.skipEmpty: false`' },
    counts,
  ),
  'no-usable-picture': unlike('picture', 'none is left', refused, notAsked),
  'duplicate-image': alike('picture', 'the same bytes as another', said),
  'near-duplicate-image': alike('picture', 'looks like another (`--near-duplicates`)', said),
  'bad-box': alike('object', 'box that is not four finite numbers', refused),
  'box-degenerate': unlike('object', 'box without width or height', leftOut, keptAsItStands),
  'box-outside': unlike('object', 'box wholly outside of the picture', leftOut, keptAsItStands),
  'box-clipped': unlike(
    'object',
    'box partly outside',
    { severity: 'warning', does: 'clipped to the picture' },
    keptAsItStands,
  ),
  'box-vanishes': unlike(
    'object',
    'a side of the box is below a millionth of the longer side of the picture, which float32 cannot tell from nothing',
    leftOut,
    counts,
  ),
  'box-small': unlike(
    'object',
    'box of at most one pixel a side, or `area` 0, with the conventions of Detectron',
    leftOut,
    counts,
  ),
  'box-tiny': unlike(
    'object',
    'a side of the box is below one pixel',
    { severity: 'warning', does: 'used, and said by `data check`' },
    counts,
  ),
  crowd: unlike('object', '`iscrowd: 1`', leftOut, { severity: 'silent', does: 'neither found nor missed' }),
  difficult: unlike('object', "`difficult` of PASCAL VOC, `ignore: 1` in COCO's form", leftOut, {
    severity: 'silent',
    does: 'VOC AP: neither found nor missed; COCO AP: counts',
  }),
  'bad-mask': alike('object', 'mask of another size than the picture, or that cannot be read', refused),
  'polygon-degenerate': alike('object', 'polygon of fewer than three corners', {
    severity: 'warning',
    does: 'the polygon is left out, never read as a box',
  }),
  'polygon-outside': unlike(
    'object',
    'polygon wholly outside of the picture',
    { severity: 'warning', does: 'the polygon is left out' },
    keptAsItStands,
  ),
  'mask-missing': unlike('object', 'no mask, in a model of masks', leftOut, {
    severity: 'error',
    does: 'refused before it begins',
  }),
  'duplicate-annotation': alike('object', 'image, category and box of another object', bothKept),
  'no-object': alike('object', "labelme's and CVAT's points and lines, and masks without a pixel", {
    severity: 'warning',
    does: 'left out',
  }),
  'bad-keypoints': alike('keypoint', 'not x, y, v for each point that the category names', refused),
  'keypoints-missing': unlike('keypoint', 'no category names keypoints, in a model of keypoints', refused, {
    severity: 'error',
    does: 'refused where there are not as many as the model finds',
  }),
  'keypoints-differ': unlike('keypoint', 'categories with other keypoints, in a model of keypoints', refused, {
    severity: 'error',
    does: 'refused where their number differs',
  }),
  'keypoints-unlabelled': unlike(
    'keypoint',
    'picture without a labelled keypoint, with `data.requireKeypoints`',
    { severity: 'warning', does: 'the picture is left out' },
    counts,
  ),
  'flip-one-sided': unlike(
    'keypoint',
    'a left point without a right one, or the reverse, and no flip pairs',
    { severity: 'error', does: 'refused where pictures are mirrored (`data.flip` above 0)' },
    { severity: 'error', does: 'refused where test-time augmentation mirrors' },
  ),
  'flip-unknown': unlike(
    'keypoint',
    'no name says left or right, and no flip pairs',
    { severity: 'warning', does: 'no point changes places in a mirrored picture' },
    { severity: 'silent', does: 'the same with test-time augmentation' },
  ),
} as const satisfies Readonly<Record<string, DataRule>>;

/** Stable names of the problems that annotation files and pictures have. */
export type DataIssueCode = keyof typeof dataRules;

/** The tables of the page on data, in Markdown, under their headings. */
export function formatDataRules(): string {
  const headings = { file: 'Files', picture: 'Pictures', object: 'Objects', keypoint: 'Keypoints' } as const;
  const rules = Object.entries<DataRule>(dataRules);
  return Object.entries(headings)
    .map(([about, heading]) => {
      const rows = rules
        .filter(([, rule]) => rule.about === about)
        .map(
          ([code, { when, training, evaluation }]) =>
            `| \`${code}\` | ${when} | ${training.does} | ${evaluation.does} |`,
        );
      return [
        `### ${heading}`,
        '',
        '| code | case | in training | in an evaluation |',
        '| --- | --- | --- | --- |',
        ...rows,
      ].join('\n');
    })
    .join('\n\n');
}
