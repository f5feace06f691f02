// Against libvips's reading of the same files, as sharp's metadata() gives it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import sharp, { type JpegOptions } from 'sharp';
import { jpegFrame } from './jpeg-frame.js';

const drawn = (width: number, height: number) =>
  sharp({ create: { width, height, channels: 3, background: '#3b7ea1' } });

const kinds: Readonly<Record<string, JpegOptions>> = {
  baseline: {},
  progressive: { progressive: true },
  'every sample of colour': { chromaSubsampling: '4:4:4' },
  'tables of its own': { optimizeCoding: true },
};

for (const [name, options] of Object.entries(kinds))
  test(`size and components of colour and grey pictures: ${name}`, async () => {
    for (const [width, height] of [
      [1, 1],
      [7, 300],
      [1031, 2],
    ] as const)
      for (const components of [1, 3] as const) {
        const picture = components === 1 ? drawn(width, height).toColourspace('b-w') : drawn(width, height);
        const bytes = await picture.jpeg(options).toBuffer();
        const header = await sharp(bytes).metadata();
        assert.deepEqual([header.width, header.height, header.channels], [width, height, components]);
        assert.deepEqual(jpegFrame(bytes), { width, height, components });
      }
  });

test('what is not common is left to the decoder', async () => {
  const bytes = await drawn(20, 10).jpeg().toBuffer();
  const frame = bytes.indexOf(Uint8Array.of(0xff, 0xc0));
  const changed = (at: number, value: number) => {
    const copy = Buffer.from(bytes);
    copy[at] = value;
    return copy;
  };
  const unknownHeight = Buffer.from(bytes);
  unknownHeight.writeUInt16BE(0, frame + 5);
  const cases: Readonly<Record<string, Buffer>> = {
    'a PNG': await drawn(20, 10).png().toBuffer(),
    inks: await drawn(20, 10).toColourspace('cmyk').jpeg().toBuffer(),
    'arithmetic codes': changed(frame + 1, 0xc9),
    'losslessly coded': changed(frame + 1, 0xc3),
    '12 bits a sample': changed(frame + 4, 12),
    'two components': changed(frame + 9, 2),
    'a header of another length': changed(frame + 3, 18),
    'a segment of length 1': changed(5, 1),
    'a height that follows later': unknownHeight,
    nothing: Buffer.alloc(0),
  };
  for (const [name, picture] of Object.entries(cases)) assert.equal(jpegFrame(picture), undefined, name);
  for (let length = 0; length < frame + 10; length++)
    assert.equal(jpegFrame(bytes.subarray(0, length)), undefined, `the first ${length} bytes`);
  assert.deepEqual(jpegFrame(bytes.subarray(0, frame + 11)), { width: 20, height: 10, components: 3 });
});
