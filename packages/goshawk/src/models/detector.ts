// What every detector can do.
import { Module, type Tensor } from '@goshawk/torch';
import type { Detections, ImageBatch, Losses, Targets } from './structures.js';

export abstract class Detector extends Module {
  /** The named losses of a batch; call backward() on their sum. */
  abstract loss(batch: ImageBatch, targets: readonly Targets[]): Losses;

  /** Detections of each image. */
  abstract predict(batch: ImageBatch): Detections[];

  /**
   * Runs every layer on [1, 3, H, W] pixels without selecting anything, so that its computations can be counted.
   * @param rois how many boxes go through the heads on RoIs, where the detector has some
   */
  abstract runLayers(pixels: Tensor, rois: { readonly box: number; readonly mask: number }): void;
}
