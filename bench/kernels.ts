// The detection kernels against torchvision's, and batch norm against PyTorch's, on inputs of one shape and threads, in turns.
// Usage: node bench/dist/kernels.js [--python PYTHON] [--rounds N] [--threads N] [--only WORD]
//
// PYTHON needs torchvision; default: the environment's GOSHAWK_PEER_PYTHON, else python3. For the same engine on both
// sides name PYTHON's torch folder in LIBTORCH.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import {
  batchedNms,
  batchNormTraining,
  engineInfo,
  grad,
  masksToRle,
  matchAnchors,
  nms,
  ones,
  ops,
  randn,
  roiAlign,
  scope,
  setThreads,
  type Tensor,
  tensor,
  zeros,
} from '@goshawk/torch';
import { median, PeerProcess } from './peer-process.js';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    rounds: { type: 'string', default: '9' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
  },
});

/** What both sides are told to time; peers/kernels.py knows the same kinds. */
type Task =
  | { kind: 'roi_align'; pass: 'forward' | 'backward'; dtype: 'float32' | 'bfloat16'; rois: number[][]; bins: number }
  | { kind: 'batch_norm'; pass: 'forward' | 'backward'; dtype: 'float32' | 'bfloat16'; shape: readonly number[] }
  | { kind: 'nms'; boxes: number[][]; scores: number[]; threshold: number }
  | { kind: 'batched_nms'; boxes: number[][]; scores: number[]; groups: number[]; threshold: number }
  | { kind: 'match'; objects: number[][]; anchors: number[][] }
  | { kind: 'paste'; boxes: number[][]; resolution: number; size: number };

const IMAGES = 2;
const MAP = [IMAGES, 256, 128, 128] as const;
const STRIDE = 4;

let seed = 1;
/** Park and Miller's generator (1988), so that a run repeats; in [0, 1). */
function random(): number {
  seed = (seed * 48271) % 2147483647;
  return seed / 2147483647;
}

function boxes(count: number, least: number, most: number, size: number): number[][] {
  return Array.from({ length: count }, () => {
    const [width, height] = [least + random() * (most - least), least + random() * (most - least)];
    const [x, y] = [random() * (size - width), random() * (size - height)];
    return [x, y, x + width, y + height].map(Math.fround);
  });
}

/** RoIs of the sizes that a pyramid's finest level is given: 16 to 112 px at stride 4. */
function rois(count: number): number[][] {
  return boxes(count, 16, 112, MAP[2] * STRIDE).map((box, k) => [k % IMAGES, ...box]);
}

function numbers(count: number, below = 1): number[] {
  return Array.from({ length: count }, () => Math.fround(random() * below));
}

const box = rois(1000);
const mask = rois(256);
const many = boxes(8000, 16, 250, 800);
const scores = numbers(8000);
const tasks: Record<string, Task> = {
  'roi_align forward, 1000 RoIs 7x7': { kind: 'roi_align', pass: 'forward', dtype: 'float32', rois: box, bins: 7 },
  'roi_align backward, 1000 RoIs 7x7': { kind: 'roi_align', pass: 'backward', dtype: 'float32', rois: box, bins: 7 },
  'roi_align forward, 256 RoIs 14x14': { kind: 'roi_align', pass: 'forward', dtype: 'float32', rois: mask, bins: 14 },
  'roi_align backward, 256 RoIs 14x14': { kind: 'roi_align', pass: 'backward', dtype: 'float32', rois: mask, bins: 14 },
  'roi_align bf16 forward, 1000 RoIs 7x7': {
    kind: 'roi_align',
    pass: 'forward',
    dtype: 'bfloat16',
    rois: box,
    bins: 7,
  },
  'roi_align bf16 backward, 1000 RoIs 7x7': {
    kind: 'roi_align',
    pass: 'backward',
    dtype: 'bfloat16',
    rois: box,
    bins: 7,
  },
  'nms, 2000 boxes': { kind: 'nms', boxes: many.slice(0, 2000), scores: scores.slice(0, 2000), threshold: 0.7 },
  'batched nms, 8000 boxes in 5 levels': {
    kind: 'batched_nms',
    boxes: many,
    scores,
    groups: numbers(8000, 5).map(Math.floor),
    threshold: 0.7,
  },
  'batched nms, 8000 boxes in 80 classes': {
    kind: 'batched_nms',
    boxes: many,
    scores,
    groups: numbers(8000, 80).map(Math.floor),
    threshold: 0.5,
  },
  'match, 65000 anchors x 30 objects': {
    kind: 'match',
    objects: boxes(30, 16, 400, 800),
    anchors: boxes(65000, 16, 500, 800),
  },
  'paste, 100 masks into 800 x 800 and encode': {
    kind: 'paste',
    boxes: boxes(100, 16, 400, 800),
    resolution: 28,
    size: 800,
  },
};

for (const dtype of ['float32', 'bfloat16'] as const) {
  for (const shape of [
    [2, 64, 320, 320],
    [2, 64, 160, 160],
    [2, 256, 80, 80],
    [2, 1024, 40, 40],
  ]) {
    for (const pass of ['forward', 'backward'] as const) {
      tasks[`batch norm ${dtype} ${pass}, ${shape.join('x')}`] = { kind: 'batch_norm', pass, dtype, shape };
    }
  }
}

/** Our side of a task: its work as a function without arguments. */
function prepare(task: Task): () => void {
  switch (task.kind) {
    case 'roi_align': {
      const map = ops.contiguous(randn(MAP).to(task.dtype), { memory_format: 'channels_last' });
      const where = tensor(task.rois);
      const align = (input: Tensor): Tensor =>
        roiAlign(input, where, { spatialScale: 1 / STRIDE, outputSize: task.bins, samplingRatio: 2 });
      if (task.pass === 'forward') return () => void align(map);
      map.requiresGrad = true;
      const pooled = align(map);
      const gradient = ops.randn_like(pooled);
      return () => void grad([pooled], [map], { gradients: [gradient], retainGraph: true });
    }
    case 'batch_norm': {
      const channels = task.shape[1]!;
      const placed = (values: Tensor): Tensor => values.to(task.dtype).to({ memoryFormat: 'channels_last' });
      const input = placed(randn(task.shape));
      const [weight, bias] = [ones([channels]), zeros([channels])];
      const state = { weight, bias, runningMean: zeros([channels]), runningVar: ones([channels]) };
      const norm = (): Tensor => batchNormTraining(input, state, { momentum: 0.1, eps: 1e-5 });
      if (task.pass === 'forward') return () => void norm();
      for (const leaf of [input, weight, bias]) leaf.requiresGrad = true;
      const output = norm();
      const gradient = placed(randn(task.shape));
      return () => void grad([output], [input, weight, bias], { gradients: [gradient], retainGraph: true });
    }
    case 'nms': {
      const [found, score] = [tensor(task.boxes), tensor(task.scores)];
      return () => void nms(found, score, task.threshold);
    }
    case 'batched_nms': {
      const [found, score] = [tensor(task.boxes), tensor(task.scores)];
      const groups = tensor(task.groups, { dtype: 'int64' });
      return () => void batchedNms(found, score, groups, task.threshold);
    }
    case 'match': {
      const [objects, anchors] = [tensor(task.objects), tensor(task.anchors)];
      return () => void matchAnchors(objects, anchors, { low: 0.3, high: 0.7, allowLowQuality: true });
    }
    case 'paste': {
      const cells = ops.avg_pool2d(ops.rand([task.boxes.length, task.resolution, task.resolution]), [5, 5], {
        stride: [1, 1],
        padding: [2, 2],
      });
      const found = tensor(task.boxes);
      return () => void masksToRle(cells, found, { height: task.size, width: task.size });
    }
  }
}

function secondsOf(work: () => void): number {
  const begun = performance.now();
  scope(work);
  return (performance.now() - begun) / 1000;
}

const peer = new PeerProcess(options.python, [fileURLToPath(new URL('../peers/kernels.py', import.meta.url))], {
  ...process.env,
  OMP_NUM_THREADS: options.threads,
});
try {
  setThreads(Number(options.threads));
  const them = await peer.ask<{ torch: string; torchvision: string }>({
    do: 'hello',
    threads: Number(options.threads),
  });
  console.log(
    `${options.threads} threads; libtorch ${engineInfo().version}, torch ${them.torch} with torchvision ${them.torchvision}; ` +
      `feature maps ${MAP.join('x')}; medians of ${options.rounds} rounds`,
  );
  for (const [name, task] of Object.entries(tasks)) {
    if (options.only && !name.includes(options.only)) continue;
    await peer.ask({ do: 'prepare', task });
    const rounds = Number(options.rounds);
    const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    const work = prepare(task);
    for (let round = -1; round < rounds; round++) {
      const own = secondsOf(work);
      const { seconds } = await peer.ask<{ seconds: number }>({ do: 'run' });
      // The first round pays for the first touch of memory, on both sides.
      if (round < 0) continue;
      times.ours.push(own);
      times.theirs.push(seconds);
    }
    const ratios = times.ours.map((own, round) => own / times.theirs[round]!);
    const [ours, theirs] = [median(times.ours), median(times.theirs)];
    console.log(
      `${name}: ours ${(ours * 1e3).toFixed(2)} ms, theirs ${(theirs * 1e3).toFixed(2)} ms, ` +
        `ratio ${(ours / theirs).toFixed(3)} (${Math.min(...ratios).toFixed(3)}..${Math.max(...ratios).toFixed(3)})`,
    );
  }
} finally {
  peer.close();
}
