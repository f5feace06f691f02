// Which proposals the keypoint head learns from.
import { ops, type Tensor } from '@goshawk/torch';
import type { BoxHeadConfig } from '../../config/index.js';
import type { Conventions } from '../conventions.js';
import { drawFrom, indicesWhere, matchBoxes, type PlaceDraws } from '../sampling.js';
import { requiredPart, type Scale, type Targets } from '../structures.js';
import { hasKeypointInside } from './keypoint-loss.js';
import { type RoiSample, toSecondStage } from './sample-proposals.js';

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
 * The positives of the box head, whether a keypoint of their object lies inside them or not (torchvision's RoIHeads).
 */
export function keypointsOfPositives(
  { rois, boxes, objects, positives }: RoiSample,
  target: Targets,
  scale: Scale,
  conventions: Conventions,
): KeypointSample {
  const first = (values: Tensor): Tensor => ops.narrow(values, 0, 0, positives);
  return {
    rois: first(rois),
    boxes: first(boxes),
    keypoints: ops.index_select(keypointsInSecondStage(target, scale, conventions), 0, first(objects)),
  };
}

/**
 * A draw of its own, beside that of the box head: proposals that find an object of which a visible keypoint lies inside
 * them (Detectron's add_keypoint_rcnn_blobs) or inside its own box (maskrcnn-benchmark's keypoint_head/loss.py).
 * @param proposals [P, 4] xyxy in network pixels; the objects' own boxes take part too
 */
export function sampleKeypoints(
  proposals: Tensor,
  target: Targets,
  scale: Scale,
  box: Pick<BoxHeadConfig, 'foregroundIou' | 'backgroundIou' | 'batchSizePerImage' | 'positiveFraction'>,
  conventions: Conventions,
  draws: PlaceDraws,
): KeypointSample {
  const keypoints = keypointsInSecondStage(target, scale, conventions);
  const candidates = ops.cat([proposals, target.boxes]);
  const measured = toSecondStage(candidates, scale, conventions);
  const objectBoxes = toSecondStage(target.boxes, scale, conventions);
  const matches = matchBoxes(objectBoxes, measured, {
    foregroundIou: box.foregroundIou,
    backgroundIou: box.backgroundIou,
    allowLowQuality: false,
    convention: conventions.boxes,
  });
  const positive = indicesWhere(ops.ge(matches, 0));
  const boxes = ops.index_select(measured, 0, positive);
  const objects = ops.index_select(matches, 0, positive);
  const own = ops.index_select(keypoints, 0, objects);
  const holders = conventions.keypointRois === 'own_draw_by_object' ? ops.index_select(objectBoxes, 0, objects) : boxes;
  const seen = positive.size(0) > 0 ? indicesWhere(hasKeypointInside(own, holders)) : positive;
  const drawn = drawFrom(seen, Math.min(keypointRoiLimit(box), seen.size(0)), draws);
  return {
    rois: ops.index_select(candidates, 0, ops.index_select(positive, 0, drawn)),
    boxes: ops.index_select(boxes, 0, drawn),
    keypoints: ops.index_select(own, 0, drawn),
  };
}

/** [G, K, 3] keypoints of an image's objects in the pixels that the conventions measure the second stage in. */
function keypointsInSecondStage(target: Targets, scale: Scale, conventions: Conventions): Tensor {
  const keypoints = requiredPart(target, 'keypoints');
  return conventions.secondStage === 'network' ? keypoints : keypointsToImage(keypoints, scale);
}

/** [G, K, 3] keypoints of network pixels in image pixels. */
function keypointsToImage(keypoints: Tensor, { x, y }: Scale): Tensor {
  const [column, row, visibility] = ops.unbind(keypoints, { dim: 2 }) as [Tensor, Tensor, Tensor];
  return ops.stack([ops.div(column, x), ops.div(row, y), visibility], { dim: 2 });
}
