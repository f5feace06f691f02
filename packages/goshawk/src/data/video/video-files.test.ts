// Films in and out of raw frames, with a real ffmpeg.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { frameTimes, makeVideo, runTool, videoFacts, withoutFfmpeg } from '../../testing/make-video.js';
import { FrameDecoder, FrameEncoder, probeVideo, readVideo, requireFfmpeg, type VideoSource } from './index.js';

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

  test('also of a film of one frame', async () => {
    const { file } = await copyFrames(makeVideo(join(folder, 'one.mp4'), { seconds: 0.04 }));
    const { frames, seconds } = videoFacts(file);
    assert.deepEqual({ frames, seconds }, { frames: 1, seconds: 0.04 });
  });
});

describe('frames are as they are shown', { skip: withoutFfmpeg }, () => {
  test('upright, where the film says that it lies on its side', async () => {
    const flat = makeVideo(join(folder, 'flat.mp4'), { seconds: 0.2 });
    const turned = join(folder, 'turned.mp4');
    runTool('ffmpeg', [
      '-nostdin',
      '-loglevel',
      'error',
      '-y',
      '-i',
      flat,
      '-c',
      'copy',
      '-metadata:s:v',
      'rotate=90',
      turned,
    ]);
    const { file } = await copyFrames(turned);
    const { frames, size } = videoFacts(file);
    assert.deepEqual({ frames, size }, { frames: 5, size: [90, 160] });
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
    const first = await firstFrame(film);
    const second = await firstFrame((await copyFrames(film)).file);
    for (const [channel, expected] of [200, 60, 20].entries()) {
      assert.ok(Math.abs(first[channel]! - expected) <= 3, `${first}`);
      assert.ok(Math.abs(second[channel]! - first[channel]!) <= 3, `${second} for ${first}`);
    }
  });
});

async function firstFrame(path: string): Promise<Uint8Array> {
  for await (const { data } of readVideo(path)) return data.subarray(0, 3);
  throw new Error('no frame');
}

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
