// Tar archives, uncompressed: PyTorch's format before 0.2 (2017). Header layout: POSIX ustar, with GNU's binary sizes.
import type { ByteSource } from './byte-source.js';
import { latin1Text } from './pickled-bytes.js';

const blockBytes = 512;
/** A checkpoint has four members; more mean something else, or a loop of damage. */
const maxMembers = 10_000;

/** Whether a block is a tar header: its checksum field holds the sum of its bytes. */
export function isTarHeader(block: Uint8Array): boolean {
  if (block.byteLength < blockBytes) return false;
  const expected = Number.parseInt(latin1Text(block.subarray(148, 156)).replaceAll(/[\0 ]/g, ''), 8);
  // The checksum counts its own field as blanks.
  let sum = 8 * 0x20;
  for (let i = 0; i < blockBytes; i++) if (i < 148 || i >= 156) sum += block[i]!;
  return sum === expected;
}

/** The regular members by name. Throws `CheckpointError` when a member ends beyond the file. */
export function readTar(source: ByteSource): ReadonlyMap<string, ByteSource> {
  const members = new Map<string, ByteSource>();
  let position = 0;
  for (let count = 0; position + blockBytes <= source.size; count++) {
    const header = source.read(position, blockBytes, 'a tar header');
    if (header.every((byte) => byte === 0)) break;
    if (!isTarHeader(header))
      throw source.error('format-invalid', position, 'a tar header has a wrong checksum: the file is damaged');
    if (count >= maxMembers)
      throw source.error('too-large', position, `more than ${maxMembers} tar members: not a weights file`);
    const size = sizeOf(header);
    const name = latin1Text(header.subarray(0, 100)).replace(/\0.*$/s, '').replace(/^\.\//, '');
    const content = source.window(position + blockBytes, size, `tar member ${JSON.stringify(name)}`);
    const type = header[156];
    if (type === 0x30 || type === 0) members.set(name, content);
    position += blockBytes + Math.ceil(size / blockBytes) * blockBytes;
  }
  return members;
}

/** Octal text, or big-endian binary where the top bit is set. */
function sizeOf(header: Uint8Array): number {
  const field = header.subarray(124, 136);
  if (((field[0] ?? 0) & 0x80) === 0) return Number.parseInt(latin1Text(field).replaceAll(/[\0 ]/g, '') || '0', 8);
  return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
}
