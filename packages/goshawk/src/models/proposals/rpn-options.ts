// What a region proposal network is told.
import type { AnchorOptions } from '../anchors.js';
import type { Conventions } from '../conventions.js';
import type { AnchorLossOptions } from './anchor-loss.js';

export interface RpnOptions extends AnchorLossOptions {
  readonly anchors: AnchorOptions;
  /** Anchors kept a level before non-maximum suppression. */
  readonly preNmsTopN: { readonly train: number; readonly test: number };
  /** Proposals kept a level and an image after it. */
  readonly postNmsTopN: { readonly train: number; readonly test: number };
  /**
   * Proposals that each level keeps first: the best, but of a level with at most preNmsTopN anchors the first in the order
   * of its anchors, since mmdetection 1.1 (nms_post in rpn_head.py) sorts no such level before it cuts. Default: all.
   */
  readonly levelPostNmsTopN?: { readonly train: number; readonly test: number };
  /**
   * 0: every image keeps its own best proposals. Above 0: in training the best of the whole batch are kept, postNmsTopN
   * for every so many images (Detectron's CollectAndDistributeFpnRpnProposals). Default 0.
   */
  readonly collectImages?: number;
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
