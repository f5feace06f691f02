// The objects of a picture as a list of boxes with fields, for data sets that are written so.
import type { BoxList, SegmentationMasks } from '@goshawk/core';
import type { CustomBox, CustomItem, CustomMask } from './custom-dataset.js';

/** Fields that a data set reads; a list may have others beside them. */
export type ObjectFields = {
  /** 1 for the first category. */
  readonly labels: Int32Array | readonly number[];
  readonly masks?: SegmentationMasks;
  /** Whether each is a region of many objects. */
  readonly crowd?: readonly boolean[];
};

/** What `item` of a data set gives: `item: (index) => itemOfBoxes(boxes)`. */
export function itemOfBoxes<Fields extends ObjectFields & BoxList['fields']>(list: BoxList<Fields>): CustomItem {
  const { labels, masks, crowd } = list.fields;
  return {
    boxes: Array.from({ length: list.length }, (_, index): CustomBox => list.box(index)),
    labels: Array.from(labels),
    ...(masks && { masks: Array.from({ length: masks.length }, (_, index) => maskOf(masks, index)) }),
    ...(crowd && { crowd }),
  };
}

function maskOf(masks: SegmentationMasks, index: number): CustomMask {
  return masks.kind === 'polygons' ? masks.polygons(index) : masks.rle(index);
}
