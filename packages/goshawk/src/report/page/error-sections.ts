// Where the model errs: classes, thresholds, the confusion matrix, TIDE.
import { barChart, type ChartLine, lineChart } from './charts.js';
import { countLink, element, figure, figureCell, pictureLink, sortableTable } from './dom.js';
import { nameOf } from './picture-lists.js';
import type { CurveData, ErrorsData, Point, ReportData } from './report-data.js';

export function classesSection(report: ReportData, errors: ErrorsData): Node[] {
  const { classes, thresholds, confusion } = errors;
  const background = report.categories.length;
  const count = (isAsked: (truth: number, found: number) => boolean): number =>
    confusion.cells.reduce((sum, [truth, found, number]) => sum + (isAsked(truth, found) ? number : 0), 0);
  const rows = report.categories.map((name, k) => {
    const { objects, AP, AP50, AP75, AR } = classes[k]!;
    const best = thresholds.classes[k]!.best;
    const counted = (list: string, isAsked: (truth: number, found: number) => boolean) => {
      const value = count(isAsked);
      return { shown: countLink(value, `${list}/${k}`, `${name}: ${list}`), value };
    };
    return [
      { shown: element('a', { href: pictureLink(`objects/${k}`) }, name), value: name },
      { shown: countLink(objects, `objects/${k}`), value: objects },
      figureCell(AP),
      figureCell(AP50),
      figureCell(AP75),
      figureCell(AR),
      {
        shown: best ? element('a', { href: pictureLink(`at/${k}/${best.score}`) }, figure(best.score)) : '–',
        value: best?.score ?? -1,
      },
      figureCell(best?.precision),
      figureCell(best?.recall),
      figureCell(best?.f1),
      counted('right', (t, f) => t === k && f === k),
      counted('false', (t, f) => t === background && f === k),
      counted('missed', (t, f) => t === k && f === background),
      counted('swapped', (t, f) => t === k && f !== k && f !== background),
    ];
  });
  const number = (head: string, title?: string) => ({ head, isNumber: true, ...(title ? { title } : {}) });
  const columns = [
    { head: 'class' },
    number('objects'),
    number('AP'),
    number('AP50'),
    number('AP75'),
    number('AR'),
    number('best score', 'The score from which F1 is highest'),
    number('precision', 'From the best score on'),
    number('recall', 'From the best score on'),
    number('F1', 'From the best score on'),
    number('right'),
    number('false', 'Found where nothing is'),
    number('missed', 'Not found'),
    number('swapped', 'Found as another class'),
  ];
  return [
    sortableTable('By class', columns, rows),
    element(
      'p',
      { class: 'soft' },
      `AP as COCO measures it, over IoU 0.50 to 0.95; best scores, precision and recall at IoU ${thresholds.iouThreshold}; right, false, missed and swapped from score ${confusion.scoreThreshold} and IoU ${confusion.iouThreshold}. Press a head to sort.`,
    ),
  ];
}

// More lines than that are not told apart: of the others the table has the best scores.
const MOST_LINES = 8;

export function thresholdsSection(report: ReportData, { thresholds, classes }: ErrorsData): Node[] {
  const { overall } = thresholds;
  const order = report.categories
    .map((name, k) => ({ name, k, curve: thresholds.classes[k]! }))
    .filter(({ curve }) => curve.score.length > 0)
    .sort((a, b) => classes[b.k]!.objects - classes[a.k]!.objects)
    .slice(0, report.categories.length > 1 ? MOST_LINES : 0);
  const lines = (of: (curve: CurveData) => readonly Point[]): ChartLine[] => [
    { name: 'all together', points: of(overall) },
    ...order.map(({ name, curve }) => ({ name, points: of(curve), isFaint: true })),
  ];
  const against = (values: keyof Pick<CurveData, 'precision' | 'recall' | 'f1'>) => (curve: CurveData) =>
    curve.score.map((score, i): Point => [score, curve[values][i]!]).reverse();
  const unit = { min: 0, max: 1 };
  const keyOf = (line: number): number => (line === 0 ? -1 : order[line - 1]!.k);
  const byScore = (title: string, values: 'precision' | 'recall' | 'f1') =>
    lineChart(lines(against(values)), {
      title,
      xLabel: 'score from which detections are kept',
      x: unit,
      y: unit,
      onPoint: (score, line) => {
        location.hash = pictureLink(`at/${keyOf(line)}/${score}`);
      },
    });
  const best = overall.best;
  const left = report.categories.length - order.length;
  return [
    best
      ? element(
          'p',
          {},
          'F1 of all classes together is highest from score ',
          element('a', { href: pictureLink(`at/-1/${best.score}`) }, figure(best.score)),
          ` on: F1 ${figure(best.f1)}, precision ${figure(best.precision)}, recall ${figure(best.recall)}. `,
          element('code', {}, 'goshawk predict --score-threshold best'),
          ' takes the best score of each class.',
        )
      : element('p', {}, 'Nothing was found.'),
    element(
      'div',
      { class: 'charts' },
      lineChart(
        lines((curve) => curve.recall.map((recall, i): Point => [recall, curve.precision[i]!])),
        {
          title: `Precision and recall at IoU ${thresholds.iouThreshold}`,
          xLabel: 'recall',
          yLabel: 'precision',
          x: unit,
          y: unit,
        },
      ),
      byScore('F1 by score', 'f1'),
      byScore('Precision by score', 'precision'),
      byScore('Recall by score', 'recall'),
    ),
    order.length > 0 && left > 0
      ? element('p', { class: 'soft' }, `The ${order.length} most frequent classes are drawn; the table has all.`)
      : element('span'),
  ];
}

const WIDEST_MATRIX = 40;

export function confusionSection(report: ReportData, { confusion }: ErrorsData): Node[] {
  const { scoreThreshold, iouThreshold, cells } = confusion;
  const count = report.categories.length;
  const note = element(
    'p',
    { class: 'soft' },
    `Detections from score ${scoreThreshold}, best first: each takes the free object of any class that it overlaps most, from IoU ${iouThreshold} on. A row is what is there, a column what was found; the last ones are background.`,
  );
  if (count > WIDEST_MATRIX) {
    const worst = cells.filter(([truth, found]) => truth !== found).sort((a, b) => b[2] - a[2]);
    const rows = worst.slice(0, 200).map(([truth, found, number]) => [
      { shown: nameOf(report, truth), value: nameOf(report, truth) },
      { shown: nameOf(report, found), value: nameOf(report, found) },
      { shown: countLink(number, `cell/${truth}/${found}`), value: number },
    ]);
    const columns = [{ head: 'is' }, { head: 'found as' }, { head: 'number', isNumber: true }];
    return [sortableTable('What was taken for what, most frequent first', columns, rows), note];
  }
  const at = new Map(cells.map(([truth, found, number]) => [truth * (count + 1) + found, number]));
  const places = Array.from({ length: count + 1 }, (_, i) => i);
  const rows = places.map((truth) => {
    const own = places.map((found) => at.get(truth * (count + 1) + found) ?? 0);
    const sum = own.reduce((a, b) => a + b, 0);
    return element(
      'tr',
      {},
      element('th', { scope: 'row' }, nameOf(report, truth)),
      ...own.map((number, found) =>
        element(
          'td',
          {
            class: `number ${truth === found ? 'right' : 'wrong'}`,
            style: `--share: ${sum === 0 ? 0 : (number / sum).toFixed(3)}`,
            title: `${nameOf(report, truth)} found as ${nameOf(report, found)}: ${number} of ${sum}`,
          },
          truth === count && found === count ? '' : number === 0 ? '·' : countLink(number, `cell/${truth}/${found}`),
        ),
      ),
    );
  });
  const heads = places.map((found) => element('th', { scope: 'col' }, element('span', {}, nameOf(report, found))));
  const table = element(
    'table',
    { class: 'matrix' },
    element('caption', {}, 'What was taken for what'),
    element('thead', {}, element('tr', {}, element('th', {}, 'is ↓ found as →'), ...heads)),
    element('tbody', {}, ...rows),
  );
  return [
    element('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Confusion matrix' }, table),
    note,
  ];
}

const meanings: Readonly<Record<string, string>> = {
  classification: 'on an object of another class',
  localization: 'on one of its own, but badly placed',
  both: 'badly on an object of another class',
  duplicate: 'on an object that was found already',
  background: 'on nothing',
  missed: 'an object that nothing would find',
};

export function tideSection({ tide, iouType }: ErrorsData): Node[] {
  const { types, ap, foreground, background } = tide;
  const rows = types.map(({ type, count, loss, progressiveLoss }) => [
    { shown: type, value: type },
    { shown: meanings[type] ?? '', value: meanings[type] ?? '' },
    { shown: countLink(count, `tide/${type}`), value: count },
    { shown: loss.toFixed(2), value: loss },
    { shown: progressiveLoss.toFixed(2), value: progressiveLoss },
  ]);
  const columns = [
    { head: 'error' },
    { head: 'what it is' },
    { head: 'number', isNumber: true },
    { head: 'AP if mended alone', isNumber: true },
    { head: 'AP if mended in turn', isNumber: true },
  ];
  return [
    barChart(
      [
        { name: 'mended alone', values: types.map(({ loss }) => loss) },
        { name: 'mended in turn', values: types.map(({ progressiveLoss }) => progressiveLoss) },
      ],
      {
        title: `Points of AP (at IoU ${foreground}, which is ${ap.toFixed(2)} of 100) that each kind of error costs`,
        labels: types.map(({ type }) => type),
        xLabel: 'points of AP',
        isSideways: true,
        onBar: (index) => {
          location.hash = pictureLink(`tide/${types[index]!.type}`);
        },
      },
    ),
    sortableTable('Errors', columns, rows),
    element(
      'p',
      { class: 'soft' },
      `TIDE (Bolya et al., 2020) of ${iouType === 'bbox' ? 'boxes' : 'masks'}, from IoU ${foreground} right, up to ${background} on nothing. All false positives gone: ${tide.falsePositiveLoss.toFixed(2)}; all objects found: ${tide.falseNegativeLoss.toFixed(2)}.`,
    ),
  ];
}
