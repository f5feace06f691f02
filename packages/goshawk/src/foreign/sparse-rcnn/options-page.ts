// What becomes of each of sparse_rcnnv1's keys, as tables for docs/sparse-rcnn.md, made from the keys themselves.
import { optionsPage } from '../shared/options-page.js';
import { BACKBONES } from './backbones.js';
import { sparseRcnnKeys } from './keys.js';

export function sparseRcnnOptions(): string {
  const partNames = { 'model.backbone': Object.keys(BACKBONES) };
  // Below a heading of the page.
  return optionsPage({ introduction: '', tree: sparseRcnnKeys.tree, partNames }).replace(/^## /gm, '### ').trim();
}
