// goshawk predict on films: a real ffmpeg, a tiny model, and processes of their own where they are ended.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { goshawkHere } from '../testing/goshawk-here.js';
import { frameTimes, makeVideo, videoFacts, withoutFfmpeg } from '../testing/make-video.js';
import { mayMount } from '../testing/may-mount.js';
import { writeTinyModel } from '../testing/write-tiny-model.js';

const goshawk = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
const POLL_MS = 20;

let folder: string;
let model: readonly string[];
let clip: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-predict-videos-'));
  const { config, weights } = writeTinyModel(folder);
  model = ['predict', config, '--weights', weights, '--score-threshold', '0.25'];
  clip = join(folder, 'clip.mp4');
  if (!withoutFfmpeg) makeVideo(clip, { seconds: 1, sound: true });
});
after(() => rmSync(folder, { recursive: true, force: true }));

const place = (name: string) => join(folder, name);

async function run(args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
  const { code, out, err } = await goshawkHere(process.cwd(), [...model, ...args], environment);
  return { code, stdout: out, stderr: err };
}

interface Row {
  readonly frame: number;
  readonly time: number;
  readonly image_id: number;
  readonly file_name: string;
  readonly category_id: number;
  readonly category_name: string;
  readonly bbox: readonly number[];
  readonly score: number;
  readonly segmentation: { readonly size: readonly number[]; readonly counts: string };
  readonly track_id: number;
}

const rowsOf = (file: string): Row[] =>
  readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Row);

const lastFrame = (file: string): number => Math.max(...rowsOf(file).map(({ frame }) => frame));

/** The same boxes in the same order, within the rounding of sums. */
function requireAlike(found: readonly Row[], expected: readonly Row[]): void {
  assert.equal(found.length, expected.length);
  found.forEach(({ bbox, score, category_id }, row) => {
    const other = expected[row]!;
    assert.equal(category_id, other.category_id);
    assert.ok(Math.abs(score - other.score) < 1e-5, `${score} for ${other.score}`);
    for (const [i, value] of bbox.entries()) assert.ok(Math.abs(value - other.bbox[i]!) < 1e-3, `${bbox}`);
  });
}

/** ffmpeg processes that have to do with a place. */
function leftOver(output: string): string[] {
  const listed = execFileSync('ps', ['-eo', 'stat,args'], { encoding: 'utf8' }).split('\n');
  return listed.filter((line) => !line.startsWith('Z') && /\bff(mpeg|probe) /.test(line) && line.includes(output));
}

describe('goshawk predict on a film', { skip: withoutFfmpeg }, () => {
  test('gives one with as many frames, as long, with its sound, and its detections as JSON lines', async () => {
    const film = makeVideo(place('four seconds.mp4'), { size: '320x180', rate: '10', seconds: 4, sound: true });
    const output = place('whole');
    const { code, stdout, stderr } = await run(['--output', output, film]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(output).toSorted(), ['four seconds.detections.jsonl', 'four seconds.mp4']);
    assert.deepEqual(videoFacts(join(output, 'four seconds.mp4')), videoFacts(film));
    assert.deepEqual(videoFacts(film), { frames: 40, seconds: 4, size: [320, 180], sound: ['aac'] });

    const rows = rowsOf(join(output, 'four seconds.detections.jsonl'));
    const times = frameTimes(film);
    assert.ok(rows.length > 0);
    for (const row of rows) {
      assert.ok(Math.abs(row.time - times[row.frame]!) < 1e-5, `${row.frame}: ${row.time}`);
      assert.equal(row.image_id, row.frame);
      assert.equal(row.file_name, film);
      assert.equal(row.category_name, row.category_id === 2 ? 'red' : 'blue');
      assert.ok(row.score >= 0.25 && row.track_id >= 1 && row.bbox.length === 4);
      assert.deepEqual(row.segmentation.size, [180, 320]);
    }
    for (const frame of new Set(rows.map((row) => row.frame))) {
      const ids = rows.filter((row) => row.frame === frame).map((row) => row.track_id);
      assert.equal(new Set(ids).size, ids.length);
    }
    assert.match(stderr, /: 40\/40 {2}[\d.]+ frames\/s {2}0:00 left {2}\d+ objects?\n/);
    assert.match(stdout, /\d+ objects? in 40 frames, \d+ tracks?: .*\.jsonl, drawn in .*\.mp4\n/);
    assert.match(
      stdout,
      /\n[\d.]+ frames\/s; per frame decoding [\d.]+ ms, pictures [\d.]+ ms, network [\d.]+ ms, post-processing [\d.]+ ms, drawing [\d.]+ ms, encoding [\d.]+ ms\n$/,
    );
  });

  test('finds in batches what it finds frame by frame, and in pictures what it finds in frames', async () => {
    const lossless = makeVideo(place('lossless.mkv'), { seconds: 0.28, options: ['-c:v', 'ffv1'] });
    const inBatches = async (size: string) => {
      const output = place(`batch-${size}`);
      assert.equal((await run(['--batch-size', size, '--output', output, lossless])).code, 0);
      return rowsOf(join(output, 'lossless.detections.jsonl'));
    };
    const single = await inBatches('1');
    const batched = await inBatches('3');
    // Sums over other shapes may be added up in another order.
    requireAlike(batched, single);
    assert.deepEqual(
      batched.map(({ frame, track_id }) => [frame, track_id]),
      single.map(({ frame, track_id }) => [frame, track_id]),
    );

    const pictures = place('frames');
    mkdirSync(pictures);
    execFileSync('ffmpeg', ['-nostdin', '-loglevel', 'error', '-i', lossless, join(pictures, '%d.png')]);
    assert.equal((await sharp(join(pictures, '1.png')).metadata()).width, 160);
    const output = place('of frames');
    assert.equal((await run(['--output', output, pictures])).code, 0);
    const ofPictures = JSON.parse(readFileSync(join(output, 'detections.json'), 'utf8')) as Row[];
    requireAlike(single, ofPictures);
  });

  test('takes pictures and films of a folder together', async () => {
    const mixed = place('mixed');
    mkdirSync(mixed);
    makeVideo(join(mixed, 'b.mp4'), { seconds: 0.2 });
    await sharp({ create: { width: 64, height: 64, channels: 3, background: 'gray' } }).toFile(join(mixed, 'a.png'));
    writeFileSync(join(mixed, 'c.ts'), 'export {};\n');
    const output = place('of mixed');
    const { code, stdout, stderr } = await run(['--output', output, mixed]);
    assert.equal(code, 0, stderr);
    assert.deepEqual(readdirSync(output).toSorted(), ['a.png', 'b.detections.jsonl', 'b.mp4', 'detections.json']);
    assert.match(stdout, /in 1 picture: .*\nb\.mp4: \d+ objects? in 5 frames/);
  });

  test('leaves it where it is told to, with the sound up to there', async () => {
    const output = place('limited');
    assert.equal((await run(['--output', output, '--max-frames', '10', clip])).code, 0);
    const { frames, seconds, sound } = videoFacts(join(output, 'clip.mp4'));
    assert.deepEqual([frames, sound], [10, ['aac']]);
    assert.ok(Math.abs(seconds - 0.4) < 0.05, String(seconds));
    assert.equal((await run(['--output', output, '--seconds', '0.2', clip])).code, 0);
    assert.equal(videoFacts(join(output, 'clip.mp4')).frames, 5);
  });
});

describe('a film that cannot be used', { skip: withoutFfmpeg }, () => {
  test('is named at the end, and the others are done; one that was cut off is done as far as it goes', async () => {
    const text = place('text.mp4');
    writeFileSync(text, 'once upon a time\n');
    const whole = readFileSync(makeVideo(place('whole.mkv'), { size: '320x180' }));
    writeFileSync(place('cut.mkv'), whole.subarray(0, whole.length / 2));
    const output = place('some');
    const { code, stdout, stderr } = await run(['--output', output, text, place('cut.mkv'), clip]);
    assert.equal(code, 1);
    assert.match(stdout, /clip\.mp4: \d+ objects? in 25 frames/);
    assert.match(
      stderr,
      /text\.mp4: is no video that ffmpeg can read \(.*\): replace the file\n.*cut\.mkv: is damaged or cut off: ends after \d+ frames, [\d.]+ of 1\.0 s \(.*\): .*cut\.mp4 has them.*\ngoshawk: 2 files could not be used, named above: what could be done is in .*some\n$/,
    );
    const frames = videoFacts(join(output, 'cut.mp4')).frames;
    assert.ok(frames > 0 && frames < 25, String(frames));
    assert.ok(!existsSync(join(output, 'text.mp4')));
  });

  test('alone is wrong input, and nothing is left', async () => {
    const text = place('alone.mp4');
    writeFileSync(text, 'once upon a time\n');
    const { code, stderr } = await run(['--output', place('none'), text]);
    assert.equal(code, 2);
    assert.match(stderr, /^goshawk: .*alone\.mp4: is no video that ffmpeg can read .*: replace the file\n$/);
    assert.ok(!existsSync(place('none')));
  });

  test('is not replaced by its own drawn one', async () => {
    const before = readFileSync(clip);
    const { code, stderr } = await run(['--output', folder, clip]);
    assert.equal(code, 2);
    assert.match(stderr, /goshawk: .*clip\.mp4: is the video itself: choose another --output\n$/);
    assert.deepEqual(readFileSync(clip), before);
  });
});

describe('what does not end by itself', { skip: withoutFfmpeg }, () => {
  const endless = ['--stream', 'lavfi:testsrc=size=160x90:rate=25'];

  /** Starts a command, and waits until some frames are done. */
  async function begin(output: string) {
    const child = spawn(process.execPath, [goshawk, ...model, '--output', output, ...endless], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let stderr = '';
    child.stderr!.on('data', (text: Buffer) => {
      stderr += text.toString();
    });
    const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
    const growing = ['stream.detections.partial.jsonl', 'stream.partial.mp4'].map((name) => join(output, name));
    const isThere = (file: string) => (statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 0;
    while (child.exitCode === null && !growing.every(isThere)) await setTimeout(POLL_MS);
    assert.equal(child.exitCode, null, stderr);
    return { child, ended };
  }

  test('ends by a signal with a film that plays, and no ffmpeg is left', async () => {
    const output = place('stopped');
    const { child, ended } = await begin(output);
    const reached = lastFrame(join(output, 'stream.detections.partial.jsonl'));
    child.kill('SIGINT');
    const { code, stderr } = await ended;
    assert.equal(code, 130, stderr);
    assert.match(
      stderr,
      /stopped by SIGINT: .*stream\.mp4 and .*stream\.detections\.jsonl have the \d+ objects of \d+ frames\n$/,
    );
    assert.deepEqual(readdirSync(output).toSorted(), ['stream.detections.jsonl', 'stream.mp4']);
    const { frames, seconds } = videoFacts(join(output, 'stream.mp4'));
    assert.match(stderr, new RegExp(`of ${frames} frames\n$`));
    assert.ok(Math.abs(seconds - frames / 25) < 0.002, `${seconds} s of ${frames}`);
    assert.ok(lastFrame(join(output, 'stream.detections.jsonl')) < frames);
    // Soon, though the source always has another frame.
    assert.ok(frames < reached + 50, `${frames} frames, asked to stop at ${reached}`);
    assert.deepEqual(leftOver(output), []);
  });

  test('when its process is killed ends too, and what was done is there', async () => {
    const output = place('killed');
    const { child, ended } = await begin(output);
    child.kill('SIGKILL');
    await ended;
    for (let tries = 0; tries < 500 && leftOver(output).length > 0; tries++) await setTimeout(POLL_MS);
    assert.deepEqual(leftOver(output), []);
    assert.ok(videoFacts(join(output, 'stream.partial.mp4')).frames > 0);
    assert.ok(rowsOf(join(output, 'stream.detections.partial.jsonl')).length > 0);
  });

  test('is named as a URL', async () => {
    const { code, stderr } = await run(['--output', place('no url'), '--stream', 'clip.mp4']);
    assert.equal(code, 2);
    assert.match(stderr, /--stream clip\.mp4: expected a URL such as rtsp:/);
  });
});

test('a disk that fills up leaves the detections that were found', {
  skip: withoutFfmpeg || (mayMount() ? false : 'needs the right to mount'),
}, async () => {
  const disk = place('disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=300k', 'tmpfs', disk]);
  try {
    const noise = 'lavfi:testsrc=size=320x180:rate=25,noise=alls=100:allf=t';
    const { code, stderr } = await run(['--output', join(disk, 'output'), '--stream', noise, '--max-frames', '500']);
    assert.equal(code, 1, stderr);
    assert.match(
      stderr,
      /(No space left on device|the disk is full).*detections\.jsonl has the \d+ objects of \d+ frames\n$/,
    );
    assert.ok(existsSync(join(disk, 'output', 'stream.detections.jsonl')));
    assert.ok(!existsSync(join(disk, 'output', 'stream.mp4')));
  } finally {
    execFileSync('umount', [disk]);
  }
});

describe('without ffmpeg', () => {
  test('films are refused before anything is done, with what to install', async () => {
    const film = place('unseen.mp4');
    writeFileSync(film, '');
    for (const [args, name] of [
      [[film], 'unseen.mp4'],
      [['--camera', '/dev/video0'], 'camera'],
    ] as const) {
      const { code, stderr } = await run(['--output', place('missing'), ...args], { PATH: join(folder, 'nowhere') });
      assert.equal(code, 2);
      assert.match(
        stderr,
        new RegExp(
          `^goshawk: .*${name}: needs ffmpeg and ffprobe, which are not on PATH: install ffmpeg \\(Debian and Ubuntu: .apt-get install ffmpeg., .*\\)\\n$`,
        ),
      );
      assert.ok(!existsSync(place('missing')));
    }
  });

  test('nothing to look at is wrong usage', async () => {
    const { code, stderr } = await run([]);
    assert.equal(code, 2);
    assert.match(stderr, /nothing to look at: name pictures, videos, folders, a --camera or a --stream/);
  });
});
