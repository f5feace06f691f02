// Twelve training steps of sparse_rcnnv1 on two photos (fixtures/sparse_rcnn_r18_trajectory): the config in its own names, the data,
// and how far every parameter is from its start.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cocoCategories } from '@goshawk/core';
import type { Tensor, TensorData } from '@goshawk/torch';
import type { RunConfig } from '../config/index.js';
import { sparseRcnnConfigs } from '../foreign/sparse-rcnn/config.js';
import { recogniseState } from '../foreign/weights.js';
import type { Detector } from '../models/index.js';
import { distance } from './movements.js';

export interface TrajectoryFacts {
  readonly data: {
    readonly image_size: number;
    readonly images: readonly { readonly file: string; readonly width: number; readonly height: number }[];
    readonly annotations_coco: readonly (readonly {
      readonly category_id: number;
      readonly bbox_xywh: readonly number[];
    }[])[];
    readonly ground_truth_rows_label_xyxy_float32: readonly (readonly (readonly number[])[])[];
  };
  readonly network_input: { readonly sha256_per_image: readonly string[] };
  /** Names of the original. */
  readonly parameter_order: readonly string[];
  readonly float64: Trajectory & {
    readonly values: readonly (readonly number[])[];
    readonly ema_values: readonly (readonly number[])[];
  };
  readonly float32: Trajectory;
}

export interface Trajectory {
  readonly steps: readonly TrajectoryStep[];
  /** Movement, movement of the average and its distance from the weights after the last step, in the order of the parameters. */
  readonly after: readonly (readonly [movement: number, average: number, gap: number])[];
}

export interface TrajectoryStep {
  readonly lr: number;
  readonly cls_loss: number;
  readonly iou_loss: number;
  readonly l1_loss: number;
  readonly total: number;
  readonly ema_decay: number;
  readonly grad_norm_total: number;
  readonly movement_total: number;
  readonly ema_movement_total: number;
  readonly ema_gap_total: number;
  /** How far each parameter is from its start after the step; absent in float32. */
  readonly movement?: readonly number[];
}

/** Our names of the original's losses. */
export const LOSSES = { cls_loss: 'classification', iou_loss: 'box_iou', l1_loss: 'box_l1' } as const;

export const TRAJECTORY_CASE = 'sparse_rcnn_r18_trajectory';

// dist/parity/ -> src/parity/: the fixtures are not compiled.
const fixtures = fileURLToPath(new URL(`../../src/parity/fixtures/${TRAJECTORY_CASE}/`, import.meta.url));

/**
 * The config in its own form; an epoch is one step of the two photos here, so that milestones and intervals are given in steps.
 * @param further settings of ours
 */
export function trajectoryConfig(
  { data }: TrajectoryFacts,
  folder: string,
  further: readonly string[] = [],
): RunConfig {
  const annotations = join(folder, 'instances.json');
  writeFileSync(annotations, JSON.stringify(cocoFileOf(data)));
  const text = `
model_name: sparse_rcnn
data:
  train_annotation_path: ${annotations}
  train_img_root: ${fixtures}
  max_thresh: ${data.image_size}
  use_crowd: False
  batch_size: 2
  num_workers: 0
  debug: False
  remove_blank: Ture
model:
  num_cls: 80
  backbone: resnet18
  pretrained: False
  iou_type: ciou
  num_proposals: 40
optim:
  optimizer: AdamW
  lr: 0.00025
  milestones: [9]
  warm_up_iter: 5
  weight_decay: 0.0001
  epochs: 12
  sync_bn: False
  amp: False
  alpha: 0.1
  warm_up_factor: 0.01
val:
  interval: 12
  weight_path: weights
gpus: 0
`;
  const sets = ['data.flip=0', 'data.augment=null', 'runtime.threads=2', ...further];
  return sparseRcnnConfigs.read(text, { file: 'sparse_rcnn.yaml', sets }).config;
}

function cocoFileOf({ images, annotations_coco }: TrajectoryFacts['data']): object {
  let id = 0;
  return {
    images: images.map(({ file, width, height }, index) => ({ id: index, file_name: file, width, height })),
    categories: cocoCategories,
    annotations: annotations_coco.flatMap((objects, image) =>
      objects.map(({ category_id, bbox_xywh: bbox }) => ({
        id: ++id,
        image_id: image,
        category_id,
        bbox,
        area: bbox[2]! * bbox[3]!,
        iscrowd: 0,
      })),
    ),
  };
}

/** The start under our names, and our name of each of the original's parameters. */
export function startOf(
  state: ReadonlyMap<string, TensorData>,
  { parameter_order }: TrajectoryFacts,
): { readonly start: ReadonlyMap<string, TensorData>; readonly names: readonly string[] } {
  const { state: start } = recogniseState(state);
  const ours = new Map(
    [...recogniseState(new Map([...state.keys()].map((name) => [name, name]))).state].map(([own, from]) => [from, own]),
  );
  return { start, names: parameter_order.map((name) => ours.get(name)!) };
}

/** Euclidean distances of parameters from `from`, in the order of `names`. */
export function distances(
  model: Detector,
  from: ReadonlyMap<string, TensorData | Tensor>,
  names: readonly string[],
): number[] {
  const own = model.stateDict();
  return names.map((name) => distance(own.get(name)!, from.get(name)!));
}

/** The root of the sum of squares. */
export function normOver(values: readonly number[]): number {
  return Math.hypot(...values);
}
