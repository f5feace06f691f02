// The labels of Cityscapes (Cordts et al., CVPR 2016): facts of the data set as cityscapesScripts lists them
// (helpers/labels.py): names by number, which of them have single instances, and which count as void.
import type { Category } from './dataset.js';

/** By label id, 0 to 33. */
export const cityscapesLabelNames: readonly string[] = [
  ...['unlabeled', 'ego vehicle', 'rectification border', 'out of roi', 'static', 'dynamic', 'ground'],
  ...['road', 'sidewalk', 'parking', 'rail track', 'building', 'wall', 'fence', 'guard rail', 'bridge', 'tunnel'],
  ...['pole', 'polegroup', 'traffic light', 'traffic sign', 'vegetation', 'terrain', 'sky'],
  ...['person', 'rider', 'car', 'truck', 'bus', 'caravan', 'trailer', 'train', 'motorcycle', 'bicycle'],
];

/** Label ids whose pixels do not count in an evaluation. */
export const cityscapesVoidIds: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 9, 10, 14, 15, 16, 18, 29, 30];

/** Label ids of things that are annotated one by one; the void ones among them (caravan, trailer) are no categories. */
export const cityscapesInstanceIds: readonly number[] = [24, 25, 26, 27, 28, 29, 30, 31, 32, 33];

/** The eight classes of the instance task; category ids are Cityscapes' label ids. */
export const cityscapesCategories: readonly Category[] = cityscapesInstanceIds
  .filter((id) => !cityscapesVoidIds.includes(id))
  .map((id) => ({ id, name: cityscapesLabelNames[id]!, supercategory: id <= 25 ? 'human' : 'vehicle' }));
