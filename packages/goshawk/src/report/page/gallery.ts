// The pictures of one list: what is there at the left, what was found at the right.
import { countText, element, pictureLink, slider, svg } from './dom.js';
import { type Entry, labelOf, pictureList } from './picture-lists.js';
import type { DetectionData, ObjectData, PictureData, ReportData } from './report-data.js';
import { type ChosenThresholds, keyAt } from './thresholds.js';

const PAGE = 24;

/** Lists to choose from, whatever else leads to one. */
const CHOICES: readonly (readonly [key: string, name: string, needsErrors: boolean])[] = [
  ['false', 'False, surest first', true],
  ['missed', 'Missed, largest first', true],
  ['swapped', 'Classes swapped', true],
  ['right', 'Right', true],
  ['good', 'Good pictures', true],
  ['all', 'All pictures', false],
];

/** The section, and what shows a list in it. */
export function gallery(
  report: ReportData,
  chosen: ChosenThresholds | undefined,
): { readonly node: Node; show(key: string): boolean } {
  const title = element('h3', { tabindex: -1 });
  const note = element('p', { class: 'soft', 'aria-live': 'polite' });
  const cards = element('div', { class: 'cards' });
  const more = element('button', { type: 'button' }, 'Show more');
  const score = slider({
    id: 'score',
    label: 'Show detections from score ',
    min: 0,
    max: 1,
    step: 0.01,
    value: 0.5,
    onInput: () => refresh(),
  });
  const choices = CHOICES.filter(([, , needsErrors]) => !needsErrors || report.errors !== undefined).map(
    ([key, name]) => ({
      key,
      link: element('a', { href: pictureLink(key), class: 'choice' }, name),
    }),
  );
  const keyOf = (list: string): string => (chosen ? keyAt(list, chosen.now(), chosen.first) : list);
  let entries: readonly Entry[] = [];
  let shown = 0;
  let shownKey = '';
  const markChoice = (): void => {
    for (const { key, link } of choices) {
      link.setAttribute('href', pictureLink(keyOf(key)));
      link.ariaCurrent = keyOf(key) === shownKey ? 'true' : null;
    }
  };
  chosen?.onChange(markChoice);

  const viewer = pictureViewer(report, () => score.value);
  const showMore = (): void => {
    const next = entries.slice(shown, shown + PAGE);
    next.forEach((entry, i) => {
      const place = shown + i;
      cards.append(card(report, entry, score.value, () => viewer.open(entries, place)));
    });
    shown += next.length;
    more.hidden = shown >= entries.length;
  };
  const refresh = (): void => {
    const count = Math.max(shown, PAGE);
    cards.replaceChildren();
    shown = 0;
    while (shown < count && shown < entries.length) showMore();
    more.hidden = shown >= entries.length;
  };
  more.addEventListener('click', showMore);

  const node = element(
    'div',
    {},
    element('nav', { class: 'choices', 'aria-label': 'Lists of pictures' }, ...choices.map(({ link }) => link)),
    score.node,
    title,
    note,
    cards,
    more,
    viewer.node,
    report.pictureLimit === '' ? undefined : element('p', { class: 'soft' }, report.pictureLimit),
  );
  return {
    node,
    show(key) {
      const list = pictureList(report, key);
      if (list === undefined) return false;
      shownKey = key;
      markChoice();
      entries = list.entries;
      title.textContent = list.title;
      const total = list.total ?? entries.length;
      const kept = total > entries.length ? `; the ${entries.length} worst are kept` : '';
      note.textContent =
        total === 0
          ? 'There is none.'
          : `${countText(total)}${kept}. What is there at the left (green), what was found at the right (orange); what the entry is about is pink.`;
      score.set(list.score ?? report.errors?.thresholds.overall.best?.score ?? 0.5);
      shown = 0;
      refresh();
      return true;
    },
  };
}

function card(report: ReportData, entry: Entry, score: number, onOpen: () => void): Node {
  const picture = report.pictures[entry.picture]!;
  const button = element(
    'button',
    { type: 'button', class: 'card', 'aria-label': describe(report, entry) },
    element('span', { class: 'pair' }, half(report, entry, 'truth', score), half(report, entry, 'found', score)),
    element('span', { class: 'card-name' }, describe(report, entry)),
    element('span', { class: 'card-file' }, picture.name),
  );
  button.addEventListener('click', onOpen);
  return button;
}

function describe(report: ReportData, { picture, object, detection }: Entry): string {
  const { objects, detections, name } = report.pictures[picture]!;
  const truth = object === undefined ? undefined : labelOf(report, objects[object]!, false);
  const found = detection === undefined ? undefined : labelOf(report, detections[detection]!, true);
  if (truth === undefined && found === undefined) return name;
  if (truth === undefined) return `${found}`;
  return found === undefined ? `${truth}, not found` : `${truth}, found as ${found}`;
}

/** One side of a card: the picture with masks and boxes over it. */
function half(report: ReportData, entry: Entry, side: 'truth' | 'found', score: number, hasLabels = false): Node {
  const picture = report.pictures[entry.picture]!;
  const { width, height } = picture;
  const boxes =
    side === 'truth'
      ? picture.objects.map((_, i) => shape(report, picture, side, i, i === entry.object, hasLabels))
      : picture.detections.flatMap((box, i) =>
          box[1] >= score || i === entry.detection
            ? [shape(report, picture, side, i, i === entry.detection, hasLabels)]
            : [],
        );
  const file = picture.file;
  return element(
    'span',
    { class: `half ${side}`, style: `--aspect: ${width / height}` },
    file === undefined
      ? element('span', { class: 'no-picture' }, 'beyond the limit')
      : element('img', { src: file, loading: 'lazy', alt: '', decoding: 'async' }),
    svg('svg', { viewBox: `0 0 ${width} ${height}`, 'aria-hidden': true }, ...boxes),
    element('span', { class: 'side' }, side === 'truth' ? 'there' : 'found'),
  );
}

/** A mask, or the box of what has none. */
function shape(
  report: ReportData,
  picture: PictureData,
  side: 'truth' | 'found',
  place: number,
  isMeant: boolean,
  hasLabels: boolean,
): SVGElement {
  const isDetection = side === 'found';
  const box: ObjectData | DetectionData = isDetection ? picture.detections[place]! : picture.objects[place]!;
  const [x, y, width, height] = (isDetection ? box.slice(2, 6) : box.slice(1, 5)) as [number, number, number, number];
  const path = (isDetection ? picture.detectionMasks : picture.objectMasks)?.[place] ?? '';
  const outline = (name: string): SVGElement => {
    const common = { class: name, 'vector-effect': 'non-scaling-stroke' };
    return path === '' ? svg('rect', { x, y, width, height, ...common }) : svg('path', { d: path, ...common });
  };
  const size = Math.max(picture.width, picture.height) / 42;
  return svg(
    'g',
    { class: `${side}${isMeant ? ' meant' : ''}` },
    svg('title', {}, labelOf(report, box, isDetection)),
    outline('rim'),
    outline('line'),
    hasLabels
      ? svg(
          'text',
          { x: Math.max(x, size / 4), y: y > size * 1.3 ? y - size / 4 : y + size, 'font-size': size },
          labelOf(report, box, isDetection),
        )
      : undefined,
  );
}

/** A picture large, with arrow keys to the next. */
function pictureViewer(report: ReportData, score: () => number) {
  const heading = element('h3');
  const body = element('div', { class: 'large' });
  const back = element('button', { type: 'button' }, '← Previous');
  const on = element('button', { type: 'button' }, 'Next →');
  const close = element('button', { type: 'button' }, 'Close');
  const node = element(
    'dialog',
    { class: 'viewer', 'aria-label': 'Picture' },
    element('div', { class: 'viewer-bar' }, back, on, close),
    heading,
    body,
  );
  let entries: readonly Entry[] = [];
  let place = 0;
  const show = (): void => {
    const entry = entries[place]!;
    heading.textContent = `${place + 1} of ${entries.length}: ${describe(report, entry)}`;
    body.replaceChildren(
      half(report, entry, 'truth', score(), true),
      half(report, entry, 'found', score(), true),
      element('p', { class: 'soft' }, report.pictures[entry.picture]!.name),
    );
    back.disabled = place === 0;
    on.disabled = place === entries.length - 1;
  };
  const move = (by: number): void => {
    const next = place + by;
    if (next < 0 || next >= entries.length) return;
    place = next;
    show();
  };
  back.addEventListener('click', () => move(-1));
  on.addEventListener('click', () => move(1));
  close.addEventListener('click', () => node.close());
  node.addEventListener('keydown', ({ key }) => {
    if (key === 'ArrowLeft') move(-1);
    if (key === 'ArrowRight') move(1);
  });
  return {
    node,
    open(list: readonly Entry[], at: number): void {
      entries = list;
      place = at;
      show();
      node.showModal();
    },
  };
}
