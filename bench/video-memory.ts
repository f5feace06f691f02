// Resident memory of goshawk predict on a short video and on one twelve times as long, and how many frames a second it does: the
// memory must be the same. A small model learns made scenes, and the videos pass over such scenes: objects are found, followed and
// drawn in them.
//
//     node bench/dist/video-memory.js [--rate 10] [--threads 1] [--iterations 600]
//
// Exit code 1 when the long one takes 5% or more above the short one, has other frames or another length than its source, or shows
// fewer than one object a frame.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { goshawk, makeTinyTraining, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    rate: { type: 'string', default: '10' },
    threads: { type: 'string', default: '1' },
    iterations: { type: 'string', default: '600' },
  },
});

const LENGTHS = [10, 120];
const LIMIT = 0.05;
const SAMPLE_MS = 100;
/** What the videos pass over: so many pictures, one after another. */
const SCENES = 10;
/** Of a model that has learned for two minutes. */
const SCORE = '0.1';

const folder = mkdtempSync(join(tmpdir(), 'goshawk-video-memory-'));
try {
  const iterations = Number(options.iterations);
  const config = makeTinyTraining(folder, {
    images: 200,
    threads: Number(options.threads),
    train: { iterations, batchSize: 4, optimizer: { type: 'adamw', lr: 0.001 }, clipGradNorm: 10 },
  });
  const run = join(folder, 'run');
  runGoshawk(['train', config, '--output', run]);
  const weights = join(run, 'final.safetensors');
  const peaks: number[] = [];
  const pictures = makePictures();
  for (const seconds of LENGTHS) {
    const video = makeVideo(pictures, seconds);
    const found = join(folder, 'found');
    const { peak, output } = await predict([
      ...['predict', config, '--weights', weights, '--score-threshold', SCORE, '--output', found],
      video,
    ]);
    const [source, drawn] = [video, join(found, `${seconds}.mp4`)].map(factsOf);
    const [, objects = '0', frames = '0', tracks = '0'] =
      /(\d+) objects? in (\d+) frames?, (\d+) tracks?/.exec(output) ?? [];
    const rate = /^([\d.]+) frames\/s.*$/m.exec(output)?.[0] ?? '';
    console.log(
      `${seconds} s: ${(peak / 2 ** 20).toFixed(1)} MiB, ${drawn}, ${objects} objects, ${tracks} tracks; ${rate}`,
    );
    if (source !== drawn) fail(`the video has ${source}, the drawn one ${drawn}`);
    if (!(Number(objects) >= Number(frames))) fail(`${objects} objects in ${frames} frames: drawing was not tried`);
    peaks.push(peak);
  }
  const growth = peaks[1]! / peaks[0]! - 1;
  const text = `${(growth * 100).toFixed(2)}% from ${LENGTHS[0]} s to ${LENGTHS[1]} s, limit ${LIMIT * 100}%`;
  if (growth >= LIMIT) fail(text);
  else console.log(`ok: ${text}`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

function fail(text: string): void {
  console.log(`FAILED: ${text}`);
  process.exitCode = 1;
}

/** Scenes like those that the model learns, as large as the videos. @returns the pattern of their names */
function makePictures(): string {
  const scenes = join(folder, 'frames');
  const size = ['--size', '640x360', '--split', `all=${SCENES}`];
  runGoshawk(['data', 'synth', '--output', scenes, '--seed', '11', ...size]);
  return join(scenes, 'images', '%06d.png');
}

/** Each scene for a tenth of the time, moving to the side, over and over. */
function makeVideo(pictures: string, seconds: number): string {
  const file = join(folder, `${seconds}.mp4`);
  const rate = Number(options.rate);
  const inputs = [
    ...['-framerate', String(SCENES / LENGTHS[0]!), '-loop', '1', '-i', pictures],
    ...['-f', 'lavfi', '-i', `sine=duration=${seconds}`],
  ];
  const filters = ['-vf', `fps=${rate},scroll=horizontal=${0.04 / rate}`];
  const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  const length = ['-frames:v', String(rate * seconds), '-t', String(seconds)];
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...inputs, ...filters, ...codecs, ...length, file]);
  return file;
}

/** Frames, seconds and kinds of streams, in words. */
function factsOf(file: string): string {
  const entries = 'stream=codec_type,nb_frames:format=duration';
  const text = execFileSync('ffprobe', ['-loglevel', 'error', '-show_entries', entries, '-of', 'json', file], {
    encoding: 'utf8',
  });
  const { streams, format } = JSON.parse(text) as {
    readonly streams: readonly { readonly codec_type: string; readonly nb_frames: string }[];
    readonly format: { readonly duration: string };
  };
  const video = streams.find(({ codec_type }) => codec_type === 'video');
  const sound = streams.some(({ codec_type }) => codec_type === 'audio') ? 'sound' : 'no sound';
  return `${video?.nb_frames} frames, ${Number(format.duration).toFixed(2)} s, ${sound}`;
}

/** @returns the most resident memory that was seen, bytes */
async function predict(args: readonly string[]): Promise<{ readonly peak: number; readonly output: string }> {
  const child = spawn(process.execPath, [goshawk, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  child.stdout.on('data', (text: Buffer) => {
    output += text.toString();
  });
  const closed = once(child, 'close');
  let peak = 0;
  while (child.exitCode === null && child.signalCode === null) {
    try {
      const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
      peak = Math.max(peak, Number(/VmRSS:\s*(\d+) kB/.exec(status)?.[1] ?? 0) * 1024);
    } catch {
      // It has just ended.
    }
    await setTimeout(SAMPLE_MS);
  }
  await closed;
  if (child.exitCode !== 0) throw new Error(`goshawk ${args.join(' ')} ended with ${child.exitCode}`);
  return { peak, output };
}
