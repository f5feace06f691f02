// Which cards a CUDA library has code for, read from the file: the compiler puts a "fat binary" for each source into the
// ELF section .nv_fatbin, with an entry for each architecture. Sizes and architectures stand in headers that are never
// compressed (the layout that cuobjdump lists; CUDA's fatbinary_section.h has its magic number).
import { closeSync, openSync, readSync } from 'node:fs';

/** What a library holds for one architecture; 90 is compute capability 9.0. */
export interface CudaArchitecture {
  readonly capability: number;
  /** 'machine': runs on that capability and higher ones of its major number; 'ptx': compiled by the driver for any from it on. */
  readonly kind: 'machine' | 'ptx';
  /** How many of the sources have it; some have more than the others. */
  readonly sources: number;
}

const FATBIN_MAGIC = 0xba55ed50;
const PTX = 1;
const MACHINE_CODE = 2;
const SECTION_HEADER_BYTES = 64;
/** Entries of a fat binary that are worth believing. */
const LARGEST_HEADER = 4096;

/**
 * The architectures of a 64-bit ELF library, those first that most sources have.
 * @returns an empty list for a file that is no such library, or has no code for cards
 */
export function readCudaArchitectures(file: string): CudaArchitecture[] {
  const descriptor = openSync(file, 'r');
  try {
    const section = findSection(descriptor, '.nv_fatbin');
    return section === undefined ? [] : countArchitectures(descriptor, section);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Whether a card can run a library's code.
 * @param capability of the card: 90 is 9.0
 * @returns 'machine' where code for it is there, 'ptx' where the driver has to compile it first, undefined where neither is
 */
export function codeFor(
  capability: number,
  architectures: readonly CudaArchitecture[],
): CudaArchitecture['kind'] | undefined {
  const most = Math.max(0, ...architectures.map(({ sources }) => sources));
  // A few sources are compiled for an architecture more than the others: what nearly all have decides.
  const common = architectures.filter(({ sources }) => sources > most / 2);
  const major = Math.floor(capability / 10);
  const runs = ({ kind, capability: own }: CudaArchitecture): boolean =>
    own <= capability && (kind === 'ptx' || Math.floor(own / 10) === major);
  if (common.some((each) => each.kind === 'machine' && runs(each))) return 'machine';
  return common.some(runs) ? 'ptx' : undefined;
}

interface Section {
  readonly offset: number;
  readonly size: number;
}

function findSection(descriptor: number, wanted: string): Section | undefined {
  const header = bytesAt(descriptor, 0, 64);
  const isElf64 = header.length === 64 && header.readUInt32BE(0) === 0x7f454c46 && header[4] === 2 && header[5] === 1;
  if (!isElf64) return undefined;
  const count = header.readUInt16LE(60);
  const table = bytesAt(descriptor, Number(header.readBigUInt64LE(40)), count * SECTION_HEADER_BYTES);
  if (table.length < count * SECTION_HEADER_BYTES) return undefined;
  const sectionAt = (index: number): Section => ({
    offset: Number(table.readBigUInt64LE(index * SECTION_HEADER_BYTES + 24)),
    size: Number(table.readBigUInt64LE(index * SECTION_HEADER_BYTES + 32)),
  });
  const namesIndex = header.readUInt16LE(62);
  if (namesIndex >= count) return undefined;
  const { offset, size } = sectionAt(namesIndex);
  const names = bytesAt(descriptor, offset, size).toString('latin1');
  for (let index = 0; index < count; index++) {
    const start = table.readUInt32LE(index * SECTION_HEADER_BYTES);
    if (names.slice(start, names.indexOf('\0', start)) === wanted) return sectionAt(index);
  }
  return undefined;
}

function countArchitectures(descriptor: number, { offset, size }: Section): CudaArchitecture[] {
  const counts = new Map<string, { kind: CudaArchitecture['kind']; capability: number; sources: number }>();
  const end = offset + size;
  let at = offset;
  while (at + 16 <= end) {
    const header = bytesAt(descriptor, at, 16);
    if (header.length < 16) break;
    if (header.readUInt32LE(0) !== FATBIN_MAGIC) {
      // Fat binaries begin at multiples of eight; between two there may be padding.
      at += 8;
      continue;
    }
    const body = at + header.readUInt16LE(6);
    const bodyEnd = Math.min(end, body + Number(header.readBigUInt64LE(8)));
    for (const [kind, capability] of entriesOf(descriptor, body, bodyEnd)) {
      const key = `${kind} ${capability}`;
      const entry = counts.get(key) ?? { kind, capability, sources: 0 };
      entry.sources++;
      counts.set(key, entry);
    }
    at = Math.max(bodyEnd, at + 16);
  }
  return [...counts.values()].sort((a, b) => b.sources - a.sources || a.capability - b.capability);
}

function entriesOf(descriptor: number, start: number, end: number): [CudaArchitecture['kind'], number][] {
  const entries: [CudaArchitecture['kind'], number][] = [];
  for (let at = start; at + 32 <= end; ) {
    const entry = bytesAt(descriptor, at, 32);
    if (entry.length < 32) break;
    const kind = entry.readUInt16LE(0);
    const headerBytes = entry.readUInt32LE(4);
    if (headerBytes < 32 || headerBytes > LARGEST_HEADER) break;
    if (kind === PTX || kind === MACHINE_CODE) entries.push([kind === PTX ? 'ptx' : 'machine', entry.readUInt32LE(28)]);
    at += headerBytes + Number(entry.readBigUInt64LE(8));
  }
  return entries;
}

/** Fewer where the file ends. */
function bytesAt(descriptor: number, position: number, length: number): Buffer {
  const buffer = Buffer.alloc(length);
  return buffer.subarray(0, readSync(descriptor, buffer, 0, length, position));
}
