// Whether the compressed data of a JPEG is whole. libjpeg's fast decoder passes over codes that do not exist and goes on
// with what follows, so a file with a hole in it decodes to stripes and grey without a word. Here the codes are read as
// ITU-T T.81 (annex F.2) has them, without making pixels of them: each block must end where its 64 coefficients do, and
// the last block where the data does. A change of single bits that leaves all that as it is cannot be told.
// @goshawk/torch's native/pixels/jpeg-damage.cc does the same, faster and with the same words; this is what it is held to, and what is
// run before it has been built.

/** What is wrong with the data, in words; undefined where it is whole, or of a kind that is left to the decoder to judge. */
export function jpegDamage(bytes: Uint8Array): string | undefined {
  const dcTables: (HuffmanTable | undefined)[] = [];
  const acTables: (HuffmanTable | undefined)[] = [];
  let frame: Frame | undefined;
  let restartInterval = 0;
  let pos = 2;
  while (pos + 2 <= bytes.length) {
    if (bytes[pos] !== 0xff) return undefined;
    const marker = bytes[pos + 1]!;
    if (marker === 0xff) {
      pos++;
      continue;
    }
    if (marker === END_OF_IMAGE) return undefined;
    if (pos + 4 > bytes.length) break;
    const length = (bytes[pos + 2]! << 8) | bytes[pos + 3]!;
    const end = pos + 2 + length;
    if (length < 2 || end > bytes.length) return 'a header is cut short';
    const body = bytes.subarray(pos + 4, end);
    if (marker === 0xc0 || marker === 0xc1) {
      frame = readFrame(body);
      if (frame === undefined) return undefined;
    } else if (marker >= 0xc2 && marker <= 0xcf && marker !== 0xc4 && marker !== 0xc8 && marker !== 0xcc) {
      // Progressive, arithmetic or lossless: libjpeg has no fast path for them, and warns.
      return undefined;
    } else if (marker === 0xc4) {
      if (!readTables(body, dcTables, acTables)) return 'a Huffman table is wrong';
    } else if (marker === 0xdd && body.length >= 2) {
      restartInterval = (body[0]! << 8) | body[1]!;
    }
    pos = end;
    if (marker !== 0xda) continue;
    if (frame === undefined) return undefined;
    const scan = readScan(body, frame, dcTables, acTables);
    if (scan === undefined) return undefined;
    const walked = walkScan(bytes, end, scan, restartInterval);
    if (typeof walked === 'string') return walked;
    pos = walked;
  }
  return 'the end is missing';
}

const END_OF_IMAGE = 0xd9;
// Some programs pad their data; what a hole leaves over is rarely as little.
const MOST_STRAY_BYTES = 16;

interface Component {
  readonly id: number;
  readonly h: number;
  readonly v: number;
}

interface Frame {
  readonly width: number;
  readonly height: number;
  readonly components: readonly Component[];
}

interface Scan {
  /** Minimum coded units: blocks of all components in one part of the picture. */
  readonly units: number;
  /** Tables of each block of a unit. */
  readonly blocks: readonly { readonly dc: HuffmanTable; readonly ac: HuffmanTable }[];
}

/** Undefined where the height follows later (DNL), which no camera writes. */
function readFrame(body: Uint8Array): Frame | undefined {
  const height = (body[1]! << 8) | body[2]!;
  const width = (body[3]! << 8) | body[4]!;
  const components = Array.from({ length: body[5] ?? 0 }, (_, i) => {
    const sampling = body[7 + 3 * i] ?? 0;
    return { id: body[6 + 3 * i] ?? -1, h: sampling >> 4, v: sampling & 15 };
  });
  const isUsable = components.length > 0 && components.every(({ h, v }) => h >= 1 && h <= 4 && v >= 1 && v <= 4);
  return isUsable && width > 0 && height > 0 ? { width, height, components } : undefined;
}

/** False where they are no prefix code. */
function readTables(
  body: Uint8Array,
  dcTables: (HuffmanTable | undefined)[],
  acTables: (HuffmanTable | undefined)[],
): boolean {
  let pos = 0;
  while (pos + 17 <= body.length) {
    const target = body[pos]!;
    const lengths = body.subarray(pos + 1, pos + 17);
    const end = pos + 17 + lengths.reduce((sum, count) => sum + count, 0);
    if (end > body.length) return false;
    const table = tableOf(lengths, body.subarray(pos + 17, end));
    if (table === undefined) return false;
    (target >> 4 === 0 ? dcTables : acTables)[target & 15] = table;
    pos = end;
  }
  return true;
}

// Most programs write the tables of the standard's annex K.
const knownTables = new Map<string, HuffmanTable>();
const MOST_KNOWN_TABLES = 64;

/** By the next bits of data: the code's length in the upper byte, 0 for none, and its symbol in the lower one. */
interface HuffmanTable {
  /** By 10 bits, which fits into the processor's first cache; 0 also for longer codes. */
  readonly short: Uint16Array;
  /** By 16 bits. */
  readonly long: Uint16Array;
}

function tableOf(lengths: Uint8Array, symbols: Uint8Array): HuffmanTable | undefined {
  const key = `${lengths.join()} ${symbols.join()}`;
  const known = knownTables.get(key);
  if (known) return known;
  const short = new Uint16Array(1024);
  const long = new Uint16Array(65536);
  let symbol = 0;
  let code = 0;
  for (let length = 1; length <= 16; length++) {
    for (let i = 0; i < lengths[length - 1]!; i++, symbol++, code++) {
      if (code >= 1 << length) return undefined;
      const entry = (length << 8) | symbols[symbol]!;
      long.fill(entry, code << (16 - length), (code + 1) << (16 - length));
      if (length <= 10) short.fill(entry, code << (10 - length), (code + 1) << (10 - length));
    }
    code <<= 1;
  }
  if (knownTables.size >= MOST_KNOWN_TABLES) knownTables.clear();
  const table = { short, long };
  knownTables.set(key, table);
  return table;
}
function readScan(
  body: Uint8Array,
  frame: Frame,
  dcTables: readonly (HuffmanTable | undefined)[],
  acTables: readonly (HuffmanTable | undefined)[],
): Scan | undefined {
  const chosen = Array.from({ length: body[0] ?? 0 }, (_, i) => {
    const component = frame.components.find(({ id }) => id === body[1 + 2 * i]);
    const tables = body[2 + 2 * i] ?? 0;
    const dc = dcTables[tables >> 4];
    const ac = acTables[tables & 15];
    return component && dc && ac ? { component, dc, ac } : undefined;
  }).filter((one) => one !== undefined);
  if (chosen.length === 0 || chosen.length !== body[0]) return undefined;
  const hMax = Math.max(...frame.components.map(({ h }) => h));
  const vMax = Math.max(...frame.components.map(({ v }) => v));
  const [only] = chosen;
  if (chosen.length === 1 && only) {
    // A scan of one component has no padding blocks (T.81, A.2.2).
    const { h, v } = only.component;
    const columns = Math.ceil(Math.ceil((frame.width * h) / hMax) / 8);
    const rows = Math.ceil(Math.ceil((frame.height * v) / vMax) / 8);
    return { units: columns * rows, blocks: [only] };
  }
  const units = Math.ceil(frame.width / (8 * hMax)) * Math.ceil(frame.height / (8 * vMax));
  const blocks = chosen.flatMap((one) => Array.from({ length: one.component.h * one.component.v }, () => one));
  return { units, blocks };
}

/** Where the marker after the scan stands, or what is wrong. */
function walkScan(bytes: Uint8Array, start: number, { units, blocks }: Scan, restartInterval: number): number | string {
  let pos = start;
  const state: BitState = { pos, bits: 0, count: 0, missing: 0 };
  const interval = restartInterval > 0 ? restartInterval : units;
  let restarts = 0;
  for (let done = 0; done < units; done += interval) {
    if (done > 0) {
      if (bytes[pos + 1] !== 0xd0 + (restarts & 7)) return 'a restart marker is missing';
      restarts++;
      pos += 2;
    }
    Object.assign(state, { pos, bits: 0, count: 0, missing: 0 });
    const problem = walkBlocks(bytes, state, blocks, Math.min(interval, units - done));
    if (problem !== undefined) return problem;
    const read = firstUnread(bytes, state);
    if (!blocks.every(isFlatInZeros) && hasLongZeros(bytes, pos, read)) return 'a part of its data is zeros';
    const next = nextMarker(bytes, read);
    if (typeof next === 'string') return next;
    pos = next;
  }
  return pos;
}

/** Whether a block of one grey level is zeros alone under these tables: a run of them is then a flat picture. */
function isFlatInZeros({ dc, ac }: Scan['blocks'][number]): boolean {
  return (dc.long[0]! & 0xff) === 0 && (ac.long[0]! & 0xff) === 0;
}

// Under other tables so many zeros are a whole block of coefficients that are all the same, which no picture has.
const ZEROS = Buffer.alloc(32);

function hasLongZeros(bytes: Uint8Array, from: number, to: number): boolean {
  return Buffer.from(bytes.buffer, bytes.byteOffset + from, to - from).indexOf(ZEROS) >= 0;
}

interface BitState {
  /** Of the next byte. */
  pos: number;
  /** The last bits read, the newest lowest, and how many of them are still to be used. */
  bits: number;
  count: number;
  /** Bits that the decoder would have to make up, since a marker came first. */
  missing: number;
}

// One function with all of its state in local variables: it is passed once a bit of every picture that is decoded.
function walkBlocks(bytes: Uint8Array, state: BitState, blocks: Scan['blocks'], units: number): string | undefined {
  let { pos, bits, count, missing } = state;
  const blockCount = blocks.length;
  for (let unit = 0; unit < units; unit++) {
    for (let b = 0; b < blockCount; b++) {
      const { dc, ac } = blocks[b]!;
      let { short, long } = dc;
      for (let k = 0; k < 64; k++) {
        while (count <= 16) {
          const byte = pos < bytes.length ? bytes[pos]! : 0xff;
          bits <<= 8;
          count += 8;
          if (byte !== 0xff) {
            bits |= byte;
            pos++;
          } else if (bytes[pos + 1] === 0) {
            bits |= 0xff;
            pos += 2;
          } else missing += 8;
        }
        let entry = short[(bits >>> (count - 10)) & 0x3ff]!;
        if (entry === 0) entry = long[(bits >>> (count - 16)) & 0xffff]!;
        if (entry === 0) return 'a code that does not exist';
        count -= entry >> 8;
        let size = entry & 0xff;
        if (k > 0) {
          const run = size >> 4;
          size &= 15;
          if (size === 0 && run !== 15) break;
          k += run;
          if (k > 63) return 'a block of more than 64 coefficients';
        } else {
          if (size > 15) return 'a code that does not exist';
          short = ac.short;
          long = ac.long;
        }
        if (size > count) {
          while (count <= 16) {
            const byte = pos < bytes.length ? bytes[pos]! : 0xff;
            bits <<= 8;
            count += 8;
            if (byte !== 0xff) {
              bits |= byte;
              pos++;
            } else if (bytes[pos + 1] === 0) {
              bits |= 0xff;
              pos += 2;
            } else missing += 8;
          }
        }
        count -= size;
      }
      if (missing > count) return 'its data ends too early';
    }
  }
  state.pos = pos;
  state.bits = bits;
  state.count = count;
  state.missing = missing;
  return undefined;
}

/** Of the first byte of which no bit has been used. */
function firstUnread(bytes: Uint8Array, { pos, count, missing }: BitState): number {
  let at = pos;
  for (let unread = (count - missing) >> 3; unread > 0; unread--)
    at -= bytes[at - 1] === 0 && bytes[at - 2] === 0xff ? 2 : 1;
  return at;
}

/** The marker that ends the data that has been read to `pos`; or what is wrong. */
function nextMarker(bytes: Uint8Array, pos: number): number | string {
  let at = pos;
  while (at < bytes.length && !(bytes[at] === 0xff && bytes[at + 1] !== 0 && bytes[at + 1] !== 0xff)) at++;
  if (at >= bytes.length - 1) return 'the end is missing';
  const stray = at - pos;
  return stray > MOST_STRAY_BYTES ? `${stray} bytes of data are left over` : at;
}
