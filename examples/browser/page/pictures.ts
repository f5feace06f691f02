// Photos, frames of the camera and made scenes as pixels.
import { InputError, type RgbImage, synthesizeScene } from '@goshawk/core';
import { rgbOfRgba } from '@goshawk/runtime';

export interface Picture {
  readonly name: string;
  readonly image: RgbImage;
}

/** Decoded as goshawk decodes it: turned as EXIF says, without the colour profile. @throws InputError for other files */
export async function pictureOf(file: File): Promise<Picture> {
  const bitmap = await createImageBitmap(file, { imageOrientation: 'from-image', colorSpaceConversion: 'none' }).catch(
    (cause: unknown) => {
      throw new InputError(
        'image-invalid',
        `${file.name}: is no picture that this browser can decode: take a JPEG, PNG or WebP`,
        { cause },
      );
    },
  );
  try {
    return { name: file.name, image: pixelsOf(bitmap, bitmap.width, bitmap.height) };
  } finally {
    bitmap.close();
  }
}

/** What a video shows now. */
export function frameOf(video: HTMLVideoElement): Picture {
  return { name: 'camera', image: pixelsOf(video, video.videoWidth, video.videoHeight) };
}

/** What `goshawk demo` trains on, in another draw each time. */
export function madeScene(index: number): Picture {
  const { image } = synthesizeScene({ seed: 2, index, width: 160, height: 160 });
  return { name: `scene ${index + 1}`, image };
}

let scratch: OffscreenCanvasRenderingContext2D | undefined;

function pixelsOf(source: CanvasImageSource, width: number, height: number): RgbImage {
  scratch ??= new OffscreenCanvas(1, 1).getContext('2d', { willReadFrequently: true })!;
  scratch.canvas.width = width;
  scratch.canvas.height = height;
  scratch.drawImage(source, 0, 0);
  return rgbOfRgba(scratch.getImageData(0, 0, width, height));
}
