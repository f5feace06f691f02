// Mask R-CNN R-50-FPN against torchvision's on the same engine, threads and scenes, in turns.
// Usage: node bench/dist/mask-rcnn.js [--python PYTHON] [--rounds N] [--threads N] [--only train|predict] [--precision fp32|bf16]
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, PeerProcess } from './peer-process.js';

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    only: { type: 'string' },
    precision: { type: 'string' },
  },
});
/** One step or prediction; objects found in the first picture, to see that both sides have as much to do. */
interface Run {
  readonly seconds: number;
  readonly objects: number;
}

const rounds = Number(values.rounds);
const cases = [
  { mode: 'train', size: [512, 512], images: 2, required: 0.9 },
  { mode: 'predict', size: [800, 1066], images: 1, required: 0.9 },
] as const;

for (const { mode, size, images, required } of cases) {
  if (values.only && values.only !== mode) continue;
  for (const precision of ['fp32', 'bf16'] as const) {
    if (values.precision && values.precision !== precision) continue;
    const setup = { do: 'setup', threads: Number(values.threads), size, images, mode, precision };
    const env = { ...process.env, OMP_NUM_THREADS: values.threads };
    const ours = new PeerProcess(
      process.execPath,
      [fileURLToPath(new URL('./mask-rcnn-ours.js', import.meta.url))],
      env,
    );
    const theirs = new PeerProcess(
      values.python,
      [fileURLToPath(new URL('../peers/mask_rcnn.py', import.meta.url))],
      env,
    );
    try {
      const us = await ours.ask<{ version: string }>(setup);
      const them = await theirs.ask<{ version: string; torchvision: string }>(setup);
      const times: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
      let objects = [0, 0];
      // The first round pays for allocations and for oneDNN's choice of kernels, on both sides.
      for (let round = -1; round < rounds; round++) {
        const own = await ours.ask<Run>({ do: 'run' });
        const other = await theirs.ask<Run>({ do: 'run' });
        objects = [own.objects, other.objects];
        if (round < 0) continue;
        times.ours.push(own.seconds);
        times.theirs.push(other.seconds);
      }
      const peaks = await Promise.all([ours, theirs].map((side) => side.ask<{ peak_bytes: number }>({ do: 'memory' })));
      const ratio = median(times.ours) / median(times.theirs);
      const spread = times.ours.map((own, round) => own / times.theirs[round]!);
      const memory = peaks[0]!.peak_bytes / peaks[1]!.peak_bytes;
      console.log(
        `${mode} ${precision} ${images} x ${size.join('x')}, ${values.threads} threads: ours ${median(times.ours).toFixed(3)} s, torchvision ${median(times.theirs).toFixed(3)} s, ` +
          `ratio ${ratio.toFixed(3)} (${Math.min(...spread).toFixed(3)}..${Math.max(...spread).toFixed(3)}, required ${required}); ` +
          `${mode === 'predict' ? `${objects.join(' and ')} objects; ` : ''}peak memory ${(peaks[0]!.peak_bytes / 1e9).toFixed(2)} / ${(peaks[1]!.peak_bytes / 1e9).toFixed(2)} GB = ${memory.toFixed(2)}; ` +
          `libtorch ${us.version} / torch ${them.version}, torchvision ${them.torchvision}`,
      );
    } finally {
      ours.close();
      theirs.close();
    }
  }
}
