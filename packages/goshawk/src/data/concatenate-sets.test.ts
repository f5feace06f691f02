import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Dataset } from '@goshawk/core';
import { concatenateSets } from './concatenate-sets.js';
import { type DetectionDataset, examineDataset } from './dataset.js';

/** Pictures with an object each, numbered from 1 as in any file. */
function setOf(name: string, pictures: number): DetectionDataset {
  const ids = Array.from({ length: pictures }, (_, i) => i + 1);
  const dataset: Dataset = {
    categories: [{ id: 3, name: 'cup' }],
    images: ids.map((id) => ({ id, fileName: `${name}-${id}.jpg`, width: 20, height: 10 })),
    annotations: ids.map((id) => ({
      id,
      imageId: id,
      categoryId: 3,
      bbox: [1, 1, 4, 5],
      area: 20,
      isCrowd: false,
    })) as unknown as Dataset['annotations'],
  };
  return examineDataset(dataset, { annotations: name, images: undefined }).opened;
}

const files = ({ samples }: DetectionDataset) => samples.map(({ image }) => image.fileName);

test('data sets follow one another, each as often as it is repeated', () => {
  const both = concatenateSets([
    { dataset: setOf('a', 2), repeat: 1 },
    { dataset: setOf('b', 1), repeat: 3 },
  ]);
  assert.deepEqual(files(both), ['a-1.jpg', 'a-2.jpg', 'b-1.jpg', 'b-1.jpg', 'b-1.jpg']);
  assert.equal(both.fileName, 'a + b');
  assert.equal(both.counts.images, 3);
});

test('no two pictures or annotations of them have one id', () => {
  const both = concatenateSets([
    { dataset: setOf('a', 3), repeat: 1 },
    { dataset: setOf('b', 2), repeat: 2 },
  ]);
  const { images, annotations } = both.annotations;
  assert.equal(new Set(images.map(({ id }) => id)).size, 5);
  assert.equal(new Set(annotations.map(({ id }) => id)).size, 5);
  for (const { image, annotations: own } of both.samples)
    assert.deepEqual(
      own.map(({ imageId }) => images.find(({ id }) => id === imageId)?.fileName),
      [image.fileName],
    );
  assert.deepEqual(
    both.pictures.map(({ index }) => index),
    [0, 1, 2, 3, 4],
  );
});

test('stored proposals stay with their pictures', () => {
  const withProposals = (name: string, value: number): DetectionDataset => ({
    ...setOf(name, 1),
    proposals: new Map([[1, { imageId: 1, boxes: Float32Array.of(0, 0, value, value), scores: Float32Array.of(1) }]]),
  });
  const both = concatenateSets([
    { dataset: withProposals('a', 4), repeat: 1 },
    { dataset: withProposals('b', 7), repeat: 1 },
  ]);
  assert.deepEqual(
    both.samples.map(({ image }) => both.proposals?.get(image.id)?.boxes[2]),
    [4, 7],
  );
});

test('one data set that is not repeated stays as it is', () => {
  const dataset = setOf('a', 2);
  assert.equal(concatenateSets([{ dataset, repeat: 1 }]), dataset);
  assert.equal(concatenateSets([{ dataset, repeat: 2 }]).samples.length, 4);
});
