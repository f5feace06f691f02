// Names of tensors as maskrcnn-benchmark's checkpoints have them.

/** One of ours, of a Mask R-CNN with a pyramid. */
export function theirName(name: string): string {
  return name
    .replace(/^backbone\.body\.(conv1|bn1)\./, 'backbone.body.stem.$1.')
    .replace(
      /^backbone\.fpn\.(inner|layer)_blocks\.(\d)\.0\./,
      (_, kind, level) => `backbone.fpn.fpn_${kind}${Number(level) + 1}.`,
    )
    .replace('rpn.head.conv.0.0.', 'rpn.head.conv.')
    .replace('roi_heads.box_head.', 'roi_heads.box.feature_extractor.')
    .replace(
      /roi_heads\.mask_head\.(\d)\.0\./,
      (_, place) => `roi_heads.mask.feature_extractor.mask_fcn${Number(place) + 1}.`,
    )
    .replace(/roi_heads\.(box|mask)_predictor\./, 'roi_heads.$1.predictor.');
}
