// What the second stage's candidates are called when samples are drawn: proposals by the anchors that they come of, the objects' own boxes
// by the order of the annotations. The order of scores would do for one machine alone: another rounding moves neighbours in it.
import { arange, ops, type Tensor } from '@goshawk/torch';
import type { PaddedBoxes, PaddedObjects } from '../padded.js';
import type { Targets } from '../structures.js';

/** What a first stage or a file proposes. */
export interface ProposedBoxes {
  /** [P, 4] xyxy in network pixels an image. */
  readonly boxes: readonly Tensor[];
  /** [P] int64 number of the anchor of each; absent: their order is the file's. */
  readonly anchorNumbers?: readonly Tensor[];
}

/** [P + G] int64 for the proposals and the objects of each image. */
export function candidateNames({ boxes, anchorNumbers }: ProposedBoxes, targets: readonly Targets[]): Tensor[] {
  return boxes.map((own, image) => {
    const numbers = anchorNumbers?.[image] ?? counted(own.size(0), own);
    return ops.cat([numbers, objectNames(targets[image]!.boxes.size(0), own)]);
  });
}

/** [N, P + G] int64: the same of all images at once. */
export function paddedCandidateNames({ boxes, anchorNumbers }: PaddedBoxes, objects: PaddedObjects): Tensor {
  const [images = 0, count = 0] = boxes.shape;
  const everywhere = (names: Tensor): Tensor => ops.expand(names, [images, names.size(0)]);
  const numbers = anchorNumbers ?? everywhere(counted(count, boxes));
  return ops.cat([numbers, everywhere(objectNames(objects.boxes.size(1), boxes))], { dim: 1 });
}

function counted(count: number, like: Tensor): Tensor {
  return arange(0, count, { dtype: 'int64', device: like.device });
}

/** -1, -2, ...: no anchor's. */
function objectNames(count: number, like: Tensor): Tensor {
  return ops.bitwise_not(counted(count, like));
}
