// Where the model errs: classes, thresholds, the confusion matrix, TIDE.
import { barChart, type ChartLine, lineChart } from './charts.js';
import { type Cell as ConfusionCell, confusionCells } from './confusion.js';
import {
  beforeNextFrame,
  changingTable,
  countLink,
  element,
  figure,
  figureCell,
  pictureLink,
  type Row,
  slider,
  sortableTable,
} from './dom.js';
import { nameOf } from './picture-lists.js';
import type { CurveData, ErrorsData, Point, ReportData, ScoreFigures } from './report-data.js';
import { type ChosenThresholds, HIGHEST_SCORE, IOU, inWords, keyAt, STEP } from './thresholds.js';

export function classesSection(report: ReportData, errors: ErrorsData, chosen: ChosenThresholds): Node[] {
  const { classes, thresholds } = errors;
  const background = report.categories.length;
  const rows = (): Row[] => {
    const cells = confusionCells(report, chosen.now());
    const right = new Int32Array(background);
    const wrongly = new Int32Array(background);
    const missed = new Int32Array(background);
    const swapped = new Int32Array(background);
    for (const [truth, found, count] of cells) {
      if (truth === background) wrongly[found]! += count;
      else if (found === background) missed[truth]! += count;
      else if (found === truth) right[truth]! += count;
      else swapped[truth]! += count;
    }
    return report.categories.map((name, k) => {
      const { objects, AP, AP50, AP75, AR } = classes[k]!;
      const best = thresholds.best[k];
      const counted = (list: string, value: number) => ({
        shown: countLink(value, keyAt(`${list}/${k}`, chosen.now(), chosen.first), `${name}: ${list}`),
        value,
      });
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
        counted('right', right[k]!),
        counted('false', wrongly[k]!),
        counted('missed', missed[k]!),
        counted('swapped', swapped[k]!),
      ];
    });
  };
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
  const table = changingTable('By class', columns, rows());
  const note = element('p', { class: 'soft' });
  const tell = (): void => {
    note.textContent = `AP as COCO measures it, over IoU 0.50 to 0.95; best scores, precision and recall at IoU ${thresholds.iouThreshold}; right, false, missed and swapped ${inWords(chosen.now())}, as chosen under Confusion. Press a head to sort.`;
  };
  tell();
  chosen.onChange(
    beforeNextFrame(() => {
      table.show(rows());
      tell();
    }),
  );
  return [table.node, note];
}

export function thresholdsSection(report: ReportData, { thresholds }: ErrorsData): Node[] {
  const { overall } = thresholds;
  const order = thresholds.drawn.map(({ category: k, curve }) => ({ name: nameOf(report, k), k, curve }));
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
    ...scoreTable([{ name: 'all together', k: -1, curve: overall }, ...order], overall),
    order.length > 0 && left > 0
      ? element('p', { class: 'soft' }, `The ${order.length} most frequent classes are drawn; the table has all.`)
      : element('span'),
  ];
}

/** Precision, recall and F1 from a score on that a slider chooses. */
function scoreTable(
  curves: readonly { readonly name: string; readonly k: number; readonly curve: CurveData }[],
  { best }: CurveData,
): Node[] {
  const columns = [
    { head: 'class' },
    { head: 'precision', isNumber: true },
    { head: 'recall', isNumber: true },
    { head: 'F1', isNumber: true },
  ];
  const rowsFrom = (score: number): Row[] =>
    curves.map(({ name, k, curve }) => {
      const figures = figuresFrom(curve, score);
      const cell = (value: number | undefined) => ({
        shown: value === undefined ? '–' : element('a', { href: pictureLink(`at/${k}/${score}`) }, figure(value)),
        value: value ?? -1,
      });
      return [{ shown: name, value: name }, cell(figures?.precision), cell(figures?.recall), cell(figures?.f1)];
    });
  const first = best ? Math.min(HIGHEST_SCORE, Math.max(STEP, Math.floor(best.score * 100) / 100)) : 0.5;
  const table = changingTable('Kept from the chosen score on', columns, rowsFrom(first));
  const change = beforeNextFrame(() => table.show(rowsFrom(from.value)));
  const from = slider({
    id: 'kept-from',
    label: 'Keep detections from score ',
    min: STEP,
    max: HIGHEST_SCORE,
    step: STEP,
    value: first,
    onInput: change,
  });
  return [from.node, table.node];
}

/** What holds of all detections from this score on; undefined where there is none. */
function figuresFrom({ score, precision, recall, f1 }: CurveData, least: number): ScoreFigures | undefined {
  const place = score.findLastIndex((own) => own >= least);
  if (place < 0) return undefined;
  return { score: score[place]!, precision: precision[place]!, recall: recall[place]!, f1: f1[place]! };
}

const WIDEST_MATRIX = 40;

export function confusionSection(report: ReportData, { confusion }: ErrorsData, chosen: ChosenThresholds): Node[] {
  const matrix = report.categories.length > WIDEST_MATRIX ? confusedTable(report) : confusionTable(report);
  const note = element('p', { class: 'soft' });
  const score = slider({
    id: 'confusion-score',
    label: 'Detections from score ',
    min: confusion.lowestScore,
    max: HIGHEST_SCORE,
    step: STEP,
    value: chosen.now().scoreThreshold,
    onInput: (scoreThreshold) => chosen.choose({ ...chosen.now(), scoreThreshold }),
  });
  const iou = slider({
    id: 'confusion-iou',
    label: 'that overlap an object from IoU ',
    ...IOU,
    value: chosen.now().iouThreshold,
    onInput: (iouThreshold) => chosen.choose({ ...chosen.now(), iouThreshold }),
  });
  const show = (): void => {
    const { scoreThreshold, iouThreshold } = chosen.now();
    matrix.show(confusionCells(report, chosen.now()), (list) => keyAt(list, chosen.now(), chosen.first));
    note.textContent = `Detections from score ${scoreThreshold.toFixed(2)}, best first: each takes the free object of any class that it overlaps most, from IoU ${iouThreshold.toFixed(2)} on. A row is what is there, a column what was found; the last ones are background.`;
  };
  show();
  const change = beforeNextFrame(show);
  chosen.onChange(() => {
    score.set(chosen.now().scoreThreshold);
    iou.set(chosen.now().iouThreshold);
    change();
  });
  return [score.node, iou.node, matrix.node, note];
}

/** What shows the cells of a matrix; `keyOf` makes the key of a list one at the thresholds of these cells. */
interface MatrixView {
  readonly node: Node;
  show(cells: readonly ConfusionCell[], keyOf: (list: string) => string): void;
}

/** Of many classes the pairs that were confused. */
function confusedTable(report: ReportData): MatrixView {
  const columns = [{ head: 'is' }, { head: 'found as' }, { head: 'number', isNumber: true }];
  const table = changingTable('What was taken for what, most frequent first', columns, []);
  return {
    node: table.node,
    show(cells, keyOf) {
      const worst = cells.filter(([truth, found]) => truth !== found).sort((a, b) => b[2] - a[2]);
      table.show(
        worst.slice(0, 200).map(([truth, found, number]) => [
          { shown: nameOf(report, truth), value: nameOf(report, truth) },
          { shown: nameOf(report, found), value: nameOf(report, found) },
          { shown: countLink(number, keyOf(`cell/${truth}/${found}`)), value: number },
        ]),
      );
    },
  };
}

function confusionTable(report: ReportData): MatrixView {
  const count = report.categories.length;
  const places = Array.from({ length: count + 1 }, (_, i) => i);
  const heads = places.map((found) => element('th', { scope: 'col' }, element('span', {}, nameOf(report, found))));
  const body = element('tbody');
  const table = element(
    'table',
    { class: 'matrix' },
    element('caption', {}, 'What was taken for what'),
    element('thead', {}, element('tr', {}, element('th', {}, 'is ↓ found as →'), ...heads)),
    body,
  );
  return {
    node: element('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': 'Confusion matrix' }, table),
    show(cells, keyOf) {
      const at = new Map(cells.map(([truth, found, number]) => [truth * (count + 1) + found, number]));
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
              truth === count && found === count
                ? ''
                : number === 0
                  ? '·'
                  : countLink(number, keyOf(`cell/${truth}/${found}`)),
            ),
          ),
        );
      });
      body.replaceChildren(...rows);
    },
  };
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
    { head: 'points gained, mended alone', isNumber: true },
    { head: 'points gained, mended in turn', isNumber: true },
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
