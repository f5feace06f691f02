// What enters an exported graph and what leaves it, as ONNX Runtime has them.
import type { PreparedBatch } from '@goshawk/core';
import type { Probe, ProbeObject } from './model-description.js';
import { floatsOf, numbersOf, type OnnxRuntime, type OnnxSession, type OnnxTensor } from './onnx-runtime.js';

/** The inputs of a session for a batch; those that its graph does not have are left out. */
export function networkFeeds(
  { Tensor }: OnnxRuntime,
  { inputNames }: Pick<OnnxSession, 'inputNames'>,
  { pixels, width, height, images }: PreparedBatch,
): Record<string, OnnxTensor> {
  const pairs = (values: readonly (readonly [number, number])[]): OnnxTensor =>
    new Tensor('float32', Float32Array.from(values.flat()), [values.length, 2]);
  const all: Record<string, OnnxTensor> = {
    images: new Tensor('float32', pixels, [images.length, height, width, 3]),
    sizes: pairs(images.map((image) => [image.width, image.height])),
    original_sizes: pairs(images.map((image) => [image.originalWidth, image.originalHeight])),
    scales: pairs(images.map((image) => [image.scaleX, image.scaleY])),
  };
  return Object.fromEntries(Object.entries(all).filter(([name]) => inputNames.includes(name)));
}

/** What stands where a probe has its samples; not a number where the graph gives none. */
export function groupedSamples(
  { samples }: Pick<Probe, 'samples'>,
  outputs: Readonly<Record<string, OnnxTensor>>,
): number[][] {
  const all = outputs.samples ? floatsOf(outputs.samples) : new Float32Array();
  let at = 0;
  return samples.map((list) => list.map(() => all[at++] ?? Number.NaN));
}

/** One object as it leaves the graph. */
export interface NetworkObject extends ProbeObject {
  readonly mask?: RawMap;
  readonly heatmaps?: RawMap;
}

interface RawMap {
  readonly cells: Float32Array;
  readonly sides: readonly [rows: number, columns: number];
}

/** Of each picture, from outputs that stand one after another. */
export function networkObjects(outputs: Readonly<Record<string, OnnxTensor>>, count: number): NetworkObject[][] {
  const [boxes, scores, classes, pictures] = [outputs.boxes!, outputs.scores!, outputs.classes!, outputs.pictures!].map(
    numbersOf,
  ) as [number[], number[], number[], number[]];
  const found = Array.from({ length: count }, (): NetworkObject[] => []);
  const mapOf = (tensor: OnnxTensor | undefined, object: number): RawMap | undefined => {
    if (!tensor) return undefined;
    const cells = floatsOf(tensor);
    const area = cells.length / scores.length;
    const [rows = 0, columns = 0] = tensor.dims.slice(-2);
    return { cells: cells.slice(object * area, (object + 1) * area), sides: [rows, columns] };
  };
  for (const [object, score] of scores.entries()) {
    const box = boxes.slice(object * 4, object * 4 + 4) as [number, number, number, number];
    const [mask, heatmaps] = [mapOf(outputs.masks, object), mapOf(outputs.heatmaps, object)];
    found[pictures[object]!]!.push({
      label: classes[object]!,
      score,
      box,
      ...(mask && { mask }),
      ...(heatmaps && { heatmaps }),
    });
  }
  return found;
}
