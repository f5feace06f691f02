// LVIS' files (lvisdataset.org, format of v1), which are COCO's with other names of pictures and lists of what was looked for.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { filterDataset, mergeDatasets } from '../dataset-edits/index.js';
import { inputErrorOf } from '../testing/input-error.js';
import { parseCoco } from './coco.js';
import { formatCoco } from './format-coco.js';

const image = {
  id: 397133,
  width: 640,
  height: 427,
  coco_url: 'http://images.cocodataset.org/val2017/000000397133.jpg',
  flickr_url: 'http://farm7.staticflickr.com/6116/6255196340_da26cf2c9e_z.jpg',
  date_captured: '2013-11-14 17:02:52',
  license: 3,
  neg_category_ids: [30, 7],
  not_exhaustive_category_ids: [20],
};
const categories = [
  {
    id: 7,
    name: 'apple',
    synset: 'apple.n.01',
    synonyms: ['apple'],
    def: 'a fruit',
    frequency: 'f',
    image_count: 1207,
    instance_count: 12451,
  },
  {
    id: 20,
    name: 'ashtray',
    synset: 'ashtray.n.01',
    synonyms: ['ashtray'],
    def: 'a receptacle',
    frequency: 'c',
    image_count: 45,
    instance_count: 50,
  },
  {
    id: 30,
    name: 'awning',
    synset: 'awning.n.01',
    synonyms: ['awning'],
    def: 'a canopy',
    frequency: 'r',
    image_count: 7,
    instance_count: 9,
  },
];
const annotation = {
  id: 1,
  image_id: 397133,
  category_id: 20,
  bbox: [10, 20, 30, 40],
  area: 1200,
  segmentation: [[10, 20, 40, 20, 40, 60, 10, 60]],
};
const text = (more: object = {}) =>
  JSON.stringify({ images: [{ ...image, ...more }], categories, annotations: [annotation] });
const parse = (content: string, purpose?: 'evaluation') =>
  parseCoco(content, { fileName: 'lvis_v1_val.json', requireFiles: true, ...(purpose && { purpose }) });

describe('LVIS', () => {
  test('pictures are named after their addresses, below the folder that holds train2017 and val2017', () => {
    const { dataset, warnings } = parse(text());
    assert.deepEqual(dataset.images, [
      {
        id: 397133,
        fileName: 'val2017/000000397133.jpg',
        width: 640,
        height: 427,
        lookedFor: { absent: [30, 7], notAll: [20] },
      },
    ]);
    assert.deepEqual(
      dataset.categories.map(({ name, frequency }) => [name, frequency]),
      [
        ['apple', 'f'],
        ['ashtray', 'c'],
        ['awning', 'r'],
      ],
    );
    assert.equal(dataset.annotations[0]!.isCrowd, false);
    assert.deepEqual(warnings, []);
    assert.equal(parse(text({ file_name: 'mine.jpg' })).dataset.images[0]!.fileName, 'mine.jpg');
  });

  test('an evaluation says that it counts as COCO does', () => {
    const [warning] = parse(text(), 'evaluation').warnings;
    assert.match(
      warning!.message,
      /images are annotated for some of the categories each \(LVIS; 1 of 1\): .*below LVIS' own/,
    );
  });

  test('an address cannot lead out of the folder, and lists have to be lists', () => {
    const url = { coco_url: 'http://images.cocodataset.org/../passwd' };
    assert.match(
      inputErrorOf(() => parse(text(url))).message,
      /file_name \(image id 397133\) is "\.\.\/passwd", which leads outside/,
    );
    assert.match(
      inputErrorOf(() => parse(text({ neg_category_ids: ['a'] }))).message,
      /lvis_v1_val\.json: images\[0\]\.neg_category_ids \(image id 397133\) is \["a"\] \(expected a list of category ids\)/,
    );
  });

  test('written and read again, filtered and merged, nothing of it is lost', () => {
    const { dataset } = parse(text());
    assert.deepEqual(parse(formatCoco(dataset)).dataset, dataset);
    const filtered = filterDataset(dataset, { without: ['apple'] });
    assert.deepEqual(filtered.images[0]!.lookedFor, { absent: [30], notAll: [20] });
    const merged = mergeDatasets([
      { name: 'a', dataset: filtered },
      { name: 'b', dataset },
    ]).dataset;
    const name = (id: number) => merged.categories.find((category) => category.id === id)?.name;
    assert.deepEqual(merged.images[0]!.lookedFor!.absent.map(name), ['awning', 'apple']);
    assert.deepEqual(merged.images[0]!.lookedFor!.notAll.map(name), ['ashtray']);
  });
});
