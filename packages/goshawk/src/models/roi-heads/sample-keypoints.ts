// Which proposals the keypoint head learns from.
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import type { Conventions } from '../conventions.js';
import { type Draws, drawFrom, indicesWhere, matchBoxes } from '../sampling.js';
import { requiredPart, type Scale, type Targets } from '../structures.js';
import { hasKeypointInside } from './keypoint-loss.js';
import { toSecondStage } from './sample-proposals.js';

/** What the keypoint head learns from in one image. */
export interface KeypointSample {
  /** [R, 4] xyxy in network pixels. */
  readonly rois: Tensor;
  /** [R, 4] the same in the pixels that the conventions measure the second stage in. */
  readonly boxes: Tensor;
  /** [R, K, 3] x, y in these pixels and the visibility of each one's object. */
  readonly keypoints: Tensor;
}

/** How many RoIs of an image the keypoint head learns from at most. */
export function keypointRoiLimit(box: Pick<BoxHeadConfig, 'batchSizePerImage' | 'positiveFraction'>): number {
  return Math.round(box.batchSizePerImage * box.positiveFraction);
}

/**
 * A draw of its own, beside that of the box head: proposals that find an object of which a visible keypoint lies inside
 * them (Detectron's add_keypoint_rcnn_blobs).
 * @param proposals [P, 4] xyxy in network pixels; the objects' own boxes take part too
 */
export function sampleKeypoints(
  proposals: Tensor,
  target: Targets,
  scale: Scale,
  box: Pick<BoxHeadConfig, 'foregroundIou' | 'backgroundIou' | 'batchSizePerImage' | 'positiveFraction'>,
  conventions: Conventions,
  draws: Draws,
): KeypointSample {
  const keypoints = requiredPart(target, 'keypoints');
  const candidates = ops.cat([proposals, target.boxes]);
  const measured = toSecondStage(candidates, scale, conventions);
  const matches = matchBoxes(toSecondStage(target.boxes, scale, conventions), measured, {
    foregroundIou: box.foregroundIou,
    backgroundIou: box.backgroundIou,
    allowLowQuality: false,
    convention: conventions.boxes,
  });
  const positive = indicesWhere(ops.ge(matches, 0));
  const boxes = ops.index_select(measured, 0, positive);
  const own = ops.index_select(
    conventions.secondStage === 'network' ? keypoints : keypointsToImage(keypoints, scale),
    0,
    ops.index_select(matches, 0, positive),
  );
  const seen = positive.size(0) > 0 ? indicesWhere(hasKeypointInside(own, boxes)) : positive;
  const drawn = drawFrom(seen, Math.min(keypointRoiLimit(box), seen.size(0)), draws);
  return {
    rois: ops.index_select(candidates, 0, ops.index_select(positive, 0, drawn)),
    boxes: ops.index_select(boxes, 0, drawn),
    keypoints: ops.index_select(own, 0, drawn),
  };
}

/** [G, K, 3] keypoints of network pixels in image pixels. */
function keypointsToImage(keypoints: Tensor, { x, y }: Scale): Tensor {
  const [column, row, visibility] = ops.unbind(keypoints, { dim: 2 }) as [Tensor, Tensor, Tensor];
  return ops.stack([ops.div(column, x), ops.div(row, y), visibility], { dim: 2 });
}
