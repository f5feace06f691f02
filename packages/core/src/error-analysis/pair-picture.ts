// Which detections and objects of one picture belong together. A report's page runs this very file after a slider has moved: it
// imports nothing.

/** How much a picture's detections and objects overlap; both by their places. */
export interface PictureOverlaps {
  /** Number of objects, crowds aside. */
  readonly objects: number;
  /** Of each detection, best first. */
  readonly score: ArrayLike<number>;
  /**
   * What detection d overlaps is `nearObject` and `nearIou` from `nearStart[d]` to `nearStart[d + 1]`, the largest IoU first, of
   * equal ones the first object.
   */
  readonly nearStart: ArrayLike<number>;
  readonly nearObject: ArrayLike<number>;
  readonly nearIou: ArrayLike<number>;
  /** The largest share of each detection that lies in one crowd; 0 without crowds. */
  readonly crowdShare: ArrayLike<number>;
}

export interface PairThresholds {
  /** Detections with a lower score do not count, 0 to 1. */
  readonly scoreThreshold: number;
  /** IoU from which a detection and an object belong together, 0 to 1. */
  readonly iouThreshold: number;
}

/**
 * Best score first, each detection takes the free object of any category that it overlaps most; what is left of either side is
 * alone. A free detection more than `iouThreshold` of which lies in a crowd does not count.
 * @param add is told of each pair, by places; -1 stands for no object, or no detection
 */
export function pairPicture(
  picture: PictureOverlaps,
  { scoreThreshold, iouThreshold }: PairThresholds,
  add: (object: number, detection: number) => void,
): void {
  const { objects, score, nearStart, nearObject, nearIou, crowdShare } = picture;
  const isTaken = new Uint8Array(objects);
  for (let d = 0; d < score.length; d++) {
    if (score[d]! < scoreThreshold) continue;
    const end = nearStart[d + 1]!;
    let place = nearStart[d]!;
    while (place < end && isTaken[nearObject[place]!]) place++;
    if (place < end && nearIou[place]! >= iouThreshold) {
      const object = nearObject[place]!;
      isTaken[object] = 1;
      add(object, d);
    } else if (!(crowdShare[d]! > iouThreshold)) {
      add(-1, d);
    }
  }
  for (let object = 0; object < objects; object++) if (!isTaken[object]) add(object, -1);
}
