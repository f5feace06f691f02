// What a COCO annotation file is read for.

export interface CocoOptions {
  /** Stands at the head of every message. */
  readonly fileName: string;
  /** Masks are learned or evaluated: an annotation without one is skipped with a warning (an error in an evaluation). Default false. */
  readonly forMasks?: boolean;
  /**
   * `training` (the default): boxes are clipped to the picture; those without area or wholly outside are skipped with a
   * warning. `evaluation`: boxes stay as they are, as pycocotools takes them.
   */
  readonly purpose?: 'training' | 'evaluation';
  /** Whether every picture needs its file name and size. Default: for training. */
  readonly requireFiles?: boolean;
}
