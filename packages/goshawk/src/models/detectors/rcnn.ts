// Faster R-CNN and Mask R-CNN on a ResNet-FPN: backbone, proposals, heads (torchvision's generalized R-CNN).
import { Module, noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type { AnchorOptions } from '../anchors.js';
import { ResNet, type ResNetOptions } from '../backbones/resnet.js';
import { Fpn } from '../necks/fpn.js';
import { RegionProposalNetwork, type RpnOptions } from '../proposals/region-proposal-network.js';
import { type BoxHeadOptions, type MaskHeadOptions, RoiHeads } from '../roi-heads/roi-heads.js';
import type { Detections, Features, ImageBatch, Losses, Targets } from '../structures.js';

export interface RcnnOptions {
  readonly backbone: ResNetOptions;
  readonly neck: { readonly channels: number; readonly extraLevel: 'pool' | 'none' };
  readonly anchors: AnchorOptions;
  readonly rpn: Omit<RpnOptions, 'anchors'>;
  readonly boxHead: BoxHeadOptions;
  /** Absent: Faster R-CNN. */
  readonly maskHead?: MaskHeadOptions;
  /** Without the background. */
  readonly classes: number;
}

/** A ResNet gives the levels of strides 4, 8, 16 and 32. */
const BACKBONE_LEVELS = 4;

class ResNetFpn extends Module {
  readonly body: ResNet;
  readonly fpn: Fpn;

  constructor(options: ResNetOptions, neck: RcnnOptions['neck']) {
    super();
    this.body = new ResNet(options);
    this.fpn = new Fpn({
      inChannels: this.body.outChannels,
      channels: neck.channels,
      extraLevel: neck.extraLevel === 'pool',
    });
  }

  forward(pixels: Tensor): Features {
    return scope(() => this.fpn.forward(this.body.forward(pixels)));
  }
}

export class Rcnn extends Module {
  readonly backbone: ResNetFpn;
  readonly rpn: RegionProposalNetwork;
  readonly roiHeads: RoiHeads;

  constructor({ backbone, neck, anchors, rpn, boxHead, maskHead, classes }: RcnnOptions) {
    super();
    this.backbone = new ResNetFpn(backbone, neck);
    this.rpn = new RegionProposalNetwork(neck.channels, { ...rpn, anchors });
    this.roiHeads = new RoiHeads({ inChannels: neck.channels, classes: classes + 1, box: boxHead, mask: maskHead });
  }

  /** The named losses of a batch; call backward() on their sum. */
  loss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    return scope(() => {
      const features = this.backbone.forward(batch.pixels);
      const proposals = this.rpn.forward(batch, features, targets);
      const heads = this.roiHeads.loss(batch, this.#pooledLevels(features), proposals.boxes, targets);
      return { ...heads, ...proposals.losses };
    });
  }

  /** Detections of each image in network pixels. */
  predict(batch: ImageBatch): Detections[] {
    return noGrad(() => {
      const features = this.backbone.forward(batch.pixels);
      const proposals = this.rpn.forward(batch, features);
      return this.roiHeads.detect(batch, this.#pooledLevels(features), proposals.boxes);
    });
  }

  /** The extra level serves the proposals alone. */
  #pooledLevels(features: Features): Features {
    return features.slice(0, BACKBONE_LEVELS);
  }
}

/** The sum of a step's losses. */
export function totalLoss(losses: Losses): Tensor {
  return Object.values(losses).reduce((sum, loss) => ops.add(sum, loss));
}
