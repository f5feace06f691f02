// Single kernels that both sides time on the same sizes, by the names of kernel-names.ts.
import {
  batchedNms,
  grad,
  matchAnchors,
  nms,
  ops,
  Parameter,
  rand,
  randint,
  randn,
  roiAlignMultilevel,
  SGD,
  type Tensor,
  tensor,
  zeros,
} from '@goshawk/torch';

/** What is timed, its inputs made. */
export function kernelWork(name: string, device: string, quick: boolean): () => void {
  const [height, width] = quick ? [64, 96] : [800, 1088];
  const few = quick ? 10 : 1;
  const many = (count: number): number => Math.floor(count / few);
  if (name.startsWith('RoIAlign')) {
    const [count, side] = name.includes('14x14') ? [many(256), 14] : [many(1024), 7];
    const strides = [4, 8, 16, 32];
    const maps = strides.map((stride) =>
      randn([2, many(256), Math.floor(height / stride), Math.floor(width / stride)], { device }).to({
        memoryFormat: 'channels_last',
      }),
    );
    const boxes = randomBoxes(count, 16, Math.min(height, width) / 1.5, [height, width]);
    const rows = boxes.flatMap((box, index) => [index % 2, ...box]);
    const rois = tensor(Float32Array.from(rows), { shape: [count, 5] }).to({ device });
    const levels = tensor(
      BigInt64Array.from(boxes, (box) => BigInt(levelOf(box))),
      { shape: [count] },
    ).to({ device });
    const align = (): Tensor =>
      roiAlignMultilevel(maps, rois, levels, {
        ...{ outputSize: side, samplingRatio: 2 },
        spatialScales: strides.map((stride) => 1 / stride),
      });
    if (name.endsWith('forward')) return () => void align();
    for (const map of maps) map.requiresGrad = true;
    const slope = ops.mul(align().detach(), 1);
    return () => void grad([align()], maps, { gradients: [slope] });
  }
  if (name.startsWith('batched NMS')) {
    const count = many(4741);
    const boxes = boxesOn(device, count, 16, 200);
    const scores = rand([count]).to({ device });
    const groups = randint(0, 5, [count]).to({ device });
    return () => void batchedNms(boxes, scores, groups, 0.7);
  }
  if (name.startsWith('NMS')) {
    const count = many(1000);
    const [boxes, scores] = [boxesOn(device, count, 16, 200), rand([count]).to({ device })];
    return () => void nms(boxes, scores, 0.7);
  }
  if (name.startsWith('matching')) {
    const [objects, anchors] = [boxesOn(device, 7, 40, 240), boxesOn(device, many(217413), 16, 500)];
    return () => void matchAnchors(objects, anchors, { low: 0.3, high: 0.7, allowLowQuality: true });
  }
  if (name.startsWith('SGD')) {
    const parameters = Array.from({ length: many(80) }, () => {
      const parameter = new Parameter(randn([256, 256, 3, 3], { device }));
      parameter.sum().backward();
      return parameter;
    });
    const optimizer = new SGD(parameters, { lr: 1e-5, momentum: 0.9, weightDecay: 1e-4 });
    return () => optimizer.step();
  }
  const value = zeros([4], { device });
  return () => void ops.add(value, 1);
}

function randomBoxes(
  count: number,
  least: number,
  most: number,
  [height, width]: readonly [number, number],
): number[][] {
  return Array.from({ length: count }, () => {
    const [w, h] = [least + Math.random() * (most - least), least + Math.random() * (most - least)];
    const [x, y] = [Math.random() * Math.max(0, width - w), Math.random() * Math.max(0, height - h)];
    return [x, y, x + w, y + h];
  });
}

function boxesOn(device: string, count: number, least: number, most: number): Tensor {
  const rows = randomBoxes(count, least, most, [800, 1088]).flat();
  return tensor(Float32Array.from(rows), { shape: [count, 4] }).to({ device });
}

/** The pyramid's level for a box (Feature Pyramid Networks, 2017, equation 1), from the finest on. */
function levelOf([x1 = 0, y1 = 0, x2 = 0, y2 = 0]: readonly number[]): number {
  const level = Math.floor(4 + Math.log2(Math.sqrt((x2 - x1) * (y2 - y1)) / 224));
  return Math.min(3, Math.max(0, level - 2));
}
