// What an exported file says about itself, and the probe by which a runtime is checked.
import { type Category, synthesizeScene } from '@goshawk/core';
import { DESCRIPTION_FORMAT, type ModelDescription, type Probe, type ProbeObject, probeInput } from '@goshawk/runtime';
import { noGrad, scope } from '@goshawk/torch';
import type { ModelConfig, RunConfig } from '../config/index.js';
import { imageBatchOf, inDtypeOf } from '../infer/index.js';
import { type Detector, detectorKind } from '../models/index.js';
import type { FlatDetections } from './export-scene.js';
import type { WeightStorage } from './onnx/graph.js';
import { type Sample, samplesOf } from './sample-numbers.js';

export interface DescribedExport {
  readonly config: RunConfig;
  readonly categories: readonly Category[];
  readonly weights: WeightStorage;
  /** Of the file of weights. */
  readonly sha256?: string | undefined;
}

export function describeExport(
  model: Detector,
  {
    measuredIn,
    maskStride,
    samples,
  }: Pick<FlatDetections, 'measuredIn' | 'maskStride'> & { readonly samples: readonly Sample[] },
  { config, categories, weights, sha256 }: DescribedExport,
): ModelDescription {
  const { masks } = detectorKind(config.model);
  const keypointHead = 'keypointHead' in config.model ? config.model.keypointHead : undefined;
  return {
    format: DESCRIPTION_FORMAT,
    model: config.model.type,
    config,
    categories,
    preprocess: config.preprocess,
    measuredIn,
    ...(masks && {
      masks: {
        extent: maskStride === undefined ? { kind: 'box' } : { kind: 'input', stride: maskStride },
        threshold: masks.threshold,
        strict: masks.rule.maskThreshold === 'exclusive',
        padding: masks.rule.maskPadding,
      },
    }),
    ...(keypointHead && { keypoints: { minSize: keypointHead.minSize } }),
    weights: { ...(sha256 !== undefined && { sha256 }), precision: weights === 'float16' ? 'fp16' : 'fp32' },
    probe: probeFor(model, config, weights, samples),
  };
}

// Small, so that a check costs little also where a second is much; every stride up to 32 divides it.
const PROBE = { width: 128, height: 96 } as const;
/** Scenes that are tried: the one with the most objects tells most. */
const SCENES = 6;
/** Below it an object may come and go with the last bits. */
const LEAST_SCORE = 0.1;
const MOST_OBJECTS = 20;
/** Of boxes that are smaller, pixels, the last bits decide about overlaps. */
const LEAST_SIDE = 4;

/** What lies between two runtimes; halves of weights move numbers by their own rounding. */
const TOLERANCES = {
  float32: { iou: 0.99, score: 1e-3, samples: 1e-3 },
  float16: { iou: 0.9, score: 2e-2, samples: 2e-2 },
} as const;

function probeFor(model: Detector, config: RunConfig, weights: WeightStorage, samples: readonly Sample[]): Probe {
  const tolerance = TOLERANCES[weights];
  const probes = Array.from({ length: SCENES }, (_, index) => {
    const { image } = synthesizeScene({ seed: 16, index, ...PROBE });
    const picture = { ...PROBE, pixels: Buffer.from(image.data).toString('hex') };
    return { picture, objects: probeObjects(objectsIn(model, config, picture), config.model, tolerance) };
  });
  const { picture, objects } = probes.reduce((best, probe) =>
    probe.objects.length > best.objects.length ? probe : best,
  );
  const batch = imageBatchOf(probeInput(picture, config.preprocess));
  return { ...picture, objects, samples: samplesOf(samples, batch), tolerance };
}

function objectsIn(
  model: Detector,
  config: RunConfig,
  picture: Pick<Probe, 'width' | 'height' | 'pixels'>,
): ProbeObject[] {
  return noGrad(() =>
    scope(() => {
      const [found] = model.predict(inDtypeOf(model, imageBatchOf(probeInput(picture, config.preprocess))));
      const corners = found!.boxes.toFloat32Array();
      const scores = found!.scores.toFloat32Array();
      return found!.labels.toNumbers().map((label, i) => {
        const box = [...corners.subarray(i * 4, i * 4 + 4)] as [number, number, number, number];
        return { label, score: scores[i]!, box };
      });
    }),
  );
}

/**
 * What a probe is compared by, of what was found on it, best first: nothing that another runtime may leave out, since its score lies
 * elsewhere within the tolerance, on the other side of the model's threshold or behind one that the limit then takes.
 */
export function probeObjects(
  found: readonly ProbeObject[],
  model: ModelConfig,
  tolerance: Pick<Probe['tolerance'], 'score'>,
): ProbeObject[] {
  const { least, most } = limitsOf(model);
  const last = found.length < most ? 0 : found.at(-1)!.score;
  const sure = Math.max(LEAST_SCORE, Math.max(least, last) + tolerance.score);
  return found
    .filter(({ score, box: [x1, y1, x2, y2] }) => score >= sure && x2 - x1 >= LEAST_SIDE && y2 - y1 >= LEAST_SIDE)
    .slice(0, MOST_OBJECTS)
    .map(({ label, score, box }) => ({ label, score, box }));
}

/** The score that detections have to reach, and how many there may be. */
function limitsOf(model: ModelConfig): { readonly least: number; readonly most: number } {
  const head = 'boxHead' in model ? model.boxHead : 'head' in model ? model.head : {};
  const { scoreThreshold = 0, minScore = 0, maxDetections = Infinity } = head as Readonly<Record<string, number>>;
  return { least: Math.max(scoreThreshold, minScore), most: maxDetections };
}
