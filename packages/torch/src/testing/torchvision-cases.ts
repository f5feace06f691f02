// The numbers of kernels/fixtures/torchvision.json, for the tests of kernels.
import { readFileSync } from 'node:fs';

type Rows = readonly (readonly number[])[];

interface TorchvisionCases {
  readonly rois: Rows;
  readonly roiAlign: readonly {
    readonly aligned: boolean;
    readonly samplingRatio: number;
    readonly output: readonly number[];
    readonly gradient: readonly number[];
  }[];
  readonly roiPool: { readonly output: readonly number[]; readonly gradient: readonly number[] };
  readonly nms: {
    readonly boxes: Rows;
    readonly scores: readonly number[];
    readonly kept: Readonly<Record<string, readonly number[]>>;
  };
  readonly match: {
    readonly anchors: Rows;
    readonly objects: Rows;
    readonly iou: readonly number[];
    readonly cases: readonly {
      readonly low: number;
      readonly high: number;
      readonly allowLowQuality: boolean;
      /** How many of the objects take part, from the first. */
      readonly objects: number;
      readonly matches: readonly number[];
    }[];
  };
  readonly paste: {
    readonly height: number;
    readonly width: number;
    readonly boxes: Rows;
    readonly counts: Rows;
  };
  readonly maskTargets: {
    readonly rois: Rows;
    readonly objects: readonly number[];
    readonly targets: readonly number[];
  };
}

export const torchvision = JSON.parse(
  readFileSync(new URL('../../src/kernels/fixtures/torchvision.json', import.meta.url), 'utf8'),
) as TorchvisionCases;
