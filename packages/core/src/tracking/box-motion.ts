// Where a box will be: a Kalman filter of constant velocity over its centre, its aspect and its height, as SORT (Bewley et al. 2016,
// arXiv 1602.00763) and DeepSORT (Wojke et al. 2017, arXiv 1703.07402) have it and ByteTrack takes it. Time is counted in frames.
import { type BoxXywh, boxXywh } from '../boxes/box.js';

/** One coordinate: its value and velocity with their covariance. */
interface Coordinate {
  value: number;
  velocity: number;
  /** Variances of both, and what they share. */
  valueVariance: number;
  velocityVariance: number;
  covariance: number;
}

// DeepSORT's weights: the box's height times these is the standard deviation of a position and of a velocity, in motion and in
// measurement; those of the aspect are numbers of their own.
const POSITION = 1 / 20;
const VELOCITY = 1 / 160;
const ASPECT = { start: 1e-2, startVelocity: 1e-5, motion: 1e-2, motionVelocity: 1e-5, measured: 1e-1 } as const;
/** An unseen box is first known this many times worse than it moves from frame to frame. */
const START_POSITION = 2;
const START_VELOCITY = 10;

/**
 * The noise of DeepSORT's model is diagonal and its motion couples a coordinate with its own velocity alone, so that the filter of eight
 * numbers is four filters of two.
 */
export class BoxMotion {
  readonly #x: Coordinate;
  readonly #y: Coordinate;
  readonly #aspect: Coordinate;
  readonly #height: Coordinate;

  /** @param box with a width and a height above 0 */
  constructor(box: BoxXywh) {
    const [x, y, aspect, height] = measuresOf(box);
    const position = START_POSITION * POSITION * height;
    const velocity = START_VELOCITY * VELOCITY * height;
    this.#x = startingAt(x, position, velocity);
    this.#y = startingAt(y, position, velocity);
    this.#aspect = startingAt(aspect, ASPECT.start, ASPECT.startVelocity);
    this.#height = startingAt(height, position, velocity);
  }

  /** Where the box is expected now. */
  get box(): BoxXywh {
    const height = Math.max(this.#height.value, Number.MIN_VALUE);
    const width = Math.max(this.#aspect.value, 0) * height;
    return boxXywh(this.#x.value - width / 2, this.#y.value - height / 2, width, height);
  }

  /** One frame on. @param isSeen a box that is not in sight neither grows nor shrinks */
  predict(isSeen: boolean): void {
    if (!isSeen) this.#height.velocity = 0;
    const height = Math.max(this.#height.value, 0);
    for (const coordinate of [this.#x, this.#y, this.#height]) move(coordinate, POSITION * height, VELOCITY * height);
    move(this.#aspect, ASPECT.motion, ASPECT.motionVelocity);
  }

  /** Takes in where the box was found. */
  update(box: BoxXywh): void {
    const [x, y, aspect, height] = measuresOf(box);
    const noise = POSITION * Math.max(this.#height.value, 0);
    correct(this.#x, x, noise);
    correct(this.#y, y, noise);
    correct(this.#aspect, aspect, ASPECT.measured);
    correct(this.#height, height, noise);
  }
}

function measuresOf([x, y, width, height]: BoxXywh): [number, number, number, number] {
  return [x + width / 2, y + height / 2, width / height, height];
}

function startingAt(value: number, deviation: number, velocityDeviation: number): Coordinate {
  return {
    value,
    velocity: 0,
    valueVariance: deviation ** 2,
    velocityVariance: velocityDeviation ** 2,
    covariance: 0,
  };
}

function move(coordinate: Coordinate, noise: number, velocityNoise: number): void {
  const { velocity, covariance, velocityVariance } = coordinate;
  coordinate.value += velocity;
  coordinate.valueVariance += 2 * covariance + velocityVariance + noise ** 2;
  coordinate.covariance += velocityVariance;
  coordinate.velocityVariance += velocityNoise ** 2;
}

function correct(coordinate: Coordinate, measured: number, noise: number): void {
  const { value, valueVariance, covariance } = coordinate;
  const spread = valueVariance + noise ** 2;
  const gain = valueVariance / spread;
  const velocityGain = covariance / spread;
  coordinate.value += gain * (measured - value);
  coordinate.velocity += velocityGain * (measured - value);
  coordinate.valueVariance -= gain * valueVariance;
  coordinate.velocityVariance -= velocityGain * covariance;
  coordinate.covariance -= gain * covariance;
}
