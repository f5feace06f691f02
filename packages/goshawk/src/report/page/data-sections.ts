// How the training went, and what the data is like.
import { barChart, lineChart } from './charts.js';
import { countLink, countText, element, figure, pictureLink, sortableTable } from './dom.js';
import { binName, measureNames } from './picture-lists.js';
import type { DataSetData, HistogramData, ReportData, TrainingHistory } from './report-data.js';

export function curvesSection({ losses, measures, learningRate }: TrainingHistory): Node[] {
  const charts: Node[] = [];
  if (losses.length > 0)
    charts.push(lineChart(losses, { title: 'Losses, each the mean since the point before', xLabel: 'iteration' }));
  if (measures.length > 0)
    charts.push(
      lineChart(measures, {
        title: 'Average precision by evaluation',
        xLabel: 'iteration',
        x: { min: 0 },
        y: { min: 0, max: 1 },
        hasDots: true,
      }),
    );
  if (learningRate.length > 0) charts.push(lineChart(learningRate, { title: 'Learning rate', xLabel: 'iteration' }));
  return [element('div', { class: 'charts' }, ...charts)];
}

export function figuresTable(figures: ReportData['figures']): Node {
  const names = [...new Set(Object.values(figures).flatMap(Object.keys))];
  const head = element(
    'tr',
    {},
    element('th', {}, ''),
    ...names.map((name) => element('th', { scope: 'col', class: 'number' }, name)),
  );
  const rows = Object.entries(figures).map(([group, stats]) =>
    element(
      'tr',
      {},
      element('th', { scope: 'row' }, group),
      ...names.map((name) => element('td', { class: 'number' }, figure(stats[name]))),
    ),
  );
  const caption = 'Figures as in metrics.json';
  const table = element(
    'table',
    {},
    element('caption', {}, caption),
    element('thead', {}, head),
    element('tbody', {}, ...rows),
  );
  return element('div', { class: 'wide', tabindex: 0, role: 'region', 'aria-label': caption }, table);
}

export function dataSection(report: ReportData): Node[] {
  const { data, categories } = report;
  const shown = data.find(({ isShown }) => isShown);
  const totals = data.map((one) =>
    element(
      'li',
      {},
      `${one.name}: ${countText(one.pictures)} pictures (${one.emptyPictures} without objects), ${countText(one.objects)} objects, ${one.crowds} crowd regions`,
    ),
  );
  const rows = categories.map((name, k) => [
    { shown: name, value: name },
    ...data.map(({ perClass, isShown }) => {
      const value = perClass[k] ?? 0;
      return { shown: isShown ? countLink(value, `objects/${k}`) : countText(value), value };
    }),
  ]);
  const columns = [{ head: 'class' }, ...data.map(({ name }) => ({ head: name, isNumber: true }))];
  const balance = barChart(
    data.map(({ name, perClass }) => ({ name, values: perClass.slice(0, MOST_BARS) })),
    {
      title: `Objects of each class${categories.length > MOST_BARS ? `, the first ${MOST_BARS}` : ''}`,
      labels: categories.slice(0, MOST_BARS),
      isSideways: true,
      onBar: (index) => {
        location.hash = pictureLink(`objects/${index}`);
      },
    },
  );
  const measures = shown?.histograms.map(({ measure }) => measure) ?? [];
  return [
    element('ul', {}, ...totals),
    element(
      'div',
      { class: 'charts' },
      balance,
      ...measures.map((measure) => histogramChart(data, measure)),
      ...data.map(positionsFigure),
      ...anchorsChart(data),
    ),
    ...data.flatMap(({ name, anchors }) =>
      anchors
        ? [
            element(
              'p',
              { class: 'soft' },
              `${name}: ${(100 * anchors.covered).toFixed(1)}% of the objects have an anchor of IoU ${anchors.iouThreshold} or more with them, both centred on one point.`,
            ),
          ]
        : [],
    ),
    sortableTable('Objects of each class', columns, rows),
  ];
}

const MOST_BARS = 40;

function histogramChart(data: readonly DataSetData[], measure: HistogramData['measure']): Node {
  const of = ({ histograms }: DataSetData) => histograms.find((one) => one.measure === measure)!;
  const { edges } = of(data[0]!);
  const labels = edges.slice(1).map((_, bin) => binName(edges, bin, measure));
  const shown = data.find(({ isShown }) => isShown);
  const chart = barChart(
    data.map((one) => {
      const { counts } = of(one);
      const sum = Math.max(
        1,
        counts.reduce((a, b) => a + b, 0),
      );
      // Sets of different sizes are compared by their shares.
      return { name: one.name, values: data.length > 1 ? counts.map((count) => (100 * count) / sum) : counts };
    }),
    {
      title: measureNames[measure] + (data.length > 1 ? ', percent' : ''),
      labels,
      onBar: (index) => {
        location.hash = pictureLink(`${measure}/${index}`);
      },
    },
  );
  if (shown === undefined) return chart;
  // The same by keyboard.
  const links = of(shown).counts.map((count, bin) =>
    element('li', {}, `${labels[bin]}: `, countLink(count, `${measure}/${bin}`)),
  );
  chart.appendChild(
    element(
      'details',
      {},
      element('summary', {}, `Numbers of ${shown.name}`),
      element('ul', { class: 'bins' }, ...links),
    ),
  );
  return chart;
}

/** Where the centres of boxes lie: darker where more do. */
function positionsFigure({ name, positions, isShown }: DataSetData): Node {
  const most = Math.max(1, ...positions.flat());
  const rows = positions.map((row, r) =>
    element(
      'tr',
      {},
      ...row.map((count, c) => {
        const style = `--share: ${(count / most).toFixed(3)}`;
        const title = `${count} objects`;
        const inside =
          isShown && count > 0
            ? element('a', { href: pictureLink(`position/${r}/${c}`), 'aria-label': title })
            : undefined;
        return element('td', { style, title }, inside);
      }),
    ),
  );
  return element(
    'figure',
    {},
    element('figcaption', {}, `Centres of boxes in the picture, ${name}`),
    element('table', { class: 'positions' }, element('tbody', {}, ...rows)),
  );
}

function anchorsChart(data: readonly DataSetData[]): Node[] {
  const groups = data.flatMap(({ name, anchors }) => (anchors ? [{ name, anchors }] : []));
  const first = groups[0];
  if (first === undefined) return [];
  const { edges } = first.anchors;
  return [
    barChart(
      groups.map(({ name, anchors }) => ({ name, values: anchors.counts })),
      {
        title: 'Objects by the IoU of the anchor that fits them best',
        labels: edges.slice(1).map((edge, bin) => `${edges[bin]!.toFixed(1)} to ${edge.toFixed(1)}`),
        xLabel: 'IoU, centred on one point',
      },
    ),
  ];
}

export function batchSection({ batch }: ReportData): Node[] {
  return [
    element(
      'p',
      { class: 'soft' },
      'Training pictures as the network got them, after augmentation, with what it learned from.',
    ),
    element(
      'div',
      { class: 'batch' },
      ...batch.map(({ file, name }) =>
        element(
          'figure',
          {},
          element('img', { src: file, alt: name, loading: 'lazy' }),
          element('figcaption', {}, name),
        ),
      ),
    ),
  ];
}
