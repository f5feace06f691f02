// What the loader hands to training and evaluation: the contract between data and models.
import type { InputError, MaskCrop, PictureFrame } from '@goshawk/core';

/** The objects of one picture. All coordinates are network pixels (after flip, resize and crop), continuous. */
export interface Target {
  /** `[n * 4]`, x1, y1, x2, y2 of each object, inside the picture. */
  readonly boxes: Float32Array;
  /** `[n]`, 1..C: the place of the category in order of the ids. */
  readonly classes: Int32Array;
  /** `n` masks, where the dataset was opened with masks. */
  readonly masks?: readonly MaskCrop[];
  /** Each object's outlines, x and y by turns, where the dataset was opened with polygons. */
  readonly polygons?: readonly (readonly Float64Array[])[];
  /** `[n * K * 3]`, x, y, visibility, where the dataset was opened with keypoints; zeros where an object has none. */
  readonly keypoints?: Float32Array;
  /** `[n]`, square network pixels. */
  readonly areas: Float32Array;
  readonly annotationIds: readonly number[];
}

/** One picture of a batch. Widths and heights are pixels. */
export interface BatchImage {
  readonly imageId: number;
  /** The picture's turn since the start of training: what is drawn for it is a function of the seed and this. */
  readonly turn: number;
  readonly fileName: string;
  /** In the network, after a crop, without padding. */
  readonly width: number;
  readonly height: number;
  /** Of the picture as shown. */
  readonly originalWidth: number;
  readonly originalHeight: number;
  /** Network pixels an image pixel. */
  readonly scaleX: number;
  readonly scaleY: number;
  readonly flipped: boolean;
  /** Where the picture stands in `width` x `height`; absent: it is all of that. */
  readonly frame?: PictureFrame;
  /** `[n * 4]`, xyxy in network pixels, where the data set has stored proposals. */
  readonly proposals?: Float32Array;
}

/** A picture that could not be used. */
export interface LeftOut {
  /** Its place in the batch as it was planned, counted from 0. */
  readonly place: number;
  readonly imageId: number;
  readonly fileName: string;
  readonly error: InputError;
}

export interface Batch {
  /** `images.length * height * width * 3` network values over shared memory, padded right and below. */
  readonly pixels: Float32Array;
  /** Of every picture's slot, pixels, padding included. */
  readonly height: number;
  readonly width: number;
  readonly images: readonly BatchImage[];
  /** Where in the data set the pictures of the batch stand, as it was planned: those left out too. */
  readonly places: readonly number[];
  /** One a picture; a background picture has a target of no objects. */
  readonly targets: readonly Target[];
  /** The pictures that are missing from the batch, where the loader may leave some out; `images` can be empty then. */
  readonly leftOut: readonly LeftOut[];
  /** Gives the pixels' memory back to be filled anew; `pixels` must not be read after it. Calling it twice does nothing. */
  release(): void;
}
