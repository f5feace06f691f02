// Folders that the commands themselves write, as they lie among a person's own: no place to look for photos to learn from.
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readHead } from './read-head.js';

/** How a config that was made for a folder of photos begins; a program's name and what it was made from follow. */
export const MADE_HEADING = 'Made by goshawk';

/** Files of runs, of evaluations and predictions, and of drawn data sets. */
const MARKS = ['metrics.jsonl', 'detections.json', 'contact-sheet.png'] as const;

/** Ending of the folder that goshawk init puts beside its config. */
export const PARTS_ENDING = '-data';

/** Whether a folder is of a run, predictions or drawn pictures, or holds the parts and copies of a config that was made. */
export function isMadeFolder(folder: string): boolean {
  if (MARKS.some((name) => existsSync(join(folder, name)))) return true;
  if (isMadeConfig(join(folder, 'train.yaml'))) return true;
  return folder.endsWith(PARTS_ENDING) && isMadeConfig(`${folder.slice(0, -PARTS_ENDING.length)}.yaml`);
}

function isMadeConfig(file: string): boolean {
  return existsSync(file) && readHead(file, 64).head.startsWith(`# ${MADE_HEADING}`);
}
