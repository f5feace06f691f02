// The camera, a frame after the other as fast as the detector takes them.
import { InputError } from '@goshawk/core';

/** The rate is that of so many last frames. */
const COUNTED = 10;

export interface Camera {
  readonly video: HTMLVideoElement;
  stop(): void;
}

/** @throws InputError where there is none, or it is not allowed */
export async function openCamera(): Promise<Camera> {
  const stream = await streamOf();
  const video = document.createElement('video');
  video.muted = true;
  video.playsInline = true;
  video.srcObject = stream;
  await video.play();
  return {
    video,
    stop() {
      for (const track of stream.getTracks()) track.stop();
      video.srcObject = null;
    },
  };
}

async function streamOf(): Promise<MediaStream> {
  try {
    return await navigator.mediaDevices.getUserMedia({
      video: { facingMode: 'environment', width: { ideal: 640 }, height: { ideal: 480 } },
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.name : String(cause);
    throw new InputError('usage', `the camera cannot be used (${reason}): allow it for this page, or choose photos`, {
      cause,
    });
  }
}

/** Counts frames. */
export class FrameRate {
  readonly #times: number[] = [];

  /** @param now milliseconds @returns frames a second; undefined for the first */
  add(now: number): number | undefined {
    const times = this.#times;
    times.push(now);
    if (times.length > COUNTED + 1) times.shift();
    return times.length < 2 ? undefined : ((times.length - 1) * 1000) / (now - times[0]!);
  }
}
