// Where Detectron's named data sets lie below data/, as the document of Detectron.pytorch lays them out
// (lib/datasets/dataset_catalog.py).

export interface DatasetFiles {
  readonly annotations: string;
  readonly images: string;
}

const coco = (images: string, annotations: string): DatasetFiles => ({
  annotations: `data/coco/annotations/${annotations}.json`,
  images: `data/coco/images/${images}`,
});

// Splits of 2014 and 2017: the folder of the pictures, and the ending of the annotation file.
const cocoSplits: readonly (readonly [name: string, folder: string, ending: string])[] = [
  ['2014_train', 'train2014', 'train2014'],
  ['2014_val', 'val2014', 'val2014'],
  ['2014_minival', 'val2014', 'minival2014'],
  ['2014_valminusminival', 'val2014', 'valminusminival2014'],
  ['2017_train', 'train2017', 'train2017'],
  ['2017_val', 'val2017', 'val2017'],
];

const voc = (name: string, year: number): readonly [string, DatasetFiles] => [
  name,
  { annotations: `data/VOC${year}/annotations/${name}.json`, images: `data/VOC${year}/JPEGImages` },
];

const cityscapes = (split: string): readonly [string, DatasetFiles] => [
  `cityscapes_fine_instanceonly_seg_${split}`,
  {
    annotations: `data/cityscapes/annotations/instancesonly_filtered_gtFine_${split}.json`,
    images: 'data/cityscapes/images',
  },
];

const catalog: ReadonlyMap<string, DatasetFiles> = new Map([
  ...cocoSplits.map(([name, folder, ending]) => [`coco_${name}`, coco(folder, `instances_${ending}`)] as const),
  ...cocoSplits.map(
    ([name, folder, ending]) => [`keypoints_coco_${name}`, coco(folder, `person_keypoints_${ending}`)] as const,
  ),
  ['coco_2015_test', coco('test2015', 'image_info_test2015')] as const,
  ['coco_2015_test-dev', coco('test2015', 'image_info_test-dev2015')] as const,
  ['coco_2017_test', coco('test2017', 'image_info_test2017')] as const,
  ['coco_2017_test-dev', coco('test2017', 'image_info_test-dev2017')] as const,
  voc('voc_2007_trainval', 2007),
  voc('voc_2007_test', 2007),
  voc('voc_2012_trainval', 2012),
  cityscapes('train'),
  cityscapes('val'),
  cityscapes('test'),
]);

export const datasetNames: readonly string[] = [...catalog.keys()];

/**
 * The files of the sets of one split; undefined for a name that is not in the catalog.
 * COCO's 2014 train and valminusminival sets together are its 2017 train set: one set where Detectron names two.
 */
export function datasetFiles(names: readonly string[]): DatasetFiles | undefined {
  const union = /^((?:keypoints_)?coco)_2014_train \1_2014_valminusminival$/.exec(names.join(' '));
  const name = union === null ? names[0] : `${union[1]}_2017_train`;
  if (name === undefined || (union === null && names.length > 1)) return undefined;
  return catalog.get(name);
}
