// Which detections of one frame after another are the same object: ByteTrack (Zhang et al. 2022, arXiv 2110.06864), which keeps the
// detections of low score for objects that it knows already, since a hidden or blurred object is found with a low score.
import type { BoxXywh } from '../boxes/box.js';
import { boxIouMatrix } from '../boxes/box-iou-matrix.js';
import { InputError } from '../errors/index.js';
import type { Detection } from '../formats/dataset.js';
import { assignWithin } from './assignment.js';
import { BoxMotion } from './box-motion.js';

/** What is followed: a `Detection`. */
export interface TrackedItem {
  readonly categoryId: number;
  readonly score: number;
  /** `[x, y, width, height]`; an item without, or with one that has no area, is not followed. */
  readonly bbox?: BoxXywh;
}

/** A detection in a frame of a film; `imageId` is the frame's number. */
export interface TrackedDetection extends Detection {
  /** The object that it is, a number from 1. */
  readonly trackId?: number;
}

export interface ByteTrackerOptions {
  /** Detections of at least this score are matched first, with all tracks. Default 0.6, the paper's. */
  readonly highScore?: number;
  /** Those from this score up to `highScore` are matched with the tracks that are left. Default 0.1. */
  readonly lowScore?: number;
  /** What no track takes begins one of its own from this score on. Default `highScore` + 0.1. */
  readonly newTrackScore?: number;
  /** A track that is not found in so many frames is over: a second of them, as a rule. Default 30. */
  readonly lostFrames?: number;
}

/** Largest costs at which a track takes a box: the first round's is 1 - IoU * score, the others' 1 - IoU. */
const FIRST_ROUND = 0.8;
const SECOND_ROUND = 0.5;
const NEW_TRACKS = 0.7;
/** A track in sight and a lost one whose boxes are nearer than this are one object. */
const SAME = 0.15;

type State =
  /** Seen once; over where the next frame does not show it. */
  'new' | 'seen' | 'lost';

interface Track {
  readonly id: number;
  readonly categoryId: number;
  readonly motion: BoxMotion;
  readonly firstFrame: number;
  lastFrame: number;
  state: State;
}

/** An item with its place among those of its frame. */
interface Found {
  readonly place: number;
  readonly item: TrackedItem & { readonly bbox: BoxXywh };
}

/**
 * Follows objects through the frames of one film. Objects of different categories are different objects. Boxes are matched by where
 * their tracks are expected to be ({@link BoxMotion}), exactly ({@link assignWithin}).
 */
export class ByteTracker {
  readonly #highScore: number;
  readonly #lowScore: number;
  readonly #newTrackScore: number;
  readonly #lostFrames: number;
  #tracks: Track[] = [];
  #frame = 0;
  #count = 0;

  /** @throws InputError where the scores are not 0 <= low <= high <= new track, or `lostFrames` is no whole number */
  constructor(options: ByteTrackerOptions = {}) {
    const { highScore = 0.6, lowScore = Math.min(0.1, highScore), lostFrames = 30 } = options;
    const { newTrackScore = Math.min(highScore + 0.1, 1) } = options;
    if (!(lowScore >= 0 && lowScore <= highScore && highScore <= newTrackScore))
      throw new InputError(
        'usage',
        `ByteTracker: lowScore ${lowScore}, highScore ${highScore}, newTrackScore ${newTrackScore} (expected 0 <= low <= high <= new track): correct them`,
      );
    if (!(Number.isInteger(lostFrames) && lostFrames >= 0))
      throw new InputError(
        'usage',
        `ByteTracker: lostFrames ${lostFrames} (expected a whole number of frames): correct it`,
      );
    this.#highScore = highScore;
    this.#lowScore = lowScore;
    this.#newTrackScore = newTrackScore;
    this.#lostFrames = lostFrames;
  }

  /** Tracks begun so far; their ids are 1 up to this. */
  get count(): number {
    return this.#count;
  }

  /**
   * Takes the next frame.
   * @param items all that was found in it, also at low scores, in any order
   * @returns the track of each, a number from 1; undefined for those that belong to none
   */
  update(items: readonly TrackedItem[]): (number | undefined)[] {
    this.#frame += 1;
    const ids = new Array<number | undefined>(items.length).fill(undefined);
    const found = items.flatMap((item, place) => (hasArea(item) ? [{ place, item }] : []));
    const high = found.filter(({ item }) => item.score >= this.#highScore);
    const low = found.filter(({ item }) => item.score >= this.#lowScore && item.score < this.#highScore);
    for (const { motion, state } of this.#tracks) motion.predict(state !== 'lost');

    const take = (track: Track, { place, item }: Found): void => {
      track.motion.update(item.bbox);
      track.state = 'seen';
      track.lastFrame = this.#frame;
      ids[place] = track.id;
    };
    const known = this.#tracks.filter(({ state }) => state !== 'new');
    const first = match(known, high, FIRST_ROUND, { byScore: true });
    for (const [track, one] of first.pairs) take(track, one);
    // A lost track would take any box of low score that comes near it.
    const inSight = first.tracks.filter(({ state }) => state === 'seen');
    const second = match(inSight, low, SECOND_ROUND);
    for (const [track, one] of second.pairs) take(track, one);
    for (const track of second.tracks) track.state = 'lost';

    const unconfirmed = this.#tracks.filter(({ state }) => state === 'new');
    const third = match(unconfirmed, first.found, NEW_TRACKS, { byScore: true });
    for (const [track, one] of third.pairs) take(track, one);
    const dropped = new Set(third.tracks);
    for (const { place, item } of third.found) {
      if (item.score < this.#newTrackScore) continue;
      const id = ++this.#count;
      // What the first frame shows was there before it.
      const state = this.#frame === 1 ? 'seen' : 'new';
      const motion = new BoxMotion(item.bbox);
      const frame = this.#frame;
      this.#tracks.push({ id, categoryId: item.categoryId, motion, state, firstFrame: frame, lastFrame: frame });
      ids[place] = id;
    }
    const isOver = (track: Track) => track.state === 'lost' && this.#frame - track.lastFrame > this.#lostFrames;
    this.#tracks = withoutTwins(this.#tracks.filter((track) => !dropped.has(track) && !isOver(track)));
    return ids;
  }
}

function hasArea(item: TrackedItem): item is TrackedItem & { readonly bbox: BoxXywh } {
  const { bbox } = item;
  return bbox?.every(Number.isFinite) === true && bbox[2] > 0 && bbox[3] > 0;
}

/** Pairs of a round, and what it leaves. */
interface Matched {
  readonly pairs: readonly (readonly [Track, Found])[];
  readonly tracks: readonly Track[];
  readonly found: readonly Found[];
}

function match(
  tracks: readonly Track[],
  found: readonly Found[],
  limit: number,
  { byScore = false }: { readonly byScore?: boolean } = {},
): Matched {
  const iou = boxIouMatrix(
    tracks.map(({ motion }) => motion.box),
    found.map(({ item }) => item.bbox),
  );
  const costs = iou.map((overlap, at) => {
    const track = tracks[Math.floor(at / found.length)]!;
    const { item } = found[at % found.length]!;
    return track.categoryId === item.categoryId ? 1 - overlap * (byScore ? item.score : 1) : 1;
  });
  const columns = assignWithin(costs, tracks.length, found.length, limit);
  const taken = new Set(columns);
  return {
    pairs: tracks.flatMap((track, row) => (columns[row]! >= 0 ? [[track, found[columns[row]!]!] as const] : [])),
    tracks: tracks.filter((_, row) => columns[row] === -1),
    found: found.filter((_, column) => !taken.has(column)),
  };
}

/** Of a track in sight and a lost one at the same place, the one that was seen for longer. */
function withoutTwins(tracks: readonly Track[]): Track[] {
  const lost = tracks.filter(({ state }) => state === 'lost');
  if (lost.length === 0) return [...tracks];
  const others = tracks.filter(({ state }) => state !== 'lost');
  const iou = boxIouMatrix(
    others.map(({ motion }) => motion.box),
    lost.map(({ motion }) => motion.box),
  );
  const dropped = new Set<Track>();
  others.forEach((track, row) => {
    lost.forEach((twin, column) => {
      if (track.categoryId !== twin.categoryId || 1 - iou[row * lost.length + column]! >= SAME) return;
      const age = (one: Track) => one.lastFrame - one.firstFrame;
      dropped.add(age(track) > age(twin) ? twin : track);
    });
  });
  return tracks.filter((track) => !dropped.has(track));
}
