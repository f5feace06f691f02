// RoICrop: a bilinear crop of each RoI to twice the wanted size and the maximum of every 2x2 cells (jwyang/faster-rcnn.pytorch
// after Spatial Transformer Networks, Jaderberg et al. 2015). Corner samples lie on the RoI's corners.
import { ops, type Tensor } from '@goshawk/torch';
import type { Sizing } from '../sizing.js';

// The engine's numbers for bilinear samples and zeros outside of the features.
const BILINEAR = 0;
const ZEROS = 0;

/**
 * @param input [N, C, H, W]
 * @param rois [K, 5] rows of batch index, x1, y1, x2, y2 in image pixels
 * @param sizing of fixed size: as many RoIs of each image, one image after another
 * @returns [K, C, outputSize, outputSize]
 */
export function roiCrop(
  input: Tensor,
  rois: Tensor,
  { spatialScale, outputSize }: { readonly spatialScale: number; readonly outputSize: number },
  sizing: Sizing = 'exact',
): Tensor {
  const [images = 0, channels = 0, height = 0, width = 0] = input.shape;
  const side = outputSize * 2;
  const along = (from: Tensor, to: Tensor, cells: number): Tensor => {
    // -1 and 1 are the middles of the first and last cell.
    const steps = ops.linspace(0, 1, side, { device: input.device });
    const places = ops.add(
      ops.unsqueeze(from, 1),
      ops.mul(ops.unsqueeze(ops.sub(to, from), 1), ops.unsqueeze(steps, 0)),
    );
    return ops.sub(ops.mul(ops.mul(places, spatialScale), 2 / Math.max(cells - 1, 1)), 1);
  };
  const cropsOf = (image: number, own: Tensor): Tensor => {
    const count = own.size(0);
    const [, x1, y1, x2, y2] = ops.unbind(own, { dim: 1 }) as Tensor[];
    const columns = ops.expand(ops.unsqueeze(along(x1!, x2!, width), 1), [count, side, side]);
    const lines = ops.expand(ops.unsqueeze(along(y1!, y2!, height), 2), [count, side, side]);
    // All RoIs of an image as one tall grid: the features are not repeated.
    const grid = ops.view(ops.stack([columns, lines], { dim: 3 }), [1, count * side, side, 2]);
    const sampled = ops.grid_sampler(ops.narrow(input, 0, image, 1), grid.to(input.dtype), BILINEAR, ZEROS, true);
    const perRoi = ops.permute(ops.view(sampled.contiguous(), [channels, count, side, side]), [1, 0, 2, 3]);
    return ops.max_pool2d(perRoi, [2, 2], { stride: [2, 2] });
  };
  if (sizing === 'fixed') {
    const count = rois.size(0) / images;
    return ops.cat(
      Array.from({ length: images }, (_, image) => cropsOf(image, ops.narrow(rois, 0, image * count, count))),
    );
  }
  const crops: Tensor[] = [];
  const places: Tensor[] = [];
  for (let image = 0; image < images; image++) {
    const own = ops.squeeze(ops.nonzero(ops.eq(ops.select(rois, 1, 0), image)), 1);
    if (own.size(0) === 0) continue;
    crops.push(cropsOf(image, ops.index_select(rois, 0, own)));
    places.push(own);
  }
  if (crops.length === 0) return ops.new_zeros(input, [0, channels, outputSize, outputSize]);
  return ops.index_select(ops.cat(crops), 0, ops.argsort(ops.cat(places)));
}
