// COCO annotation files on disk: small ones at once, large ones in pieces, which takes twice as long and a fraction of the memory;
// and modules that stand for one.
import { readFileSync, statSync } from 'node:fs';
import {
  type CocoOptions,
  checkCoco,
  checkCocoChunks,
  type DataIssue,
  type ParsedCoco,
  parseCoco,
  parseCocoChunks,
} from '@goshawk/core';
import { readFileChunks } from '../files/read-chunks.js';
import { fileError } from '../files/read-file.js';
import { isModuleFile, readModuleDataset } from './module-dataset.js';

/** An engine's strings end at half a gigabyte, and the values of one need its heap several times over. */
const largeBytes = 128 * 2 ** 20;

/** @throws InputError naming the file and what is wrong */
export function parseCocoFile(file: string, options: Omit<CocoOptions, 'fileName'>): ParsedCoco {
  const named = { ...options, fileName: file };
  return isLarge(file) ? parseCocoChunks(() => readFileChunks(file), named) : parseCoco(readBytes(file), named);
}

/** @throws InputError where the file cannot be read */
export function checkCocoFile(file: string, options: Omit<CocoOptions, 'fileName'>): DataIssue[] {
  const named = { ...options, fileName: file };
  return isLarge(file) ? checkCocoChunks(() => readFileChunks(file), named) : checkCoco(readBytes(file), named);
}

function isLarge(file: string): boolean {
  if (isModuleFile(file)) return false;
  try {
    return statSync(file).size > largeBytes;
  } catch (error) {
    throw fileError(error, file);
  }
}

/** Of a module what it stands for. */
function readBytes(file: string): Uint8Array {
  try {
    if (isModuleFile(file) && statSync(file).isFile()) return Buffer.from(readModuleDataset(file));
    return readFileSync(file);
  } catch (error) {
    throw fileError(error, file);
  }
}
