// The keypoint branch of Mask R-CNN (He et al. 2017, section 5): a heatmap for each keypoint of each RoI.
import { Conv2d, ConvTranspose2d, Module, ops, Sequential, type Tensor } from '@goshawk/torch';
import type { KeypointHeadConfig } from '../../config/index.js';
import type { Conventions } from '../conventions.js';
import { BilinearUpsample } from './bilinear-upsample.js';
import { convBlock, initialised } from './head-layers.js';

/** [K, C, S, S] -> [K, last of channels, S, S] by convolutions with ReLU (Detectron's roi_pose_head_v1convX). */
export class KeypointHead extends Sequential {
  constructor(inChannels: number, { channels, kernelSize }: Pick<KeypointHeadConfig, 'channels' | 'kernelSize'>) {
    super(...channels.map((count, index) => convBlock(channels[index - 1] ?? inChannels, count, { kernelSize })));
  }
}

/** [K, C, S, S] -> [K, keypoints, H, H] logits: doubled by each deconvolution, then enlarged bilinearly as the conventions say. */
export class KeypointPredictor extends Module {
  readonly kpsDeconv?: ConvTranspose2d;
  readonly kpsScoreLowres: Conv2d | ConvTranspose2d;
  /** Present where heatmaps are enlarged by a deconvolution. */
  readonly upsample?: BilinearUpsample;
  readonly #ratio: number;

  constructor(
    inChannels: number,
    keypoints: number,
    { output, hiddenChannels, upsampleRatio }: Pick<KeypointHeadConfig, 'output' | 'hiddenChannels' | 'upsampleRatio'>,
    { heatmapEnlarging }: Pick<Conventions, 'heatmapEnlarging'>,
  ) {
    super();
    this.#ratio = upsampleRatio;
    const deconvolution = (from: number, to: number): ConvTranspose2d =>
      initialised(new ConvTranspose2d(from, to, 4, { stride: 2, padding: 1 }));
    const isHidden = output === 'deconvolution_convolution' || output === 'two_deconvolutions';
    const lastChannels = isHidden ? hiddenChannels : inChannels;
    if (isHidden) this.kpsDeconv = deconvolution(inChannels, hiddenChannels);
    this.kpsScoreLowres =
      output === 'deconvolution' || output === 'two_deconvolutions'
        ? deconvolution(lastChannels, keypoints)
        : initialised(new Conv2d(lastChannels, keypoints, 1));
    if (upsampleRatio > 1 && heatmapEnlarging === 'deconvolution')
      this.upsample = new BilinearUpsample(keypoints, upsampleRatio);
  }

  forward(hidden: Tensor): Tensor {
    const raised = this.kpsDeconv ? ops.relu_(this.kpsDeconv.forward(hidden)) : hidden;
    const heatmaps = this.kpsScoreLowres.forward(raised);
    if (this.upsample) return this.upsample.forward(heatmaps);
    return this.#ratio > 1 ? interpolated(heatmaps, this.#ratio) : heatmaps;
  }
}

function interpolated(heatmaps: Tensor, ratio: number): Tensor {
  return ops.upsample_bilinear2d(heatmaps, [heatmaps.size(2) * ratio, heatmaps.size(3) * ratio], false);
}
