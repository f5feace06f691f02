// Films in and out of raw frames, with a real ffmpeg.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { frameTimes, makeVideo, runTool, videoFacts, withoutFfmpeg } from '../../testing/make-video.js';
import {
  addAudio,
  FrameDecoder,
  FrameEncoder,
  probeVideo,
  readVideo,
  requireFfmpeg,
  type VideoFrame,
  type VideoSource,
} from './index.js';

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-video-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** A film's frames into another, nothing drawn; @returns its path and the frames' times */
async function copyFrames(path: string): Promise<{ readonly file: string; readonly times: readonly number[] }> {
  const source: VideoSource = { kind: 'file', path };
  const ffmpeg = requireFfmpeg(path);
  const facts = await probeVideo(source);
  const decoder = new FrameDecoder({ source, facts, ffmpeg });
  const frame = new Uint8Array(new SharedArrayBuffer(facts.width * facts.height * 3));
  const file = join(folder, 'out.mp4');
  const times: number[] = [];
  let encoder: FrameEncoder | undefined;
  for (let time = await decoder.read(frame); time !== undefined; time = await decoder.read(frame)) {
    encoder ??= new FrameEncoder({ ...facts, file, tick: decoder.tick, ffmpeg });
    await encoder.write(frame, time);
    times.push(time);
  }
  await encoder?.finish();
  assert.equal((await decoder.end()).code, 0);
  return { file, times };
}

describe('frames keep their number and their times', { skip: withoutFfmpeg }, () => {
  test('at a rate that no whole number of milliseconds fits', async () => {
    const film = makeVideo(join(folder, 'ntsc.mp4'), { rate: '30000/1001', seconds: 2 });
    const { file, times } = await copyFrames(film);
    assert.equal(times.length, 60);
    assert.ok(times.every((time, index) => Math.abs(time - (index * 1001) / 30000) < 1e-9));
    const { frames, seconds, size } = videoFacts(file);
    assert.deepEqual({ frames, seconds, size }, { frames: 60, seconds: videoFacts(film).seconds, size: [160, 90] });
  });

  test('where they are not evenly spaced', async () => {
    const film = makeVideo(join(folder, 'uneven.mkv'), {
      seconds: 2,
      options: ['-vf', "select='lt(n,12)+not(mod(n,5))'", '-vsync', 'vfr', '-bf', '0'],
    });
    const { file, times } = await copyFrames(film);
    const expected = frameTimes(film);
    const found = frameTimes(file);
    assert.ok(new Set(expected.slice(1).map((time, i) => Math.round((time - expected[i]!) * 100))).size > 1);
    assert.equal(found.length, expected.length);
    for (const [index, time] of found.entries())
      assert.ok(Math.abs(time - (expected[index]! - expected[0]!)) < 1e-3, `${index}: ${time}`);
    assert.equal(times.length, expected.length);
  });

  for (const [what, name, options] of [
    ['of ten bits a colour', 'ten-bit.mp4', ['-pix_fmt', 'yuv420p10le']],
    ['of colours at every pixel', 'full.mp4', ['-pix_fmt', 'yuv444p']],
    ['of grey', 'grey.mkv', ['-c:v', 'ffv1', '-pix_fmt', 'gray']],
    ['that stand in another order than they are shown in', 'ordered.mp4', ['-preset', 'medium', '-bf', '3']],
    ['that begin late', 'late.mkv', ['-output_ts_offset', '3.5']],
    ['of MPEG-2 in a transport stream', 'stream.mpg', ['-c:v', 'mpeg2video', '-f', 'mpegts']],
    ['in VP9', 'nine.webm', ['-c:v', 'libvpx-vp9', '-deadline', 'realtime', '-cpu-used', '8']],
  ] as const)
    test(`of frames ${what}`, async () => {
      const film = makeVideo(join(folder, name), { seconds: 0.6, options });
      const expected = frameTimes(film);
      assert.equal(expected.length, 15);
      const { file } = await copyFrames(film);
      const { frames, seconds, size } = videoFacts(file);
      assert.deepEqual({ frames, seconds, size }, { frames: 15, seconds: 0.6, size: [160, 90] });
      for (const [index, time] of frameTimes(file).entries())
        assert.ok(Math.abs(time - (expected[index]! - expected[0]!)) < 1e-3, `${index}: ${time}`);
    });

  test('also of a film of one frame', async () => {
    const { file } = await copyFrames(makeVideo(join(folder, 'one.mp4'), { seconds: 0.04 }));
    const { frames, seconds } = videoFacts(file);
    assert.deepEqual({ frames, seconds }, { frames: 1, seconds: 0.04 });
  });
});

describe('frames are as they are shown', { skip: withoutFfmpeg }, () => {
  // Of the display matrix in MP4's track header: where the shown axes point. What is red on the left in the stream is red there.
  for (const [what, [a, b, c, d], red, blue] of [
    ['a quarter to the right', [0, 1, -1, 0], 'top', 'bottom'],
    ['a quarter to the left', [0, -1, 1, 0], 'bottom', 'top'],
    ['on its head', [-1, 0, 0, -1], 'right', 'left'],
    ['mirrored', [-1, 0, 0, 1], 'right', 'left'],
  ] as const)
    test(`upright, where the film says that it was filmed ${what}`, async () => {
      const turned = join(folder, 'turned.mp4');
      const halves = 'color=red:size=80x90:rate=25:duration=0.2,pad=160:90:0:0:blue';
      const input = ['-f', 'lavfi', '-i', halves, '-pix_fmt', 'yuv420p'];
      runTool('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', ...input, turned]);
      setDisplayMatrix(turned, [a, b, c, d]);
      const size = a === 0 ? [90, 160] : [160, 90];
      const { file } = await copyFrames(turned);
      const facts = videoFacts(file);
      assert.deepEqual({ frames: facts.frames, size: facts.size }, { frames: 5, size });
      for (const path of [turned, file]) {
        const frame = await firstFrame(path);
        assert.deepEqual([frame.width, frame.height], size);
        const [r, , ofRed] = pixelAt(frame, red);
        const [ofBlue, , blueness] = pixelAt(frame, blue);
        assert.ok(r > 200 && ofRed < 60 && blueness > 200 && ofBlue < 60, path);
      }
    });

  test('of odd size, which H.264 makes even', async () => {
    const film = makeVideo(join(folder, 'odd.mkv'), { size: '161x91', options: ['-c:v', 'ffv1'] });
    const { width, height } = await probeVideo({ kind: 'file', path: film });
    assert.deepEqual([width, height], [161, 91]);
    const { file } = await copyFrames(film);
    const { frames, size } = videoFacts(file);
    assert.deepEqual({ frames, size }, { frames: 25, size: [162, 92] });
  });

  test('in their colours, after a way out and in again', async () => {
    const film = join(folder, 'red.mp4');
    runTool('ffmpeg', [
      '-nostdin',
      '-loglevel',
      'error',
      '-y',
      '-f',
      'lavfi',
      '-i',
      'color=0xC83C14:size=160x90:duration=0.2',
      film,
    ]);
    const first = pixelAt(await firstFrame(film), 'left');
    const second = pixelAt(await firstFrame((await copyFrames(film)).file), 'left');
    for (const [channel, expected] of [200, 60, 20].entries()) {
      assert.ok(Math.abs(first[channel]! - expected) <= 3, `${first}`);
      assert.ok(Math.abs(second[channel]! - first[channel]!) <= 3, `${second} for ${first}`);
    }
  });
});

async function firstFrame(path: string): Promise<VideoFrame> {
  for await (const frame of readVideo(path)) return frame;
  throw new Error('no frame');
}

/** In the middle of a side, a few pixels from the border. */
function pixelAt(
  { data, width, height }: VideoFrame,
  side: 'left' | 'right' | 'top' | 'bottom',
): readonly [number, number, number] {
  const x = { left: 8, right: width - 9, top: width >> 1, bottom: width >> 1 }[side];
  const y = { left: height >> 1, right: height >> 1, top: 8, bottom: height - 9 }[side];
  const at = (y * width + x) * 3;
  return [data[at]!, data[at + 1]!, data[at + 2]!];
}

/** Writes it into the only track header of an MP4 (ISO 14496-12, 8.3.2): telephones do so, whatever version ffmpeg has. */
function setDisplayMatrix(file: string, [a, b, c, d]: readonly [number, number, number, number]): void {
  const bytes = readFileSync(file);
  const matrix = bytes.indexOf('tkhd') + 4 + 40;
  const one = 2 ** 16;
  for (const [i, value] of [a * one, b * one, 0, c * one, d * one, 0, 0, 0, 2 ** 30].entries())
    bytes.writeInt32BE(value, matrix + 4 * i);
  writeFileSync(file, bytes);
}

test('every track of sound is kept, and what MP4 does not hold becomes AAC', { skip: withoutFfmpeg }, async () => {
  const film = join(folder, 'tracks.mkv');
  const sources = [
    'testsrc=size=160x90:rate=25:duration=1',
    'sine=duration=1',
    'sine=440:duration=1',
    'sine=880:duration=1',
  ];
  runTool('ffmpeg', [
    ...['-nostdin', '-loglevel', 'error', '-y', ...sources.flatMap((source) => ['-f', 'lavfi', '-i', source])],
    ...sources.flatMap((_, i) => ['-map', String(i)]),
    ...['-c:v', 'libx264', '-preset', 'ultrafast', '-c:a:0', 'aac', '-c:a:1', 'pcm_s16le', '-c:a:2', 'libvorbis', film],
  ]);
  const { audio } = await probeVideo({ kind: 'file', path: film });
  assert.deepEqual(audio, ['aac', 'pcm_s16le', 'vorbis']);
  const { file: video } = await copyFrames(film);
  const file = join(folder, 'with sound.mp4');
  const ffmpeg = requireFfmpeg(film);
  assert.equal(await addAudio({ video, source: film, codecs: audio, firstFrame: 0, file, ffmpeg }), undefined);
  const { frames, sound, seconds } = videoFacts(file);
  assert.deepEqual({ frames, sound }, { frames: 25, sound: ['aac', 'aac', 'aac'] });
  assert.ok(Math.abs(seconds - 1) < 0.05, String(seconds));
});

describe('a film that is none', () => {
  test('is told in one line', { skip: withoutFfmpeg }, async () => {
    const text = join(folder, 'text.mp4');
    writeFileSync(text, 'once upon a time\n');
    const playlist = join(folder, 'list.mp4');
    writeFileSync(playlist, '#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/part.ts\n#EXT-X-ENDLIST\n');
    const sound = join(folder, 'sound.mp4');
    runTool('ffmpeg', ['-nostdin', '-loglevel', 'error', '-y', '-f', 'lavfi', '-i', 'sine=duration=0.1', sound]);
    for (const path of [text, playlist, sound, join(folder, 'nowhere.mp4')])
      await assert.rejects(probeVideo({ kind: 'file', path }), (error) => {
        assert.ok(error instanceof InputError && error.code === 'video-invalid');
        assert.match(error.message, /\.mp4: (is no video that ffmpeg can read|has no moving picture in it).*: \S+ /);
        return !error.message.includes('\n');
      });
  });

  test('that was cut off gives the frames that are left, and says why there are no more', {
    skip: withoutFfmpeg,
  }, async () => {
    const whole = makeVideo(join(folder, 'whole.mkv'), { size: '320x180', seconds: 2 });
    const cut = join(folder, 'cut.mkv');
    const bytes = readFileSync(whole);
    writeFileSync(cut, bytes.subarray(0, bytes.length / 2));
    const source: VideoSource = { kind: 'file', path: cut };
    const facts = await probeVideo(source);
    const decoder = new FrameDecoder({ source, facts, ffmpeg: requireFfmpeg(cut) });
    const frame = new Uint8Array(facts.width * facts.height * 3);
    let frames = 0;
    while ((await decoder.read(frame)) !== undefined) frames += 1;
    assert.ok(frames > 0 && frames < 50, String(frames));
    assert.match((await decoder.end()).reason ?? '', /ended prematurely/);
  });
});

test('leaving the loop over a film ends its ffmpeg', { skip: withoutFfmpeg }, async () => {
  let seen = 0;
  // It has no end.
  for await (const { index, seconds, width } of readVideo({
    kind: 'stream',
    url: 'lavfi:testsrc=size=64x48:rate=10',
  })) {
    assert.deepEqual([index, Math.round(seconds * 10), width], [seen, seen, 64]);
    if (++seen === 5) break;
  }
  assert.equal(seen, 5);
});
