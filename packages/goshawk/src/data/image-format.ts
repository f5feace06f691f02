// What a file is by its first bytes: names lie (a PNG called .jpg, a web page saved as a picture).

/** The picture formats that are decoded. */
export type ImageFormat = 'jpeg' | 'png' | 'gif' | 'webp' | 'tiff' | 'heif';

/** A decodable format, or what the bytes are instead, in words for an error. */
export type SniffedFormat =
  | { readonly format: ImageFormat }
  | { readonly format?: undefined; readonly description: string; readonly remedy: string };

const convert = 'convert it to JPEG or PNG';

export function sniffImageFormat(bytes: Uint8Array): SniffedFormat {
  if (bytes.length === 0) return { description: 'an empty file', remedy: 'copy or download it again' };
  const latin = (from: number, to: number) => String.fromCharCode(...bytes.subarray(from, to));
  const head = latin(0, 4);
  if (head.startsWith('\xff\xd8\xff')) return { format: 'jpeg' };
  if (latin(0, 8) === '\x89PNG\r\n\x1a\n') return { format: 'png' };
  if (head === 'GIF8') return { format: 'gif' };
  if (head === 'RIFF' && latin(8, 12) === 'WEBP') return { format: 'webp' };
  if (['II*\0', 'MM\0*', 'II+\0', 'MM\0+'].includes(head)) return { format: 'tiff' };
  if (latin(4, 8) === 'ftyp') {
    const brands = latin(8, 64);
    if (/heic|heix|heim|heis|hevc|mif1|msf1|avif|avis/.test(brands)) return { format: 'heif' };
    return { description: 'a video', remedy: 'take a frame of it as a picture' };
  }
  if (head.startsWith('\xff\x0a') || latin(4, 8) === 'JXL ')
    return { description: 'a JPEG XL picture', remedy: convert };
  if (latin(4, 8) === 'jP  ' || head === '\xff\x4f\xff\x51')
    return { description: 'a JPEG 2000 picture', remedy: convert };
  if (head.startsWith('PK\x03\x04') || head.startsWith('\x1f\x8b') || head === 'Rar!' || head === '7z\xbc\xaf')
    return { description: 'an archive', remedy: 'unpack it' };
  if (head.startsWith('BM')) return { description: 'a BMP picture, which is not supported', remedy: convert };
  if (head === '%PDF') return { description: 'a PDF document', remedy: convert };
  if (head === '8BPS') return { description: 'a Photoshop document', remedy: convert };
  const text = latin(0, 256)
    .replace(/^\xef\xbb\xbf/, '')
    .trimStart()
    .toLowerCase();
  if (text.startsWith('<svg')) return { description: 'an SVG drawing', remedy: convert };
  if (text.startsWith('<!doctype html') || text.startsWith('<html')) {
    return { description: 'a web page (HTML)', remedy: 'download the picture itself' };
  }
  if (text.startsWith('<')) return { description: 'an XML or HTML text', remedy: 'download the picture itself' };
  if (text.startsWith('version https://git-lfs')) {
    return { description: 'a Git LFS pointer', remedy: 'fetch the file with git lfs pull' };
  }
  if (bytes.length < 256 && /^[^\0\r\n]+\.(jpe?g|png|webp|gif|tiff?)\s*$/.test(text)) {
    return {
      description: 'a text with a path, as a link that was copied as a file',
      remedy: 'copy the picture itself',
    };
  }
  return { description: 'no known picture format', remedy: 'replace it by a JPEG, PNG, WebP, GIF or TIFF' };
}
