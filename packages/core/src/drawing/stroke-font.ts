// A font of strokes, drawn for this project: letters are lines on a grid, so that they are crisp at one pixel a grid
// step and smooth at any other size. ASCII 32 to 126; accents are dropped, other characters become an empty frame.
import type { Surface } from './surface.js';

/** Grid rows from the top of a capital to the lowest stroke of a g. */
export const fontRows = 9;

// Lines between points xy, separated by spaces: x from 0 to the right, y from 0 (capitals' top) over 2 (top of an x)
// and 6 (base line) to 8 (below).
const strokes: Readonly<Record<string, string>> = {
  ' ': '',
  '!': '0004 06',
  '"': '0002 2022',
  '#': '1016 3036 0242 0444',
  $: '413010010213334445361605 2026',
  '%': '0640 0010110100 3545463635',
  '&': '4612112031320405162644',
  "'": '0002',
  '(': '10010516',
  ')': '00111506',
  '*': '2125 0244 4204',
  '+': '0343 2125',
  ',': '1607',
  '-': '0333',
  '.': '06',
  '/': '0640',
  '0': '102031352616050110',
  '1': '011016 0626',
  '2': '01103041420646',
  '3': '0110304142334445361605 1333',
  '4': '36300444',
  '5': '400003334445361605',
  '6': '30100105163645443303',
  '7': '004016',
  '8': '103041423313020110 1304051636454433',
  '9': '43130201103041453616',
  ':': '03 06',
  ';': '13 1607',
  '<': '300336',
  '=': '0242 0444',
  '>': '003306',
  '?': '0110304142332324 26',
  '@': '3616050110304144242242',
  A: '0602204246 0444',
  B: '00063645443303 3342413000',
  C: '4130100105163645',
  D: '00062644422000',
  E: '40000646 0333',
  F: '400006 0333',
  G: '41301001051636454323',
  H: '0006 4046 0343',
  I: '0020 1016 0626',
  J: '3035261605',
  K: '0006 401346 0313',
  L: '000646',
  M: '0600224046',
  N: '06004640',
  O: '103041453616050110',
  P: '06003041423303',
  Q: '103041453616050110 2446',
  R: '06003041423303 2346',
  S: '413010010213334445361605',
  T: '0040 2026',
  U: '000516364540',
  V: '002640',
  W: '0016223640',
  X: '0046 4006',
  Y: '002340 2326',
  Z: '00400646',
  '[': '10000616',
  '\\': '0046',
  ']': '00101606',
  '^': '022042',
  _: '0747',
  '`': '0011',
  a: '1232434616051444',
  b: '00063645433202',
  c: '4332120305163645',
  d: '40461605031242',
  e: '044443321203051636',
  f: '30201116 0232',
  g: '42473808 421203051646',
  h: '0006 02324346',
  i: '00 0206',
  j: '10 121708',
  k: '0006 321436 0414',
  l: '000516',
  m: '0602526366 3236',
  n: '0602324346',
  o: '123243453616050312',
  p: '08023243453606',
  q: '48421203051646',
  r: '0602 031232',
  s: '4212031434453606',
  t: '10152636 0232',
  u: '02051646 4246',
  v: '022642',
  w: '0216233642',
  x: '0246 4206',
  y: '02051646 42473808',
  z: '02420646',
  '{': '20111203141526',
  '|': '0007',
  '}': '00111223141506',
  '~': '04133443',
};
const unknown = '0040460600';

interface Glyph {
  readonly lines: readonly (readonly number[])[];
  readonly width: number;
}

const glyphs = new Map<string, Glyph>();

/** Width of a line of text in grid steps. */
export function textColumns(text: string): number {
  let columns = 0;
  for (const character of plain(text)) columns += glyphOf(character).width + 2;
  return Math.max(columns - 1, 0);
}

/** As many characters of the text as fit, an ending ".." where some are left out; empty where not even one fits. */
export function fitText(text: string, columns: number): string {
  if (textColumns(text) <= columns) return text;
  const characters = [...text];
  for (let count = characters.length - 1; count > 0; count--) {
    const cut = `${characters.slice(0, count).join('').trimEnd()}..`;
    if (textColumns(cut) <= columns) return cut;
  }
  return '';
}

/**
 * Adds a line of text to the surface's figure.
 * @param x y the upper left corner of its first capital, pixels
 * @param scale pixels a grid step; a capital is 7 steps high
 */
export function addText(surface: Surface, text: string, x: number, y: number, scale: number): void {
  const widthPx = Math.max(scale * 1.1, 1);
  let column = 0;
  for (const character of plain(text)) {
    const { lines, width } = glyphOf(character);
    for (const line of lines) {
      const points = line.map((value, i) =>
        i % 2 === 0 ? x + (value + column + 0.5) * scale : y + (value + 0.5) * scale,
      );
      surface.addPath(points, widthPx, false);
    }
    column += width + 2;
  }
}

// Letters without their accents: e for é.
function plain(text: string): string {
  return text.normalize('NFD').replace(/\p{Mark}/gu, '');
}

function glyphOf(character: string): Glyph {
  let glyph = glyphs.get(character);
  if (glyph === undefined) {
    glyph = parseGlyph(strokes[character] ?? unknown);
    glyphs.set(character, glyph);
  }
  return glyph;
}

function parseGlyph(text: string): Glyph {
  const lines = text
    .split(' ')
    .filter((line) => line !== '')
    .map((line) => [...line].map(Number));
  const width = Math.max(0, ...lines.flatMap((line) => line.filter((_, i) => i % 2 === 0)));
  return { lines: lines.map(roundBends), width: lines.length === 0 ? 1 : width };
}

// Bends of 45 degrees are curves, sharper ones are corners: the former are cut at a third of their sides.
function roundBends(points: readonly number[]): number[] {
  const rounded: number[] = [];
  for (let i = 0; i < points.length; i += 2) {
    const x = points[i]!;
    const y = points[i + 1]!;
    const isEnd = i === 0 || i === points.length - 2;
    const inX = x - (points[i - 2] ?? x);
    const inY = y - (points[i - 1] ?? y);
    const outX = (points[i + 2] ?? x) - x;
    const outY = (points[i + 3] ?? y) - y;
    const cosine = (inX * outX + inY * outY) / (Math.hypot(inX, inY) * Math.hypot(outX, outY) || 1);
    if (isEnd || cosine < 0.6) {
      rounded.push(x, y);
      continue;
    }
    const before = Math.min(1 / 3, 0.5 / Math.hypot(inX, inY));
    const after = Math.min(1 / 3, 0.5 / Math.hypot(outX, outY));
    rounded.push(x - inX * before, y - inY * before, x + outX * after, y + outY * after);
  }
  return rounded;
}
