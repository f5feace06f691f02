// What a region proposal network is told.
import type { AnchorOptions } from '../anchors.js';
import type { Conventions } from '../conventions.js';
import type { Draws } from '../sampling.js';
import type { AnchorLossOptions } from './anchor-loss.js';

export interface RpnOptions extends Omit<AnchorLossOptions, 'draws'> {
  /** How anchors are drawn. Default randomDraws. */
  readonly draws?: Draws;
  readonly anchors: AnchorOptions;
  /** Anchors kept a level before non-maximum suppression. */
  readonly preNmsTopN: { readonly train: number; readonly test: number };
  /** Proposals kept a level and an image after it. */
  readonly postNmsTopN: { readonly train: number; readonly test: number };
  /** Proposals that each level keeps first, which ones as the conventions say. Default: all. */
  readonly levelPostNmsTopN?: { readonly train: number; readonly test: number };
  /**
   * 0: every image keeps its own best proposals. Above 0: in training the best of the whole batch are kept, postNmsTopN
   * for every so many images (Detectron's CollectAndDistributeFpnRpnProposals); batch: postNmsTopN however many images there
   * are (maskrcnn-benchmark's select_over_all_levels). Default 0.
   */
  readonly collectImages?: number | 'batch';
  readonly nmsThreshold: number;
  readonly scoreThreshold: number;
  /** Network pixels, or image pixels where the conventions say so. */
  readonly minSize: number;
  /** 3x3 convolutions of the head. Default 1. */
  readonly convolutions?: number;
  /** Of each of them. Default: as many as come in. */
  readonly hiddenChannels?: number;
  /** Default sigmoid. */
  readonly activation?: 'sigmoid' | 'softmax';
  /** Default torchvision's. */
  readonly conventions?: Conventions;
}

/** How many proposals of a training batch are kept where they are chosen from all of it; undefined where each image keeps its own. */
export function collectedLimit(
  { postNmsTopN, collectImages = 0 }: Pick<RpnOptions, 'postNmsTopN' | 'collectImages'>,
  images: number,
): number | undefined {
  if (collectImages === 0) return undefined;
  return collectImages === 'batch' ? postNmsTopN.train : Math.round((postNmsTopN.train * images) / collectImages);
}

/** Whether a level of `anchors` that is limited keeps its best, or the first in the order of its anchors. */
export function keepsBest(anchors: number, preNmsTopN: number, { levelProposals }: Conventions): boolean {
  return levelProposals === 'best' || anchors > preNmsTopN;
}
