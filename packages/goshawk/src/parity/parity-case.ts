// What the comparisons with the original systems share: a case's numbers, and how close is close enough.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Detection, RgbImage } from '@goshawk/core';
import { openSafetensors, ops, scope, type Tensor } from '@goshawk/torch';
import { decodeImageFile } from '../data/index.js';
import type { StateEntry } from './parity-weights.js';

/** The values of a case's activation that its file holds: so many, evenly spaced. */
const SAMPLED = 512;

/** One folder of fixtures/; see fixtures/README.md. */
export class ParityCase<Facts> {
  readonly facts: Facts;
  readonly #folder: string;

  constructor(name: string) {
    // dist/parity/ -> src/parity/: the fixtures are not compiled.
    this.#folder = fileURLToPath(new URL(`../../src/parity/fixtures/${name}/`, import.meta.url));
    this.facts = JSON.parse(readFileSync(`${this.#folder}case.json`, 'utf8')) as Facts;
  }

  state(): StateEntry[] {
    return JSON.parse(readFileSync(`${this.#folder}state.json`, 'utf8')) as StateEntry[];
  }

  image(name: string): Promise<RgbImage> {
    return decodeImageFile(`${this.#folder}${name}`);
  }

  /** Of everything in the file. */
  names(): readonly string[] {
    const file = openSafetensors(`${this.#folder}expected.safetensors`);
    try {
      return [...file.names];
    } finally {
      file.close();
    }
  }

  shape(name: string): readonly number[] {
    return this.#read(name).shape;
  }

  numbers(name: string): Float32Array {
    const { data } = this.#read(name);
    return new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  }

  integers(name: string): number[] {
    const { data } = this.#read(name);
    return Array.from(new BigInt64Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength)), Number);
  }

  /** An activation against the sample of it: 1e-4 relative, and of the root mean square near zero. */
  checkSample(name: string, map: Tensor): void {
    const values = map.contiguous().toFloat32Array();
    const wanted = this.numbers(`sample/${name}`);
    const picked = wanted.map(
      (_, k) => values[values.length <= SAMPLED ? k : Math.floor((k * values.length) / SAMPLED)]!,
    );
    const scale = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    assertAllClose(name, picked, wanted, { relative: 1e-4, absolute: 1e-4 * scale });
  }

  /** The largest difference of an activation from the sample of it, relative to the value and the root mean square. */
  sampleDifference(name: string, map: Tensor): number {
    const values = map.contiguous().toFloat32Array();
    const wanted = this.numbers(`sample/${name}`);
    const scale = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    return wanted.reduce((worst, value, k) => {
      const own = values[values.length <= SAMPLED ? k : Math.floor((k * values.length) / SAMPLED)]!;
      return Math.max(worst, Math.abs(own - value) / (Math.abs(value) + scale));
    }, 0);
  }

  #read(name: string) {
    const file = openSafetensors(`${this.#folder}expected.safetensors`);
    try {
      return file.read(name);
    } finally {
      file.close();
    }
  }
}

export function assertAllClose(
  name: string,
  actual: ArrayLike<number>,
  wanted: ArrayLike<number>,
  { relative = 0, absolute = 0 }: { readonly relative?: number; readonly absolute?: number },
): void {
  assert.equal(actual.length, wanted.length, `${name}: number of values`);
  let worst = { index: -1, excess: 0 };
  for (let index = 0; index < wanted.length; index++) {
    const excess = Math.abs(actual[index]! - wanted[index]!) - (absolute + relative * Math.abs(wanted[index]!));
    if (!(excess <= worst.excess)) worst = { index, excess };
  }
  assert.ok(worst.index < 0, `${name}[${worst.index}]: got ${actual[worst.index]}, expected ${wanted[worst.index]}`);
}

/**
 * Maps against samples of them, evenly spaced: within `part` of the value, and of the map's root mean square near zero. Values are
 * compared in the maps' own type.
 */
export function assertSamples(maps: readonly Tensor[], samples: readonly (readonly number[])[], part: number): void {
  assert.equal(maps.length, samples.length);
  for (const [at, wanted] of samples.entries()) {
    const values = maps[at]!.detach().contiguous().toTypedArray();
    const picked = wanted.map((_, k) => Number(values[Math.floor((k * values.length) / wanted.length)]!));
    const scale = Math.sqrt(wanted.reduce((sum, value) => sum + value * value, 0) / wanted.length);
    assertAllClose(`map ${at}`, picked, wanted, { relative: part, absolute: part * scale });
  }
}

export interface ExpectedDetection {
  readonly label: number;
  readonly score: number;
  /** x1, y1, x2, y2. */
  readonly box: ArrayLike<number>;
}

/**
 * Pairs what was found with what is expected, as sets: the same class, scores within 5e-5, corners within 0.02 pixels. Both sides round
 * in float32 through some hundred layers, which moved scores by 1.8e-5 and corners by 3e-4 pixels, one of MobileNetV3's with libtorch 1.13
 * on AVX2 by 0.0073: there float32 is up to 0.022 network pixels from float64, Winograd or not, with 2.14 0.003.
 * @returns for each expected one its counterpart
 */
export function matchDetections(found: readonly Detection[], expected: readonly ExpectedDetection[]): Detection[] {
  assert.equal(found.length, expected.length, 'number of detections');
  const left = new Set(found);
  return expected.map(({ label, score, box }, index) => {
    const match = [...left].find(
      (own) => own.categoryId === label && Math.abs(own.score - score) < 5e-5 && cornerDistance(own, box) < 0.02,
    );
    assert.ok(match, `detection ${index} (class ${label}, score ${score}) has no counterpart`);
    left.delete(match);
    return match;
  });
}

/**
 * How far what was found is from what is expected, each paired with the nearest of its class.
 * @returns expected ones without a counterpart within a pixel, and the largest distances of the others
 */
export function farthest(
  found: readonly Detection[],
  expected: readonly ExpectedDetection[],
): { readonly missing: number; readonly corners: number; readonly scores: number } {
  const left = new Set(found);
  let [missing, corners, scores] = [0, 0, 0];
  for (const { label, score, box } of expected) {
    const near = [...left]
      .filter(({ categoryId }) => categoryId === label)
      .map((own) => ({ own, distance: cornerDistance(own, box) }))
      .sort((a, b) => a.distance - b.distance)[0];
    if (near === undefined || !(near.distance < 1)) {
      missing++;
      continue;
    }
    left.delete(near.own);
    corners = Math.max(corners, near.distance);
    scores = Math.max(scores, Math.abs(near.own.score - score));
  }
  return { missing, corners, scores };
}

function cornerDistance({ bbox }: Detection, corners: ArrayLike<number>): number {
  const [x = 0, y = 0, width = 0, height = 0] = bbox ?? [];
  return Math.max(...[x, y, x + width, y + height].map((value, i) => Math.abs(value - corners[i]!)));
}

/** The Euclidean norm of a gradient. */
export function normOf(gradient: Tensor): number {
  return scope(() => ops.linalg_vector_norm(gradient, { dtype: 'float64' }).item());
}
