// A picture with what was found on it: on the canvas, in words, as a table and as JSON.
import {
  type Category,
  canvasMeasure,
  type Detection,
  detectionInstructions,
  distinctColor,
  formatPictureResults,
  listText,
  paintInstructions,
} from '@goshawk/core';
import { page } from './elements.js';
import type { Picture } from './pictures.js';

export interface Shown {
  readonly picture: Picture;
  /** Best first. */
  readonly found: readonly Detection[];
  readonly categories: readonly Category[];
  /** Of finding it. */
  readonly milliseconds: number;
}

const FONT = { family: 'system-ui, sans-serif', weight: 600 };

/** @param isLive one of many pictures a second, which are drawn and not told */
export function show({ picture, found, categories, milliseconds }: Shown, isLive: boolean): void {
  const wanted = found.filter(({ score }) => score >= page.threshold.valueAsNumber);
  draw(picture, wanted, categories);
  const inWords = summary(wanted, categories);
  page.canvas.setAttribute('aria-label', `${picture.name}: ${inWords}`);
  tabulate(wanted, categories);
  page.found.hidden = wanted.length === 0;
  page.results.hidden = isLive;
  if (isLive) return;
  page.status.textContent = `${inWords} in ${(milliseconds / 1000).toFixed(2)} s.`;
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  const lines = formatPictureResults({ id: 1, fileName: picture.name }, wanted, names);
  page.json.value = lines === '' ? listText.empty : listText.open + lines + listText.close;
}

function draw({ image }: Picture, wanted: readonly Detection[], categories: readonly Category[]): void {
  const { canvas } = page;
  const { width, height, data } = image;
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
    canvas.style.setProperty('--aspect', String(width / height));
  }
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data[to] = data[from]!;
    pixels.data[to + 1] = data[from + 1]!;
    pixels.data[to + 2] = data[from + 2]!;
    pixels.data[to + 3] = 255;
  }
  const context = canvas.getContext('2d')!;
  context.putImageData(pixels, 0, 0);
  const instructions = detectionInstructions(wanted, {
    width,
    height,
    measure: canvasMeasure(context, FONT),
    categories,
    showBoxes: page.boxes.checked,
    showMasks: page.masks.checked,
    showLabels: page.names.checked,
  });
  paintInstructions(context, instructions, FONT);
  canvas.hidden = false;
  canvas.parentElement!.classList.add('shown');
  page.invitation.hidden = true;
}

function summary(wanted: readonly Detection[], categories: readonly Category[]): string {
  if (wanted.length === 0) return 'Nothing found';
  const counts = categories
    .map(({ id, name }) => ({ name, count: wanted.filter(({ categoryId }) => categoryId === id).length }))
    .filter(({ count }) => count > 0)
    .map(({ name, count }) => `${count} ${name}`);
  return `Found ${counts.join(', ')}`;
}

// More would be slow to read and to lay out.
const MOST_ROWS = 50;

function tabulate(wanted: readonly Detection[], categories: readonly Category[]): void {
  const isOneCategory = wanted.every(({ categoryId }) => categoryId === wanted[0]!.categoryId);
  const rows = wanted.slice(0, MOST_ROWS).map(({ categoryId, score, bbox }, i) => {
    const index = categories.findIndex(({ id }) => id === categoryId);
    const [x = 0, y = 0, width = 0, height = 0] = (bbox ?? []).map(Math.round);
    const swatch = document.createElement('span');
    swatch.className = 'swatch';
    // As the drawing colours it.
    swatch.style.setProperty('background', `rgb(${distinctColor(isOneCategory ? i : index).join(' ')})`);
    const name = cell('');
    name.append(swatch, categories[index]!.name);
    const row = document.createElement('tr');
    row.append(
      name,
      cell(score.toFixed(2), 'number'),
      cell(`${x}, ${y}`, 'number'),
      cell(`${width} × ${height}`, 'number'),
    );
    return row;
  });
  page.found.tBodies[0]!.replaceChildren(...rows);
}

function cell(content: string, className = ''): HTMLTableCellElement {
  const made = document.createElement('td');
  made.textContent = content;
  made.className = className;
  return made;
}
