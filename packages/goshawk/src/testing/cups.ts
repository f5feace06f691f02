// Two pictures, one with two cups, what was found in them, for commands that need no more; and what a refusal looks like.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import sharp from 'sharp';
import { goshawkHere } from './goshawk-here.js';

export interface Run {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

/** 20 x 20 is below COCO's 32 x 32, 2000 below its 96 x 96. */
export const annotations = {
  images: [
    { id: 1, file_name: 'a.png', width: 60, height: 40 },
    { id: 2, file_name: 'b.png', width: 50, height: 50 },
  ],
  categories: [
    { id: 3, name: 'cup' },
    { id: 7, name: 'fork' },
  ],
  annotations: [
    { id: 1, image_id: 1, category_id: 3, bbox: [10, 10, 20, 20], area: 400, iscrowd: 0 },
    { id: 2, image_id: 1, category_id: 3, bbox: [2, 0, 50, 40], area: 2000, iscrowd: 0 },
  ],
};

export interface Cups {
  /** Goes when the tests of the file are done; has truth.json, found.json (one of the two cups, and nothing), a.png and b.png. */
  readonly folder: string;
  /** Runs a command there, in this process. */
  here(args: readonly string[]): Promise<Run>;
  assertRefused(args: readonly string[], message: string): Promise<void>;
}

/** To be called once in a file of tests, outside of them. The second picture is narrower than its annotation says. */
export function cups(): Cups {
  const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-cups-'));
  before(async () => {
    writeFileSync(path.join(folder, 'truth.json'), JSON.stringify(annotations));
    const detections = [
      { image_id: 1, category_id: 3, bbox: [10, 10, 20, 20], score: 0.9 },
      { image_id: 1, category_id: 3, bbox: [30, 0, 20, 20], score: 0.8 },
    ];
    writeFileSync(path.join(folder, 'found.json'), JSON.stringify(detections));
    const picture = (width: number, height: number) =>
      sharp({ create: { width, height, channels: 3, background: '#4080c0' } });
    await picture(60, 40).png().toFile(path.join(folder, 'a.png'));
    await picture(40, 50).png().toFile(path.join(folder, 'b.png'));
  });
  after(() => rmSync(folder, { recursive: true }));
  const here = (args: readonly string[]) => goshawkHere(folder, args);
  return { folder, here, assertRefused: async (args, message) => isRefusal(await here(args), message) };
}

/** Wrong usage and wrong input: exit code 2, nothing on stdout, one line on stderr. */
export function isRefusal({ code, out, err }: Run, message: string): void {
  assert.deepEqual({ code, out, err }, { code: 2, out: '', err: `goshawk: ${message}\n` });
}
