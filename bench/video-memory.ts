// Resident memory of goshawk predict on a short video and on one twelve times as long, and how many frames a second it does: the
// memory must be the same.
//
//     node bench/dist/video-memory.js [--rate 10] [--threads 1]
//
// Exit code 1 when the long one takes 5% or more above the short one, or has other frames or another length than its source.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { goshawk, makeTinyTraining, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: { rate: { type: 'string', default: '10' }, threads: { type: 'string', default: '1' } },
});

const LENGTHS = [10, 120];
const LIMIT = 0.05;
const SAMPLE_MS = 100;

const folder = mkdtempSync(join(tmpdir(), 'goshawk-video-memory-'));
try {
  const config = makeTinyTraining(folder, { images: 8, threads: Number(options.threads), train: { iterations: 5 } });
  const run = join(folder, 'run');
  runGoshawk(['train', config, '--output', run]);
  const weights = join(run, 'final.safetensors');
  const peaks: number[] = [];
  for (const seconds of LENGTHS) {
    const video = makeVideo(seconds);
    const { peak, output } = await predict([
      'predict',
      config,
      '--weights',
      weights,
      '--output',
      join(folder, 'found'),
      video,
    ]);
    const [source, drawn] = [video, join(folder, 'found', `${seconds}.mp4`)].map(factsOf);
    const rate = /^([\d.]+) frames\/s.*$/m.exec(output)?.[0] ?? '';
    console.log(`${seconds} s: ${(peak / 2 ** 20).toFixed(1)} MiB, ${drawn}; ${rate}`);
    if (source !== drawn) fail(`the video has ${source}, the drawn one ${drawn}`);
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

function makeVideo(seconds: number): string {
  const file = join(folder, `${seconds}.mp4`);
  const pictures = `testsrc2=size=640x360:rate=${options.rate}:duration=${seconds}`;
  const inputs = ['-f', 'lavfi', '-i', pictures, '-f', 'lavfi', '-i', `sine=duration=${seconds}`];
  const codecs = ['-c:v', 'libx264', '-preset', 'ultrafast', '-pix_fmt', 'yuv420p', '-c:a', 'aac'];
  execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...inputs, ...codecs, file]);
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
