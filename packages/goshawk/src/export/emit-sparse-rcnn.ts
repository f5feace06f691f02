// Sparse R-CNN as a graph: detectors/sparse-rcnn.ts and set-prediction/ in nodes.
import { ops, type Tensor, zeros } from '@goshawk/torch';
import type { SparseRcnnConfig } from '../config/index.js';
import { CONVENTIONS, type SparseRcnn } from '../models/index.js';
import { decodeStageBoxes } from '../models/set-prediction/dynamic-head.js';
import { emitClipping, emitRowsAt } from './emit-boxes.js';
import { emitPooling } from './emit-rois.js';
import { type FlatDetections, recordPictures, type Scene } from './export-scene.js';
import type { Value } from './onnx/graph.js';
import { recordNetwork } from './record-network.js';
import { sampleRow, sampleRowInEngine } from './sample-numbers.js';

// The original's RoIAlign has its half-pixel shift, its levels are Detectron2's, which are torchvision's.
const ROIS = { ...CONVENTIONS.torchvision, roiEnd: 'half_pixel' } as const;

export function emitSparseRcnn(
  scene: Scene,
  model: SparseRcnn,
  config: SparseRcnnConfig,
  classes: number,
): FlatDetections {
  const { graph, pixels, frames, names } = scene;
  const { backbone, head } = model;
  const { roiLevels, channels } = backbone;
  const { proposals: count, head: options } = config;
  const cellCount = options.poolSize ** 2;
  const levels = recordPictures(scene, (input) => backbone.forward(input).slice(0, roiLevels), {
    order: 'channels first',
  });
  const images = graph.length(pixels, 0);
  const weightOf = (tensor: Tensor, width: number): Value => graph.floats(tensor.toFloat32Array(), [1, count, width]);
  // Centres and sizes as shares of the picture.
  const whole = graph.mul(weightOf(model.initProposalBoxes.weight, 4), frames.sizes);
  const centre = graph.slice(whole, 2, 0, 2);
  const half = graph.mul(graph.slice(whole, 2, 2, 4), 0.5);
  let boxes = graph.concat([graph.sub(centre, half), graph.add(centre, half)], 2);
  let known = graph.expand(
    weightOf(model.initProposalFeatures.weight, channels),
    graph.concat([images, graph.integers([count, channels])], 0),
  );
  // The image of each of the N * P boxes.
  const rows = graph.expand(
    graph.unsqueeze(graph.range(images), 1),
    graph.concat([images, graph.integers([count])], 0),
  );
  const imageOf = graph.reshape(rows, [-1]);
  let logits: Value | undefined;
  for (const stage of head.stages) {
    const rois = { boxes: graph.reshape(boxes, [-1, 4]), images: imageOf };
    const pooled = emitPooling(graph, levels, backbone.strides.slice(0, roiLevels), rois, options, ROIS);
    const cells = graph.reshape(graph.transpose(pooled, [0, 2, 3, 1]), [0, cellCount, channels]);
    const example = (batch: number): Tensor[] => [
      zeros([batch, count, channels]),
      zeros([batch * count, cellCount, channels]),
      zeros([batch, count, 4]),
    ];
    const [features, said, moved] = recordNetwork(
      graph,
      [known, cells, boxes],
      names,
      () => [example(2), example(3)],
      ([proposals, own, from]) => {
        const output = stage.forward(proposals!, own!);
        return [output.features, output.logits, decodeStageBoxes(output.deltas, from!)];
      },
    );
    known = features!;
    logits = said;
    boxes = moved!;
  }
  scene.samples.push({
    values: [logits!, boxes].map((each) => sampleRow(graph, graph.select(each, 0, 0))),
    inEngine: (batch) => {
      const last = model.stagePredictions(batch);
      return [last.logits, last.boxes].map((stages) => sampleRowInEngine(ops.select(stages.at(-1)!, 0, 0)));
    },
  });
  const most = graph.setting('max_detections', 'int64', options.maxDetections ?? count);
  const least = graph.setting('score_threshold', 'float32', options.scoreThreshold);
  const scores = graph.reshape(graph.probability(logits!), [0, -1]);
  const best = graph.largest(scores, most, 1);
  const perClass = graph.integers([classes], []);
  const found = graph.places(graph.atLeast(best.values, least));
  const inside = emitClipping(graph, boxes, frames.sizes, 'continuous');
  return {
    measuredIn: 'network',
    boxes: graph.gatherAt(emitRowsAt(graph, inside, graph.div(best.places, perClass)), found),
    scores: graph.gatherAt(best.values, found),
    classes: graph.add(graph.gatherAt(graph.node('Mod', [best.places, perClass]), found), 1),
    images: graph.select(found, 1, 0),
  };
}
