// Elements in one expression each. Texts are always texts, never markup: names come from people's files.

type Child = Node | string | undefined;
type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  setAttributes(made, attributes);
  for (const child of children) if (child !== undefined) made.append(child);
  return made;
}

export function svg(tag: string, attributes: Attributes = {}, ...children: readonly Child[]): SVGElement {
  const made = document.createElementNS('http://www.w3.org/2000/svg', tag);
  setAttributes(made, attributes);
  for (const child of children) if (child !== undefined) made.append(child);
  return made;
}

function setAttributes(target: Element, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    target.setAttribute(name, value === true ? '' : String(value));
  }
}

// One for all: numbers that make their own are what takes longest in a table.
const countFormat = new Intl.NumberFormat('en');

/** A number of things, as a person reads it. */
export function countText(count: number): string {
  return countFormat.format(count);
}

/** A number that leads to the pictures it counts; a plain one where it counts none. */
export function countLink(count: number, key: string, title?: string): Node | string {
  const text = countText(count);
  return count === 0 ? text : element('a', { href: pictureLink(key), title }, text);
}

/** The page's address of a list of pictures. */
export function pictureLink(key: string): string {
  return `#pictures=${key}`;
}

export interface Column {
  readonly head: string;
  readonly isNumber?: boolean;
  /** What the column is, where its head is short. */
  readonly title?: string;
}

export interface Cell {
  readonly shown: Node | string;
  /** What rows are sorted by. */
  readonly value: number | string;
}

export type Row = readonly Cell[];

/** A table whose heads sort it, first as the rows are given. */
export function sortableTable(caption: string, columns: readonly Column[], rows: readonly Row[]): Node {
  return changingTable(caption, columns, rows).node;
}

/** One whose rows change; they stay sorted as a person chose. */
export function changingTable(
  caption: string,
  columns: readonly Column[],
  firstRows: readonly Row[],
): { readonly node: Node; show(rows: readonly Row[]): void } {
  const body = element('tbody');
  let rows = firstRows;
  let sortedBy: { readonly index: number; readonly isFalling: boolean } | undefined;
  const show = (): void => {
    const list = [...rows];
    if (sortedBy) {
      const { index, isFalling } = sortedBy;
      list.sort((a, b) => compare(a[index]!.value, b[index]!.value));
      if (isFalling) list.reverse();
    }
    body.replaceChildren(
      ...list.map((cells) =>
        element(
          'tr',
          {},
          ...cells.map(({ shown }, i) =>
            i === 0
              ? element('th', { scope: 'row' }, shown)
              : element('td', { class: columns[i]!.isNumber && 'number' }, shown),
          ),
        ),
      ),
    );
  };
  show();
  const heads = columns.map(({ head, isNumber, title }, index) => {
    const button = element('button', { type: 'button', title }, head);
    const cell = element('th', { scope: 'col', class: isNumber && 'number' }, button);
    button.addEventListener('click', () => {
      const isFalling = isNumber ? cell.ariaSort !== 'descending' : cell.ariaSort === 'ascending';
      for (const other of heads) other.ariaSort = null;
      cell.ariaSort = isFalling ? 'descending' : 'ascending';
      sortedBy = { index, isFalling };
      show();
    });
    return cell;
  });
  const table = element(
    'table',
    {},
    element('caption', {}, caption),
    element('thead', {}, element('tr', {}, ...heads)),
    body,
  );
  return {
    node: element('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption }, table),
    show(changed) {
      rows = changed;
      show();
    },
  };
}

function compare(a: number | string, b: number | string): number {
  return typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b));
}

export interface SliderOptions {
  readonly id: string;
  readonly label: string;
  readonly min: number;
  readonly max: number;
  readonly step: number;
  readonly value: number;
  readonly onInput: (value: number) => void;
}

/** A range with its label and its value beside it. */
export function slider({ id, label, onInput, ...range }: SliderOptions): {
  readonly node: Node;
  readonly value: number;
  set(value: number): void;
} {
  const input = element('input', { type: 'range', id, ...range });
  const output = element('output', { for: id });
  const read = (): number => Number(Number(input.value).toFixed(2));
  const tell = (): void => {
    output.textContent = read().toFixed(2);
  };
  tell();
  input.addEventListener('input', () => {
    tell();
    onInput(read());
  });
  return {
    node: element('p', { class: 'slider' }, element('label', { for: id }, label), input, output),
    get value() {
      return read();
    },
    set(value) {
      input.value = String(value);
      tell();
    },
  };
}

/** Runs it before the next picture of the page, however often it is asked for till then. */
export function beforeNextFrame(run: () => void): () => void {
  let isAsked = false;
  return () => {
    if (isAsked) return;
    isAsked = true;
    requestAnimationFrame(() => {
      isAsked = false;
      run();
    });
  };
}

/** As evaluateCoco has figures: -1 stands for nothing to find. */
export function figure(value: number | undefined): string {
  return value === undefined || value < 0 ? '–' : value.toFixed(3);
}

export function figureCell(value: number | undefined): Cell {
  return { shown: figure(value), value: value ?? -1 };
}
