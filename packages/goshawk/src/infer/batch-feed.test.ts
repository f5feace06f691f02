import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { liveTensors } from '@goshawk/torch';
import type { Batch, Loader, SamplerState } from '../data/index.js';
import { BatchFeed, type BatchFeedOptions } from './batch-feed.js';

/** Batches of one picture whose pixels are its number; what is no number goes wrong. */
function loaderOf(contents: readonly (number | Error | 'empty')[]) {
  let position = 0;
  const released: number[] = [];
  const batchOf = (content: number | 'empty', place: number): Batch => {
    const count = content === 'empty' ? 0 : 1;
    return {
      pixels: new Float32Array(count * 2 * 3).fill(Number(content)),
      height: 1,
      width: 2,
      images: Array.from({ length: count }, () => ({
        turn: 0,
        imageId: place,
        fileName: `${content}.png`,
        width: 2,
        height: 1,
        originalWidth: 2,
        originalHeight: 1,
        scaleX: 1,
        scaleY: 1,
        flipped: false,
      })),
      targets: Array.from({ length: count }, () => ({
        boxes: Float32Array.of(0, 0, 1, 1),
        classes: Int32Array.of(1),
        areas: Float32Array.of(1),
        annotationIds: [1],
      })),
      places: [0],
      leftOut: [],
      release: () => void (released.includes(place) || released.push(place)),
    };
  };
  const loader: Loader = {
    async next() {
      const place = position++;
      const content = contents[place];
      if (content === undefined) return { done: true, value: undefined };
      if (content instanceof Error) throw content;
      return { done: false, value: batchOf(content, place) };
    },
    return: async () => ({ done: true, value: undefined }),
    [Symbol.asyncIterator]: () => loader,
    state: () => ({ position }) as unknown as SamplerState,
    waitSeconds: 0,
    close: async () => undefined,
  };
  return { loader, released, asked: () => position };
}

const positionOf = (feed: BatchFeed): number => (feed.state() as unknown as { position: number }).position;
const open = (loader: Loader, options: Partial<BatchFeedOptions> = {}) =>
  new BatchFeed(loader, { device: 'cpu', targets: true, ...options });

describe('BatchFeed', () => {
  for (const ahead of [false, true])
    test(`gives the batches in order and where the loader stands behind each, ${ahead ? 'one ahead' : 'as asked'}`, async () => {
      const { loader, asked } = loaderOf([1, 2, 'empty', 3]);
      const feed = open(loader, { ahead, gathered: ahead });
      const seen: unknown[] = [];
      assert.equal(positionOf(feed), 0);
      for (let fed = await feed.next(); fed; fed = await feed.next()) {
        seen.push([positionOf(feed), fed.tensors?.images.pixels.toNumbers()[0], fed.tensors?.targets.length]);
        await feed.lookAhead();
        // What comes next is on its way, and does not count as done.
        assert.equal(asked(), positionOf(feed) + (ahead ? 1 : 0));
        fed.release();
      }
      assert.deepEqual(seen, [
        [1, 1, 1],
        [2, 2, 1],
        [3, undefined, undefined],
        [4, 3, 1],
      ]);
    });

  test('tells what is wrong with a batch in its turn', async () => {
    const { loader } = loaderOf([1, new InputError('image-invalid', '2.png: is damaged')]);
    const feed = open(loader, { ahead: true });
    (await feed.next())!.release();
    await feed.lookAhead();
    await feed.lookAhead();
    assert.equal(positionOf(feed), 1);
    await assert.rejects(feed.next(), /2\.png: is damaged/);
    assert.equal(positionOf(feed), 1);
    await feed.close();
  });

  test("gives the loader's memory back at once where all was gathered, else with the batch", async () => {
    for (const gathered of [true, false]) {
      const { loader, released } = loaderOf([1]);
      const fed = (await open(loader, { gathered }).next())!;
      assert.deepEqual(released, gathered ? [0] : []);
      fed.release();
      assert.deepEqual(released, [0]);
    }
  });

  test('leaves no tensor behind, nor the one that nobody asked for', async () => {
    const alive = liveTensors();
    const { loader, released } = loaderOf([1, 2, 3]);
    const feed = open(loader, { ahead: true, targets: false });
    const fed = (await feed.next())!;
    assert.deepEqual(fed.tensors!.targets, []);
    await feed.lookAhead();
    fed.release();
    assert.ok(liveTensors() > alive);
    await feed.close();
    assert.equal(liveTensors(), alive);
    assert.deepEqual(released, [0, 1]);
  });
});
