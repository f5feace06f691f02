// The two box conventions, as types that the compiler keeps apart, and the conversions between them.

declare const convention: unique symbol;

/** `[x1, y1, x2, y2]` in pixels, continuous coordinates: width is x2 - x1 (no +1). */
export type BoxXyxy = readonly [number, number, number, number] & { readonly [convention]: 'xyxy' };

/** `[x, y, width, height]` in pixels as in COCO files; (x, y) is the upper left corner. */
export type BoxXywh = readonly [number, number, number, number] & { readonly [convention]: 'xywh' };

export function boxXyxy(x1: number, y1: number, x2: number, y2: number): BoxXyxy {
  return [x1, y1, x2, y2] as unknown as BoxXyxy;
}

export function boxXywh(x: number, y: number, width: number, height: number): BoxXywh {
  return [x, y, width, height] as unknown as BoxXywh;
}

export function xywhToXyxy(box: BoxXywh): BoxXyxy {
  return boxXyxy(box[0], box[1], box[0] + box[2], box[1] + box[3]);
}

export function xyxyToXywh(box: BoxXyxy): BoxXywh {
  return boxXywh(box[0], box[1], box[2] - box[0], box[3] - box[1]);
}
