// JPEG files to padded batches, decoded, resized and normalised: pictures a second of one core, next to torch's DataLoader.
//
//     node bench/dist/loading.js PHOTOS [--python PYTHON] [--rounds 5] [--batch 4] [--pictures 40] [--passes 3] [--short 800] [--long 1333]
//
// PHOTOS is a folder of JPEGs. PYTHON needs torch, torchvision, pillow and opencv-python-headless; default: the environment's
// GOSHAWK_PEER_PYTHON, else python3; its allocator is told to keep memory. Both sides take turns by each of three ways to resize; what
// is counted is the processor's time of all threads, so that another program on the machine does not matter much. A turn goes several times
// over the photos, as a training does: of the first pass a good part is the system's, which hands out the memory of the batches.
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { type ResizeKernel, torchvisionPreprocess } from '@goshawk/core';
import { createLoader, openCocoDataset, readImageHeader } from 'goshawk';
import { median, PeerProcess } from './peer-process.js';

/** Least ratio of our rate to the peer's. */
const REQUIRED = 1.5;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    rounds: { type: 'string', default: '5' },
    batch: { type: 'string', default: '4' },
    pictures: { type: 'string', default: '40' },
    passes: { type: 'string', default: '3' },
    short: { type: 'string', default: '800' },
    long: { type: 'string', default: '1333' },
  },
});
const [folder] = positionals;
if (folder === undefined) throw new Error('name a folder of JPEGs');
const [batch, short, long] = [options.batch, options.short, options.long].map(Number) as [number, number, number];
const photos = (readdirSync(folder, { recursive: true }) as string[])
  .filter((name) => /\.jpe?g$/i.test(name))
  .sort()
  .slice(0, Number(options.pictures))
  .map((name) => resolve(join(folder, name)));
const passes = Number(options.passes);
const paths = Array.from({ length: passes }, () => photos).flat();

// OpenCV turns pictures as their EXIF orientation says, the others do not: photos without one make no difference.
const images = await Promise.all(
  paths.map(async (path, index) => {
    const { width, height } = await readImageHeader(path, { exifOrientation: 'ignore' });
    return { id: index + 1, file_name: relative('/', path), width, height };
  }),
);
const scratch = mkdtempSync(join(tmpdir(), 'goshawk-loading-'));
const annotations = join(scratch, 'photos.json');
writeFileSync(annotations, JSON.stringify({ images, annotations: [], categories: [{ id: 1, name: 'thing' }] }));
const dataset = openCocoDataset({ annotations, images: '/' }, { exifOrientation: 'ignore' });

async function ours(kernel: ResizeKernel): Promise<number> {
  const before = process.cpuUsage();
  const preprocess = {
    ...torchvisionPreprocess,
    resize: { ...torchvisionPreprocess.resize, kernel, minSize: short, maxSize: long },
  };
  for await (const { release } of createLoader({ dataset, batchSize: batch, preprocess, workers: 0 })) release();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1e6;
}

const keepMemory = {
  MALLOC_MMAP_THRESHOLD_: '1073741824',
  MALLOC_TRIM_THRESHOLD_: '2147483647',
  MALLOC_TOP_PAD_: '67108864',
};
const script = fileURLToPath(new URL('../peers/loading.py', import.meta.url));
const peer = new PeerProcess(options.python, [script], { ...process.env, ...keepMemory });
try {
  const { version } = await peer.ask<{ version: string }>({ open: paths, batch, short, long });
  console.log(
    `${photos.length} JPEGs, ${passes} times a turn, short side ${short}, batches of ${batch}, ${options.rounds} turns; ${version}`,
  );
  for (const kernel of ['torch', 'opencv', 'pil'] as const) {
    const theirs = async () => (await peer.ask<{ seconds: number }>({ way: kernel })).seconds;
    const seconds: { ours: number[]; theirs: number[] } = { ours: [], theirs: [] };
    // The first turns compile and fill caches.
    for (let round = -1; round < Number(options.rounds); round++) {
      const [own, other] = [await ours(kernel), await theirs()];
      if (round < 0) continue;
      seconds.ours.push(own);
      seconds.theirs.push(other);
    }
    const rate = (of: readonly number[]) => paths.length / median(of);
    const ratios = seconds.ours.map((own, round) => seconds.theirs[round]! / own);
    const ratio = rate(seconds.ours) / rate(seconds.theirs);
    if (ratio < REQUIRED) process.exitCode = 1;
    console.log(
      `${kernel.padEnd(6)} ours ${rate(seconds.ours).toFixed(1)}, DataLoader ${rate(seconds.theirs).toFixed(1)} pictures/s of a core, ` +
        `ratio ${ratio.toFixed(2)} (${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}, required ${REQUIRED})`,
    );
  }
} finally {
  peer.close();
  rmSync(scratch, { recursive: true });
}
