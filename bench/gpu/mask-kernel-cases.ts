// Masks: what an RoI is to learn of an object's, and run lengths of what was found.
import { callOp, type Tensor, tensor, zeros } from '@goshawk/torch';
import { type KernelCase, run } from './kernel-case.js';
import type { Draw } from './kernel-draw.js';

export const cropMaskTargets: KernelCase[] = [14, 28].flatMap((resolution) =>
  [0, 1, 90].map(
    (count): KernelCase => ({
      name: `${count} RoIs, ${resolution}x${resolution}`,
      inputs: (draw) => {
        const sides = Array.from({ length: 6 }, () => [8 + draw.integer(50), 8 + draw.integer(50)] as const);
        let offset = 0;
        const rows = sides.map(([width, height]) => {
          const row = [offset, draw.integer(100), draw.integer(100), width, height];
          offset += width * height;
          return row;
        });
        const pixels = draw.integers([offset], 2).to({ dtype: 'uint8' });
        const crops = tensor(BigInt64Array.from(rows.flat(), BigInt), { shape: [6, 5] });
        return [pixels, crops, draw.boxes(count, { size: 170 }), draw.integers([count], 6)];
      },
      compute: (pixels, crops, rois, objects) =>
        run('crop_mask_targets', pixels!, crops!, rois!, objects!, 160, 170, resolution),
      tolerance: 1e-5,
    }),
  ),
);

export const masksToRle: KernelCase[] = [
  ...[0, 1].flatMap((padding) =>
    [false, true].map(
      (strict): KernelCase => ({
        name: `padding ${padding}${strict ? ', strictly above' : ''}`,
        inputs: (draw) => [smooth(draw, 40, 28), draw.boxes(40, { size: 220, most: 160 })],
        compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230, 0.5, strict, padding),
      }),
    ),
  ),
  {
    name: 'quarters, many of which are the threshold itself',
    inputs: (draw) => {
      const quarters = callOp('aten::round', callOp('aten::mul.Scalar', smooth(draw, 20, 28), 4) as Tensor) as Tensor;
      return [callOp('aten::div.Scalar', quarters, 4) as Tensor, draw.boxes(20, { size: 220, most: 160 })];
    },
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230),
  },
  {
    name: 'boxes over the border, empty and not finite',
    inputs: (draw) => {
      const boxes = [-20, -30, 60, 70, 150, 150, 400, 260, 10, 10, 10, 10, Number.NaN, 0, 5, 5, 500, 500, 600, 600];
      return [smooth(draw, 5, 28), tensor(boxes, { shape: [5, 4] })];
    },
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 200, 230),
  },
  {
    name: 'no masks',
    inputs: () => [zeros([0, 28, 28]), zeros([0, 4])],
    compute: (masks, boxes) => run('masks_to_rle', masks!, boxes!, 50, 60),
  },
];

/** Probabilities with an inside, an outside and a slope between them. */
function smooth(draw: Draw, count: number, side: number): Tensor {
  const data = new Float32Array(count * side * side);
  for (let i = 0; i < count; i++) {
    const [cx, cy, radius] = [draw.number(8, side - 8), draw.number(8, side - 8), draw.number(4, side / 2)];
    for (let y = 0; y < side; y++)
      for (let x = 0; x < side; x++) {
        const inside = 0.5 + (radius - Math.hypot(x - cx, y - cy)) / 4;
        data[(i * side + y) * side + x] = Math.min(1, Math.max(0, inside));
      }
  }
  return tensor(data, { shape: [count, side, side] });
}
