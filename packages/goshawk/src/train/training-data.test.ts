import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import sharp from 'sharp';
import { checkPictureHeaders, decodeSample, writeProposals } from '../data/index.js';
import { inputError } from '../testing/input-error.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { FASTER_RCNN, tinyConfig } from '../testing/tiny-detector.js';
import { type TrainOptions, train } from './trainer.js';
import { inCategoriesOf, openSplit } from './training-data.js';

const SETS = ['train.iterations=4', 'train.batchSize=2', 'train.optimizer.lr=0.01'];

let folder: string;
let data: TinyDataset;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-training-data-'));
  data = await writeTinyDataset(folder);
});
after(() => rmSync(folder, { recursive: true }));

/** Trains without writing anything. */
function run({ sets = [], ...options }: Partial<TrainOptions> & { sets?: readonly string[] } = {}) {
  const config = tinyConfig([...SETS, ...data.sets, ...sets]);
  return train({ config, output: join(folder, 'nothing'), save: false, ...options });
}

describe('what a training learns from', () => {
  test('takes pictures without objects where asked', async () => {
    const seen: number[] = [];
    await run({
      sets: ['data.skipEmpty=false', 'train.iterations=4'],
      observer: { onStart: ({ trainImages }) => seen.push(trainImages), onStep: (step) => seen.push(step.totalLoss) },
    });
    assert.equal(seen[0], 4);
    assert.ok(seen.every(Number.isFinite));
  });

  test('is finite with a box that float32 cannot tell from nothing, which is left out and said', async () => {
    const content = JSON.parse(readFileSync(data.annotations, 'utf8'));
    content.annotations.push({ ...content.annotations[0], id: 99, bbox: [60, 10, 1e-9, 20], area: 2e-8 });
    const file = join(folder, 'vanishing.json');
    writeFileSync(file, JSON.stringify(content));
    const losses: number[] = [];
    const said: string[] = [];
    await run({
      sets: [`data.train.annotations=${file}`],
      observer: {
        onStart: ({ warnings }) => said.push(...warnings),
        onStep: (step) => losses.push(...Object.values(step.losses)),
      },
    });
    assert.ok(losses.length > 0 && losses.every(Number.isFinite), `${losses}`);
    assert.match(
      said.join('\n'),
      /1 of \d+ objects \(annotation id 99\) is left out of training, with a box that has no area .*float32/,
    );
  });

  test("learns from polygons and boxes that hold their last pixel with Detectron's conventions", async () => {
    const losses: Record<string, number>[] = [];
    await run({
      sets: ['model.conventions=detectron', 'train.iterations=4'],
      observer: { onStep: (step) => losses.push({ ...step.losses }) },
    });
    assert.ok(losses.every((terms) => terms.loss_mask! > 0 && Object.values(terms).every(Number.isFinite)));
  });

  for (const conventions of ['torchvision', 'detectron'])
    test(`learns keypoints with ${conventions}'s conventions`, async () => {
      const people = await writeTinyDataset(folder, { name: 'keypoints.json', keypoints: true });
      const losses: Record<string, number>[] = [];
      const head = ['model.keypointHead.channels=[16]', 'model.keypointHead.hiddenChannels=16'];
      const sets = ['model.type=keypoint_rcnn', 'model.maskHead=null', ...head, 'data.requireKeypoints=true'];
      await run({
        sets: [...people.sets, 'data.val=null', ...sets, `model.conventions=${conventions}`, 'train.iterations=4'],
        observer: { onStep: (step) => losses.push({ ...step.losses }) },
      });
      assert.ok(losses.some((terms) => terms.loss_keypoint! > 0));
      assert.ok(losses.every((terms) => Object.values(terms).every(Number.isFinite)));
    });

  test('trains and evaluates on stored proposals, which must be there for every picture', async () => {
    const file = join(folder, 'proposals.safetensors');
    const boxes = Float32Array.of(5, 5, 40, 35, 45, 15, 85, 60, 0, 0, 60, 60);
    const proposals = [1, 2, 3, 4].map((imageId) => ({ imageId, boxes, scores: Float32Array.of(0.9, 0.8, 0.1) }));
    writeProposals(file, proposals);
    const stored = ['model.type=faster_rcnn', 'model.maskHead=null', 'model.proposals=stored'];
    const sets = [...stored, 'train.iterations=3', `data.train.proposals=${file}`];
    const losses: string[] = [];
    const result = await run({
      sets: [...sets, `data.val.proposals=${file}`],
      observer: { onStep: (step) => losses.push(Object.keys(step.losses).toSorted().join()) },
    });
    assert.deepEqual(new Set(losses), new Set(['loss_box_reg,loss_classifier']));
    assert.deepEqual([...result.evaluations!.keys()], ['bbox']);
    await assert.rejects(
      run({ sets }),
      inputError(/^data\.val\.proposals: is not set, but model\.proposals is stored: name the file/),
    );
    writeProposals(file, proposals.slice(0, 3));
    await assert.rejects(
      run({ sets: [...sets, 'data.skipEmpty=false', 'data.val=null'] }),
      inputError(
        /proposals\.safetensors: has no proposals for 1 of the 4 images of .*train\.json \(the first is id 4\)/,
      ),
    );
  });
});

test('data.exifOrientation decides in training and in evaluation what the size of a turned picture is', async () => {
  const white = { create: { width: 96, height: 64, channels: 3, background: 'white' } } as const;
  await sharp(white).withMetadata({ orientation: 6 }).jpeg().toFile(join(data.images, 'turned.jpg'));
  const file = join(folder, 'turned.json');
  const images = [{ id: 1, file_name: 'turned.jpg', width: 96, height: 64 }];
  const annotations = [{ id: 1, image_id: 1, category_id: 2, bbox: [8, 8, 40, 30], area: 1200, iscrowd: 0 }];
  writeFileSync(file, JSON.stringify({ images, annotations, categories: [{ id: 2, name: 'red' }] }));
  const opened = (exifOrientation: string, purpose: 'training' | 'evaluation') => {
    const sets = [
      ...data.sets,
      ...FASTER_RCNN,
      `data.train.annotations=${file}`,
      `data.exifOrientation=${exifOrientation}`,
    ];
    return openSplit(tinyConfig(sets), 'train', { purpose });
  };
  for (const purpose of ['training', 'evaluation'] as const) {
    const asStored = opened('ignore', purpose);
    assert.deepEqual(await checkPictureHeaders(asStored), []);
    assert.equal((await decodeSample(asStored.samples[0]!, asStored.exifOrientation)).width, 96);
    const asShown = opened('apply', purpose);
    assert.match((await checkPictureHeaders(asShown))[0]!.message, /set data\.exifOrientation to ignore/);
    await assert.rejects(decodeSample(asShown.samples[0]!, asShown.exifOrientation), /data\.exifOrientation to ignore/);
  }
});

test('validation data is matched by name where its ids are others, and that is said', async () => {
  const opened = (annotations: string) => {
    const config = tinyConfig([...SETS, ...data.sets, `data.val.annotations=${annotations}`]);
    const open = (name: 'train' | 'val', purpose: 'training' | 'evaluation') => openSplit(config, name, { purpose });
    return inCategoriesOf(open('train', 'training'), open('val', 'evaluation'));
  };
  const same = opened(data.annotations);
  const exchanged = await writeTinyDataset(folder, {
    name: 'exchanged.json',
    categories: [
      { id: 5, name: 'red' },
      { id: 2, name: 'blue' },
    ],
  });
  const val = opened(exchanged.annotations);
  assert.deepEqual(val.annotations, same.annotations);
  assert.deepEqual(val.samples, same.samples);
  assert.deepEqual(same.warnings, []);
  assert.match(
    val.warnings.join(),
    /exchanged\.json: its categories have other ids than in .*train\.json.*matched by name/,
  );
});

describe('train refuses', () => {
  test('validation data of other categories', async () => {
    const other = await writeTinyDataset(folder, {
      name: 'val.json',
      categories: [
        { id: 2, name: 'red' },
        { id: 5, name: 'green' },
      ],
    });
    await assert.rejects(
      run({ sets: [`data.val.annotations=${other.annotations}`] }),
      inputError(
        /val\.json: its categories differ from .*train\.json's \(.*'green' \(id 5\) is there and not here\): use/,
      ),
    );
  });

  test('a number of classes that the data does not have', async () => {
    await assert.rejects(
      run({ sets: ['model.classes=3'] }),
      inputError(/^model\.classes: is 3, but .*train\.json has 2 categories: set it to from-data$/),
    );
  });

  test('annotations that are not there, naming the key', async () => {
    await assert.rejects(
      run({ sets: ['data.val.annotations=none.json'] }),
      inputError(
        /^data\.val\.annotations: none\.json: not found: check the path, or give another with --set data\.val/,
      ),
    );
  });

  test('a config without training data', async () => {
    await assert.rejects(
      train({ config: tinyConfig(SETS), output: folder, save: false }),
      inputError(/^data\.train: is not set: pass --set/),
    );
  });
});
