// Whether a picture in a batch is answered as it is alone, on the same canvas: what lies around a picture reaches its borders.
import type { PreparedBatch } from '@goshawk/core';
import { type NetworkObject, networkFeeds, networkObjects, type OnnxRuntime, SESSION_OPTIONS } from '@goshawk/runtime';

/** Of the objects of all pictures of a batch. */
export interface BatchAgreement {
  readonly pictures: number;
  readonly objects: number;
  /** Those that one side has and the other has not, in the same order. */
  readonly unmatched: number;
  /** Pixels of boxes; scores; probabilities of masks. */
  readonly largestDifference: { readonly box: number; readonly score: number; readonly mask: number };
}

export async function compareBatch(ort: OnnxRuntime, bytes: Uint8Array, batch: PreparedBatch): Promise<BatchAgreement> {
  const session = await ort.InferenceSession.create(bytes, SESSION_OPTIONS);
  const found = async (own: PreparedBatch): Promise<NetworkObject[][]> =>
    networkObjects(await session.run(networkFeeds(ort, session, own)), own.images.length);
  try {
    const together = await found(batch);
    const apart: NetworkObject[][] = [];
    for (const place of batch.images.keys()) apart.push((await found(singleOf(batch, place)))[0]!);
    return agreement(together, apart);
  } finally {
    await session.release();
  }
}

function singleOf({ pixels, images, ...canvas }: PreparedBatch, place: number): PreparedBatch {
  const length = canvas.width * canvas.height * 3;
  const own = pixels.slice(place * length, (place + 1) * length);
  return { ...canvas, pixels: own, images: [images[place]!] };
}

function agreement(
  together: readonly (readonly NetworkObject[])[],
  apart: readonly (readonly NetworkObject[])[],
): BatchAgreement {
  let [objects, unmatched] = [0, 0];
  const largest = { box: 0, score: 0, mask: 0 };
  together.forEach((own, picture) => {
    const others = apart[picture]!;
    objects += own.length;
    unmatched += Math.abs(own.length - others.length);
    own.slice(0, others.length).forEach((object, i) => {
      const other = others[i]!;
      if (object.label !== other.label) {
        unmatched++;
        return;
      }
      largest.score = Math.max(largest.score, Math.abs(object.score - other.score));
      largest.box = Math.max(largest.box, farthest(object.box, other.box));
      if (object.mask && other.mask)
        largest.mask = Math.max(largest.mask, farthest(object.mask.cells, other.mask.cells));
    });
  });
  return { pictures: together.length, objects, unmatched, largestDifference: largest };
}

function farthest(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let most = 0;
  for (let i = 0; i < a.length; i++) most = Math.max(most, Math.abs(a[i]! - b[i]!));
  return most;
}
