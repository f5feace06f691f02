// A detector as the bytes of an ONNX file.
import { type Category, InputError } from '@goshawk/core';
import { DESCRIPTION_KEY, type ModelDescription } from '@goshawk/runtime';
import type { Tensor } from '@goshawk/torch';
import type { ModelConfig, RunConfig } from '../config/index.js';
import { DecoupledSolo, type Detector, Rcnn, RetinaNet, Solov2, SparseRcnn } from '../models/index.js';
import { describeExport } from './describe-export.js';
import { emitRcnn } from './emit-rcnn.js';
import { emitRetinanet } from './emit-retinanet.js';
import { emitDecoupledSolo, emitSolov2 } from './emit-solo.js';
import { emitSparseRcnn } from './emit-sparse-rcnn.js';
import { type FlatDetections, openScene, type Scene } from './export-scene.js';
import { Graph, type WeightStorage } from './onnx/graph.js';
import { fewestHalved } from './onnx/halves.js';
import { encodeModel, type OnnxModel } from './onnx/model-proto.js';

export interface ExportOptions {
  readonly config: RunConfig;
  /** In the order of the model's classes. */
  readonly categories: readonly Category[];
  /** How large weights are stored; all is computed in float32. Default float32. */
  readonly weights?: WeightStorage;
  /** Of the file of weights, hexadecimal. */
  readonly sha256?: string;
}

/**
 * @param model in evaluation mode on the CPU
 * @throws InputError where a part of it cannot be exported, naming it
 */
export function exportDetector(model: Detector, { config, categories, weights, sha256 }: ExportOptions): Uint8Array {
  return encodeModel(onnxOf(model, { config, categories, weights, sha256 }).onnx);
}

/** The same before it becomes bytes. */
export function onnxOf(
  model: Detector,
  { config, categories, weights = 'float32', sha256 }: ExportOptions,
): { readonly onnx: OnnxModel; readonly description: ModelDescription } {
  const graph = new Graph(weights, fewestHalved([...model.stateDict()].map(([, { shape }]) => shape)));
  const scene = openScene(graph, config.preprocess.padMultiple, namesOf(model));
  const found = emitDetector(scene, model, config.model, categories.length);
  graph.output('boxes', found.boxes, ['detections', 4]);
  graph.output('scores', found.scores, ['detections']);
  graph.output('classes', found.classes, ['detections']);
  graph.output('pictures', found.images, ['detections']);
  if (found.masks) graph.output('masks', found.masks, ['detections', 'mask rows', 'mask columns']);
  if (found.heatmaps) graph.output('heatmaps', found.heatmaps, ['detections', 'keypoints', 'rows', 'columns']);
  const sampled = scene.samples.flatMap(({ values }) => values);
  graph.output('samples', graph.concat(sampled, 0), ['samples']);
  const description = describeExport(
    model,
    { ...found, samples: scene.samples },
    { config, categories, weights, sha256 },
  );
  const metadata = { [DESCRIPTION_KEY]: JSON.stringify(description) };
  return { onnx: graph.finish({ producer: 'goshawk', metadata }), description };
}

function namesOf(model: Detector): ReadonlyMap<Tensor, string> {
  return new Map(Array.from(model.stateDict(), ([name, tensor]) => [tensor, name]));
}

function emitDetector(scene: Scene, model: Detector, config: ModelConfig, classes: number): FlatDetections {
  switch (config.type) {
    case 'retinanet':
      if (model instanceof RetinaNet) return emitRetinanet(scene, model, config, classes);
      break;
    case 'faster_rcnn':
    case 'mask_rcnn':
    case 'keypoint_rcnn':
      if (model instanceof Rcnn) return emitRcnn(scene, model, config);
      break;
    case 'sparse_rcnn':
      if (model instanceof SparseRcnn) return emitSparseRcnn(scene, model, config, classes);
      break;
    case 'solov2':
      if (model instanceof Solov2) return emitSolov2(scene, model, config, classes);
      break;
    case 'decoupled_solo':
      if (model instanceof DecoupledSolo) return emitDecoupledSolo(scene, model, config, classes);
      break;
    case 'rpn':
      throw new InputError(
        'config-invalid',
        'model.type: an rpn gives proposals and no detections, which an exported file is for: export a detector',
      );
  }
  throw new Error(`internal: a config of ${config.type} with another model`);
}
