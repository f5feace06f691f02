// What a server of detections is told, and what it holds to where it is told nothing.

export interface ServeLimits {
  /** Of a request's body, bytes; checked before and while it comes. */
  readonly maxBytes: number;
  /** Width * height of a picture, checked on its header before it is decoded. */
  readonly maxPixels: number;
  /** Of one request. */
  readonly maxPictures: number;
  /** Pictures that wait; where no more have room, requests are refused with 429. */
  readonly queue: number;
  /** Seconds from a request's last byte to its answer. */
  readonly deadline: number;
  /** Seconds that a request may take to arrive. */
  readonly arrival: number;
}

export const defaultLimits: ServeLimits = {
  maxBytes: 20e6,
  maxPixels: 50e6,
  maxPictures: 16,
  queue: 64,
  deadline: 30,
  arrival: 30,
};

/** Bytes of bodies that are held at once, of all requests together, arriving and waiting. */
export const heldBytes = (limits: ServeLimits): number => Math.max(256e6, 2 * limits.maxBytes);

/** How long after an end is asked for a connection without a request stays open, for one that is on its way. */
export const IDLE_GRACE_MS = 1000;

/** Of one client or all together; more are not taken. */
export const MOST_CONNECTIONS = 1024;

/** What detections are kept where a request does not say. */
export interface DetectDefaults {
  /** Of each category, by its id. */
  readonly thresholds: ReadonlyMap<number, number>;
  readonly maxDetections: number;
}
