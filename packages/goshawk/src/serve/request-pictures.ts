// The pictures in a request's body: the body itself, or the files of a form.
import { Refusal } from './refusal.js';

export interface RequestPicture {
  readonly fileName: string;
  readonly bytes: Uint8Array;
}

const LONGEST_NAME = 255;

/**
 * @param contentType of the request; what a picture is, is decided by its bytes
 * @throws Refusal
 */
export async function picturesOf(
  body: Uint8Array,
  contentType: string | undefined,
  most: number,
): Promise<RequestPicture[]> {
  const [given = ''] = (contentType ?? '').split(';');
  const type = given.trim().toLowerCase();
  const pictures = type === 'multipart/form-data' ? await filesOf(body, contentType!, most) : [single(body, type)];
  for (const { fileName, bytes } of pictures)
    if (bytes.length === 0) throw badRequest(`${fileName}: is empty (expected a picture): send its bytes`);
  return pictures;
}

/** @param coding of the request's body @throws Refusal where it is packed: what comes out could be of any size */
export function requirePlain(coding: string | undefined): void {
  if (coding === undefined || coding.trim().toLowerCase() === 'identity') return;
  throw new Refusal({
    status: 415,
    code: 'unsupported-picture',
    message: `content-encoding: is ${coding.slice(0, 40)} (expected none): send the bytes as they are, pictures are compressed already`,
  });
}

function single(bytes: Uint8Array, type: string): RequestPicture {
  if (type === '' || type === 'application/octet-stream' || type.startsWith('image/'))
    return { fileName: 'picture', bytes };
  throw new Refusal({
    status: 415,
    code: 'unsupported-picture',
    message: `content-type: is ${type} (expected image/jpeg, image/png, image/webp or multipart/form-data): name the picture's, as in curl -H 'content-type: image/jpeg' --data-binary @photo.jpg`,
  });
}

async function filesOf(body: Uint8Array, contentType: string, most: number): Promise<RequestPicture[]> {
  const boundary = /;\s*boundary=(?:"([^"]{1,70})"|([^\s;]{1,70}))/i.exec(contentType);
  if (!boundary) throw badRequest('content-type: multipart/form-data has no boundary: give it');
  // Counted before anything is made of the parts.
  if (occurrences(body, `--${boundary[1] ?? boundary[2]}`, most + 2) > most + 1)
    throw new Refusal({
      status: 413,
      code: 'too-many-pictures',
      message: `form: has more parts than pictures are taken at once (expected at most ${most}): send several requests`,
    });
  let form: Awaited<ReturnType<Response['formData']>>;
  try {
    form = await new Response(body as Uint8Array<ArrayBuffer>, { headers: { 'content-type': contentType } }).formData();
  } catch {
    throw badRequest('form: is no multipart/form-data, or is cut off: send it as curl -F image=@photo.jpg does');
  }
  const pictures: RequestPicture[] = [];
  for (const [name, value] of form) {
    if (typeof value === 'string')
      throw badRequest(
        `form: field '${name.slice(0, LONGEST_NAME)}' is a text (expected pictures): send the picture's bytes, as curl -F image=@photo.jpg does`,
      );
    pictures.push({ fileName: nameOf(value.name, pictures.length), bytes: new Uint8Array(await value.arrayBuffer()) });
  }
  if (pictures.length === 0) throw badRequest('form: has no picture: send it as curl -F image=@photo.jpg does');
  return pictures;
}

/** A name for people; no file is opened by it. */
function nameOf(given: string, place: number): string {
  return given === '' ? `picture-${place + 1}` : given.slice(0, LONGEST_NAME);
}

function occurrences(body: Uint8Array, text: string, enough: number): number {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  let count = 0;
  for (let at = bytes.indexOf(text); at >= 0 && count < enough; at = bytes.indexOf(text, at + text.length)) count += 1;
  return count;
}

function badRequest(message: string): Refusal {
  return new Refusal({ status: 400, code: 'bad-request', message });
}
