// The thread that decodes the pictures of requests. What a header tells to be too large is refused before memory is taken.
import { parentPort, workerData } from 'node:worker_threads';
import { InputError, type RgbImage } from '@goshawk/core';
import { decodeImage, imageHeaderOf } from '../data/decode-image.js';
import { type SniffedFormat, sniffImageFormat } from '../data/image-format.js';
import { Refusal } from './refusal.js';
import type { DecodeSetup, FromDecoder, ToDecoder } from './thread-messages.js';

const port = parentPort!;
const { maxPixels } = workerData as DecodeSetup;
const ACCEPTED: ReadonlySet<string> = new Set(['jpeg', 'png', 'webp']);

port.on('message', (message: ToDecoder | 'close') => {
  if (message === 'close') port.close();
  else void handle(message);
});

async function handle(message: ToDecoder): Promise<void> {
  const { id } = message;
  const tell = (answer: FromDecoder): void => port.postMessage(answer);
  try {
    const started = performance.now();
    const image = await decoded(message);
    tell({ kind: 'decoded', id, image, ms: performance.now() - started });
  } catch (error) {
    if (error instanceof Refusal) tell({ kind: 'refused', id, facts: error.facts });
    else if (error instanceof InputError)
      tell({ kind: 'refused', id, facts: { status: 422, code: 'damaged-picture', message: error.message } });
    else tell({ kind: 'failed', id, reason: String(error) });
  }
}

async function decoded({ bytes, fileName, exifOrientation }: ToDecoder): Promise<RgbImage> {
  const sniffed = sniffImageFormat(bytes);
  if (sniffed.format === undefined || !ACCEPTED.has(sniffed.format))
    throw new Refusal({
      status: 415,
      code: 'unsupported-picture',
      message: `${fileName}: is ${inWords(sniffed)} (expected JPEG, PNG or WebP): convert it`,
    });
  const { width, height } = await imageHeaderOf(bytes, fileName, { pixelLimit: Number.POSITIVE_INFINITY });
  if (width * height > maxPixels)
    throw new Refusal({
      status: 413,
      code: 'too-many-pixels',
      message: `${fileName}: declares ${width} x ${height} pixels (expected at most ${maxPixels / 1e6} million): shrink it`,
    });
  const { data, ...size } = await decodeImage(bytes, fileName, { exifOrientation, pixelLimit: maxPixels });
  return { ...size, data };
}

function inWords(sniffed: SniffedFormat): string {
  return sniffed.format === undefined ? sniffed.description : `a ${sniffed.format.toUpperCase()} picture`;
}
