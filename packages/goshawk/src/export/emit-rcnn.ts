// Faster, Mask and Keypoint R-CNN as a graph: detectors/rcnn.ts and roi-heads/ in nodes.
import { InputError } from '@goshawk/core';
import { type Tensor, tensor, zeros } from '@goshawk/torch';
import type { RcnnConfig } from '../config/index.js';
import { CONVENTIONS, type Conventions, type ImageBatch, type Rcnn } from '../models/index.js';
import type { RoiHeads } from '../models/roi-heads/roi-heads.js';
import { poolRois } from '../models/roi-heads/roi-pooler.js';
import { MIN_BOX_SIZE } from '../models/roi-heads/select-detections.js';
import { emitAtLeast, emitClipping, emitDecoding } from './emit-boxes.js';
import { emitProposals, type ProposalValues } from './emit-proposals.js';
import { emitPooling, FILLER, ofFiller, type Rois, withFiller, withoutFiller } from './emit-rois.js';
import { emitAbove, emitClassSuppression, NO_CANDIDATE } from './emit-suppression.js';
import { emitLimits, type FlatDetections, recordPictures, type Scene } from './export-scene.js';
import type { Value } from './onnx/graph.js';
import { recordNetwork } from './record-network.js';
import { sampleRow, sampleRowInEngine } from './sample-numbers.js';

interface RcnnParts {
  readonly scene: Scene;
  readonly model: Rcnn;
  readonly heads: RoiHeads;
  readonly config: RcnnConfig;
  readonly conventions: Conventions;
  /** Those that heads read, finest first, and their strides and channels. */
  readonly levels: readonly Value[];
  readonly strides: readonly number[];
  readonly channels: number;
}

/** @throws InputError where the config asks for what the graph cannot do, naming the key */
export function emitRcnn(scene: Scene, model: Rcnn, config: RcnnConfig): FlatDetections {
  requireExportable(config);
  const { backbone, rpn, roiHeads: heads } = model;
  const conventions = CONVENTIONS[config.conventions];
  const { roiLevels, channels } = backbone;
  const count = backbone.strides.length;
  const maps = recordPictures(
    scene,
    (input) => {
      const features = backbone.forward(input);
      const { logits, offsets } = rpn!.head.forward(features);
      return [...features, ...logits, ...offsets];
    },
    { from: count, order: 'channels last' },
  );
  const proposals = emitProposals(scene, rpn!, maps.slice(count), config.rpn, conventions);
  const levels = maps.slice(0, roiLevels);
  const strides = backbone.strides.slice(0, roiLevels);
  const parts = { scene, model, heads: heads!, config, conventions, levels, strides, channels };
  return withFurtherHeads(parts, emitDetections(parts, proposals));
}

function requireExportable(config: RcnnConfig): void {
  const refuse = (key: string, what: string): never => {
    throw new InputError('config-invalid', `model.${key}: ${what} cannot be exported yet: export a model without it`);
  };
  const { boxHead } = config;
  if (config.proposals === 'stored') refuse('proposals', 'a model without a first stage');
  if (boxHead.softNms) refuse('boxHead.softNms', 'soft suppression');
  if (boxHead.boxVoting) refuse('boxHead.boxVoting', 'box voting');
  const heads = {
    boxHead,
    ...('maskHead' in config && { maskHead: config.maskHead }),
    ...('keypointHead' in config && { keypointHead: config.keypointHead }),
  };
  for (const [name, head] of Object.entries(heads))
    if (head && 'pooling' in head && head.pooling !== 'align') refuse(`${name}.pooling`, `'${head.pooling}'`);
  if ('keypointHead' in config && config.keypointHead) {
    if (config.keypointHead.score !== 'box') refuse('keypointHead.score', `'${config.keypointHead.score}'`);
    if (config.keypointHead.nmsOks !== undefined) refuse('keypointHead.nmsOks', 'suppression by keypoints');
  }
}

function emitDetections(parts: RcnnParts, { boxes: proposals, scores: objectness }: ProposalValues): FlatDetections {
  const { scene, heads, config, conventions } = parts;
  const { graph, frames } = scene;
  const convention = conventions.boxes;
  const limits = emitLimits(graph, config.boxHead, { convention, key: 'boxHead' });
  // Places [R, 2] of what is a proposal.
  const places = graph.places(graph.greater(objectness, NO_CANDIDATE / 2));
  const images = graph.select(places, 1, 0);
  const boxes = graph.gatherAt(proposals, places);
  const pooled = pool(parts, { boxes, images }, 'box');
  const said = recordNetwork(
    graph,
    [pooled],
    scene.names,
    () => [[roiExample(parts, 'box', 3)], [roiExample(parts, 'box', 5)]],
    ([input]) => {
      const predicted = heads.pooledBoxes(input!);
      return [predicted.logits, predicted.offsets];
    },
  );
  sampleHead(parts, 'box', said, (own) => {
    const predicted = heads.pooledBoxes(own);
    return [predicted.logits, predicted.offsets];
  });
  const [logits, offsets] = said.map((rows) => withoutFiller(graph, rows)) as [Value, Value];
  const perImage = (value: Value): Value => graph.gather(value, images);
  const measured =
    conventions.secondStage === 'network' ? boxes : graph.div(boxes, graph.squeeze(perImage(frames.scales), 1));
  const perClass = graph.reshape(offsets, graph.concat([graph.length(offsets, 0), graph.integers([-1, 4])], 0));
  const coding = { convention, boundsShrinking: conventions.boundsShrinking };
  const decoded = emitDecoding(graph, perClass, graph.unsqueeze(measured, 1), config.boxHead.regressionWeights, coding);
  const size = perImage(conventions.secondStage === 'image' ? frames.originals : frames.sizes);
  const clipped = graph.slice(emitClipping(graph, decoded, size, convention), 1, 1, END);
  const isUnscaled = conventions.secondStage === 'network' && conventions.suppression === 'image';
  const refined = isUnscaled ? graph.div(clipped, perImage(frames.scales)) : clipped;
  const probabilities = graph.node('Softmax', [logits], { axis: { int: 1 } });
  const above = emitAbove(graph, graph.slice(probabilities, 1, 1, END), limits.scoreThreshold);
  const scores =
    convention === 'continuous'
      ? graph.where(emitAtLeast(graph, refined, MIN_BOX_SIZE, convention), above, NO_CANDIDATE)
      : above;
  // Back into a row an image: [N, P, C] and [N, P, C or 1, 4].
  const grid = graph.shape(objectness);
  const scattered = (rows: Value, value: number, axes: number): Value => {
    const tail = graph.slice(graph.shape(rows), 0, 1, 1 + axes);
    return graph.scatterAt(graph.full(graph.concat([grid, tail], 0), value), places, rows);
  };
  const allBoxes = scattered(refined, 0, 2);
  const isShared = config.boxHead.classAgnostic;
  const kept = emitClassSuppression(
    graph,
    {
      boxes: isShared ? graph.squeeze(allBoxes, 2) : allBoxes,
      scores: scattered(scores, NO_CANDIDATE, 1),
      ownBoxes: !isShared,
    },
    { threshold: limits.nmsThreshold, convention },
    { maxDetections: limits.maxDetections, limit: conventions.detectionLimit },
  );
  const columns = [kept.images, kept.candidates, ...(isShared ? [] : [kept.classes])];
  const chosen = graph.concat(
    columns.map((each) => graph.unsqueeze(each, 1)),
    1,
  );
  return {
    measuredIn: conventions.suppression,
    boxes: graph.gatherAt(isShared ? graph.squeeze(allBoxes, 2) : allBoxes, chosen),
    scores: kept.scores,
    classes: graph.add(kept.classes, 1),
    images: kept.images,
  };
}

/** Adds what the mask head and the keypoint head say of each detection. */
function withFurtherHeads(parts: RcnnParts, found: FlatDetections): FlatDetections {
  const { scene, heads } = parts;
  const { graph, frames, names } = scene;
  if (!heads.pooling.mask && !heads.pooling.keypoint) return found;
  const boxes =
    found.measuredIn === 'network'
      ? found.boxes
      : graph.mul(found.boxes, graph.squeeze(graph.gather(frames.scales, found.images), 1));
  const rois = { boxes, images: found.images };
  const recorded: { masks?: Value; heatmaps?: Value } = {};
  if (heads.pooling.mask) {
    const labels = graph.concat([found.classes, graph.integers([0])], 0);
    const labelled = (count: number) => [
      roiExample(parts, 'mask', count),
      tensor(BigInt64Array.from({ length: count }, () => 0n)),
    ];
    const [logits] = recordNetwork(
      graph,
      [pool(parts, rois, 'mask'), labels],
      names,
      () => [labelled(3), labelled(5)],
      ([pooled, classes]) => [heads.pooledMasks(pooled!, classes!)],
    );
    const background = (): Tensor => tensor(BigInt64Array.of(0n));
    sampleHead(parts, 'mask', [logits!], (own) => [heads.pooledMasks(own, background())]);
    recorded.masks = withoutFiller(graph, graph.node('Sigmoid', [logits!]));
  }
  if (heads.pooling.keypoint) {
    const [heatmaps] = recordNetwork(
      graph,
      [pool(parts, rois, 'keypoint')],
      names,
      () => [[roiExample(parts, 'keypoint', 3)], [roiExample(parts, 'keypoint', 5)]],
      ([pooled]) => [heads.pooledHeatmaps(pooled!)],
    );
    sampleHead(parts, 'keypoint', [heatmaps!], (own) => [heads.pooledHeatmaps(own)]);
    recorded.heatmaps = withoutFiller(graph, heatmaps!);
  }
  return { ...found, ...recorded };
}

/** As the end of a slice: that of the axis. */
const END = 2 ** 31 - 1;

type HeadName = 'box' | 'mask' | 'keypoint';

/** Features of RoIs and, at the end, of a filler. */
function pool({ scene, heads, levels, strides, conventions }: RcnnParts, rois: Rois, head: HeadName): Value {
  const { graph } = scene;
  return emitPooling(graph, levels, strides, withFiller(graph, rois), heads.pooling[head]!, conventions);
}

/** @param rows what the head says of RoIs, the filler at the end; `say` has the engine say it of the filler's features */
function sampleHead(
  { scene, model, heads, conventions, strides }: RcnnParts,
  head: HeadName,
  rows: readonly Value[],
  say: (pooled: Tensor) => readonly Tensor[],
): void {
  const { graph, samples } = scene;
  const pooled = ({ pixels }: ImageBatch): Tensor => {
    const levels = model.backbone.forward(pixels).slice(0, strides.length);
    const filler = tensor(Float32Array.from(FILLER), { shape: [1, 4] });
    return poolRois(levels, [filler], strides, heads.pooling[head]!, conventions);
  };
  samples.push({
    values: rows.map((each) => sampleRow(graph, ofFiller(graph, each))),
    inEngine: (batch) => say(pooled(batch)).map(sampleRowInEngine),
  });
}

function roiExample({ heads, channels }: RcnnParts, head: HeadName, count: number) {
  const { poolSize } = heads.pooling[head]!;
  return zeros([count, channels, poolSize, poolSize]).to({ memoryFormat: 'channels_last' });
}
