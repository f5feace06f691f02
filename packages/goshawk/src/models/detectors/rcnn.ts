// Faster, Mask and Keypoint R-CNN: backbone, proposals, heads on proposals; also the proposals alone.
import { noGrad, ops, scope, type Tensor } from '@goshawk/torch';
import type {
  BackboneConfig,
  BoxHeadConfig,
  KeypointHeadConfig,
  MaskHeadConfig,
  NeckConfig,
  RcnnConventions,
  RpnConfig,
} from '../../config/index.js';
import type { AnchorOptions } from '../anchors.js';
import { CONVENTIONS, type Conventions } from '../conventions.js';
import { Detector } from '../detector.js';
import { type FeatureExtractor, makeFeatureExtractor } from '../feature-extractor.js';
import { readDetections } from '../fixed-detections.js';
import { padBoxes, padObjects, withFrames } from '../padded.js';
import { RegionProposalNetwork } from '../proposals/region-proposal-network.js';
import { withKeypoints } from '../roi-heads/decode-keypoints.js';
import { RoiHeads } from '../roi-heads/roi-heads.js';
import { type Candidates, selectDetections } from '../roi-heads/select-detections.js';
import { type Draws, randomDraws } from '../sampling.js';
import { type Sizing, sizingOn } from '../sizing.js';
import type { Detections, Features, ImageBatch, Losses, Targets } from '../structures.js';

export interface RcnnOptions {
  readonly conventions: RcnnConventions;
  readonly backbone: BackboneConfig;
  readonly neck: NeckConfig;
  readonly anchors: AnchorOptions;
  readonly rpn: RpnConfig;
  /** stored: the network has no first stage, and a batch brings its proposals. */
  readonly proposals: 'rpn' | 'stored';
  /** Absent: proposals alone. */
  readonly boxHead?: BoxHeadConfig;
  readonly maskHead?: MaskHeadConfig;
  readonly keypointHead?: KeypointHeadConfig;
  /** Without the background. */
  readonly classes: number;
  /** Of an object, where there is a keypoint head. */
  readonly keypoints?: number;
  /** How samples are drawn in training. Default randomDraws. */
  readonly draws?: Draws;
  /** Default: as is best where the batch lies. */
  readonly sizing?: Sizing;
}

export class Rcnn extends Detector {
  readonly backbone: FeatureExtractor;
  readonly rpn?: RegionProposalNetwork;
  readonly roiHeads?: RoiHeads;
  readonly #options: RcnnOptions;
  readonly #conventions: Conventions;

  constructor(options: RcnnOptions) {
    super();
    const { backbone, neck, anchors, rpn, boxHead, maskHead, keypointHead, draws = randomDraws } = options;
    const conventions = CONVENTIONS[options.conventions];
    this.#options = options;
    this.#conventions = conventions;
    this.backbone = makeFeatureExtractor(backbone, neck);
    const { channels, strides, roiLevels } = this.backbone;
    if (options.proposals === 'rpn') {
      const ownStrides = conventions.anchorCells === 'torchvision' ? undefined : strides;
      this.rpn = new RegionProposalNetwork(channels, {
        ...rpn,
        anchors: { ...anchors, strides: ownStrides },
        conventions,
        draws,
      });
    }
    if (boxHead) {
      this.roiHeads = new RoiHeads({
        inChannels: channels,
        strides: strides.slice(0, roiLevels),
        classes: options.classes + 1,
        keypoints: options.keypoints ?? 0,
        backbone: backbone.type === 'resnet' ? backbone : undefined,
        box: boxHead,
        mask: maskHead,
        keypoint: keypointHead,
        conventions,
        draws,
      });
    }
  }

  override loss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    return scope(() => {
      if (this.#sizing(batch) === 'fixed') return this.#fixedLoss(batch, targets);
      const features = this.backbone.forward(batch.pixels);
      const proposals = this.rpn?.forward(batch, features, targets);
      const boxes = proposals ?? { boxes: storedProposals(batch) };
      const heads = this.roiHeads?.loss(batch, this.#pooledLevels(features), boxes, targets);
      return { ...heads, ...proposals?.losses };
    });
  }

  #sizing(batch: ImageBatch): Sizing {
    return this.#options.sizing ?? sizingOn(batch.pixels.device);
  }

  #fixedLoss(batch: ImageBatch, targets: readonly Targets[]): Losses {
    const framed = withFrames(batch);
    const objects = padObjects(targets);
    const features = this.backbone.forward(batch.pixels);
    const proposals = this.rpn?.fixed(framed, features, objects);
    const boxes = proposals ?? padBoxes(storedProposals(batch));
    const learned = { targets, objects };
    const heads = this.roiHeads?.lossFixed(framed, this.#pooledLevels(features), boxes, learned);
    return { ...heads, ...proposals?.losses };
  }

  /** In fixed sizes as far as to the boxes; the further heads see no more of them than there are. */
  #fixedPredict(batch: ImageBatch, features: Features): Detections[] {
    const framed = withFrames(batch);
    const found = scope(() => {
      const proposals = this.rpn?.fixed(framed, features);
      if (this.roiHeads)
        return this.roiHeads.detectFixed(
          framed,
          this.#pooledLevels(features),
          proposals ?? padBoxes(storedProposals(batch)),
        );
      const { boxes, scores, valid } = proposals!;
      return { pixels: 'network', boxes, scores, labels: ops.ones_like(valid).to('int64'), valid } as const;
    });
    return this.complete(batch, features, readDetections(found));
  }

  /** Soft suppression and box voting are the host's. */
  #suppressesOnHost(): boolean {
    const { boxHead } = this.#options;
    return boxHead?.softNms !== undefined || boxHead?.boxVoting !== undefined;
  }

  override predict(batch: ImageBatch): Detections[] {
    return noGrad(() => {
      const features = this.features(batch);
      if (this.#sizing(batch) === 'fixed' && !this.#suppressesOnHost()) return this.#fixedPredict(batch, features);
      if (!this.roiHeads) return this.#proposalsAsDetections(batch, features);
      const found = this.candidates(batch, features).map((own) => this.select(own));
      return this.complete(batch, features, found);
    });
  }

  /** The levels that everything else of an image is computed from. */
  features(batch: ImageBatch): Features {
    return this.backbone.forward(batch.pixels);
  }

  /** Every class of every proposal of each image, before any is dropped. */
  candidates(batch: ImageBatch, features: Features): Candidates[] {
    const proposals = this.rpn ? scope(() => this.rpn!.forward(batch, features).boxes) : storedProposals(batch);
    return this.#heads().candidates(batch, this.#pooledLevels(features), proposals);
  }

  /** Those of one image that are good enough and do not cover one another. */
  select(candidates: Candidates): Detections {
    return scope(() => selectDetections(candidates, this.#options.boxHead!, this.#conventions));
  }

  /** [D, M, M] probabilities of each detection's mask, an image; undefined without a mask head. */
  masks(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] | undefined {
    return this.roiHeads?.maskPredictor && this.roiHeads.masks(batch, this.#pooledLevels(features), found);
  }

  /** [D, K, H, H] logits of each detection's keypoints, an image; undefined without a keypoint head. */
  heatmaps(batch: ImageBatch, features: Features, found: readonly Detections[]): Tensor[] | undefined {
    return this.roiHeads?.keypointPredictor && this.roiHeads.heatmaps(batch, this.#pooledLevels(features), found);
  }

  /** Detections with what the further heads say about them. */
  complete(batch: ImageBatch, features: Features, found: readonly Detections[]): Detections[] {
    const masks = this.masks(batch, features, found);
    const heatmaps = this.heatmaps(batch, features, found);
    return found.map((own, image) => this.withMaps(own, masks?.[image], heatmaps?.[image]));
  }

  /** Adds masks, and the keypoints that lie in heatmaps, to the detections of one image. */
  withMaps(own: Detections, masks: Tensor | undefined, heatmaps: Tensor | undefined): Detections {
    const withMasks = masks ? { ...own, masks } : own;
    return heatmaps ? withKeypoints(withMasks, heatmaps, this.#options.keypointHead!) : withMasks;
  }

  override runLayers(pixels: Tensor, rois: { readonly box: number; readonly mask: number }): void {
    const features = this.backbone.forward(pixels);
    this.rpn?.head.forward(features);
    this.roiHeads?.runLayers(this.#pooledLevels(features), rois);
  }

  #heads(): RoiHeads {
    if (!this.roiHeads) throw new Error('internal: a model of proposals alone has no heads');
    return this.roiHeads;
  }

  #pooledLevels(features: Features): Features {
    return features.slice(0, this.backbone.roiLevels);
  }

  #proposalsAsDetections(batch: ImageBatch, features: Features): Detections[] {
    const { boxes, scores } = this.rpn!.forward(batch, features);
    return boxes.map((own, image) => ({
      pixels: 'network',
      boxes: own,
      scores: scores[image]!,
      labels: ops.ones_like(scores[image]!).to('int64'),
    }));
  }
}

function storedProposals(batch: ImageBatch): readonly Tensor[] {
  if (!batch.proposals) throw new Error('internal: the batch came without stored proposals');
  return batch.proposals;
}

/** The sum of a step's losses. */
export function totalLoss(losses: Losses): Tensor {
  return Object.values(losses).reduce((sum, loss) => ops.add(sum, loss));
}
