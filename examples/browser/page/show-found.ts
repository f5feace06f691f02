// A picture with what was found on it: on the canvas, in words, as a table and as JSON.
import {
  type Category,
  canvasMeasure,
  type Detection,
  type DrawInstruction,
  type DrawnItem,
  detectionInstructions,
  distinctColor,
  formatPictureResults,
  listText,
  paintInstructions,
  type RgbImage,
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

/** At the size at which it is shown, so that names can be read whatever the photo's own size is. */
function draw({ image }: Picture, wanted: readonly Detection[], categories: readonly Category[]): void {
  const { canvas } = page;
  canvas.style.setProperty('--aspect', String(image.width / image.height));
  canvas.hidden = false;
  canvas.parentElement!.classList.add('shown');
  page.invitation.hidden = true;
  const shownWidth = canvas.clientWidth;
  const scale = shownWidth / image.width;
  canvas.width = Math.round(shownWidth * devicePixelRatio);
  // A picture of 10,000 pixels in one row is a line.
  canvas.height = Math.max(1, Math.round(image.height * scale * devicePixelRatio));
  const context = canvas.getContext('2d')!;
  context.drawImage(bitmapOf(image), 0, 0, canvas.width, canvas.height);
  context.scale(devicePixelRatio * scale, devicePixelRatio * scale);
  paintInstructions(context, maskInstructions(image, wanted, categories, scale));
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  const shown = wanted.map((item) => scaled(item, scale));
  const others = detectionInstructions(shown, {
    categories,
    width: shownWidth,
    height: image.height * scale,
    measure: canvasMeasure(context),
    showMasks: false,
    showBoxes: page.boxes.checked,
    showLabels: page.names.checked,
  });
  paintInstructions(context, others);
}

/** Masks are of the picture's own size; the lines around them are as wide as any other. */
function maskInstructions(
  { width, height }: RgbImage,
  wanted: readonly Detection[],
  categories: readonly Category[],
  scale: number,
): DrawInstruction[] {
  const masks = detectionInstructions(wanted, {
    categories,
    width,
    height,
    measure: () => 0,
    showMasks: page.masks.checked,
    showBoxes: false,
    showKeypoints: false,
    showLabels: false,
  });
  return masks.map((mask) => (mask.kind === 'mask' ? { ...mask, outlinePx: OUTLINE_PX / scale } : mask));
}

const OUTLINE_PX = 1.5;

function scaled({ segmentation: _, bbox, keypoints, ...item }: Detection, scale: number): DrawnItem {
  const box = bbox?.map((value) => value * scale) as typeof bbox;
  // Every third value says how visible a point is.
  const points = keypoints?.map((value, i) => (i % 3 === 2 ? value : value * scale));
  return { ...item, ...(box && { bbox: box }), ...(points && { keypoints: points }) };
}

let base: { readonly image: RgbImage; readonly canvas: OffscreenCanvas } | undefined;

/** The picture for a canvas; kept while the same one is drawn again. */
function bitmapOf(image: RgbImage): OffscreenCanvas {
  if (base?.image === image) return base.canvas;
  const { width, height, data } = image;
  const pixels = new ImageData(width, height);
  for (let from = 0, to = 0; from < data.length; from += 3, to += 4) {
    pixels.data[to] = data[from]!;
    pixels.data[to + 1] = data[from + 1]!;
    pixels.data[to + 2] = data[from + 2]!;
    pixels.data[to + 3] = 255;
  }
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext('2d')!.putImageData(pixels, 0, 0);
  base = { image, canvas };
  return canvas;
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
