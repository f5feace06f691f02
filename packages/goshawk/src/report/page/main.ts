// The page of a report: everything that it shows lies in it as data.
import { drawCharts, redrawCharts } from './charts.js';
import { batchSection, curvesSection, dataSection, figuresTable } from './data-sections.js';
import { element } from './dom.js';
import { classesSection, confusionSection, thresholdsSection, tideSection } from './error-sections.js';
import { gallery } from './gallery.js';
import { openReport } from './open-report.js';
import type { ReportData, StoredReport } from './report-data.js';
import { type ChosenThresholds, chosenThresholds, parseKey } from './thresholds.js';

interface Section {
  readonly id: string;
  readonly title: string;
  readonly parts: readonly Node[];
}

function sectionsOf(report: ReportData, chosen: ChosenThresholds | undefined, pictures: Node): Section[] {
  const { history, errors, about, figures, data, batch } = report;
  const facts = about.map(([name, value]) => element('div', {}, element('dt', {}, name), element('dd', {}, value)));
  const sections: Section[] = [
    { id: 'summary', title: 'Summary', parts: [element('dl', { class: 'about' }, ...facts), figuresTable(figures)] },
  ];
  if (history) sections.push({ id: 'curves', title: 'Curves', parts: curvesSection(history) });
  if (errors && chosen)
    sections.push(
      { id: 'classes', title: 'Classes', parts: classesSection(report, errors, chosen) },
      { id: 'thresholds', title: 'Thresholds', parts: thresholdsSection(report, errors) },
      { id: 'confusion', title: 'Confusion', parts: confusionSection(report, errors, chosen) },
      { id: 'errors', title: 'Errors', parts: tideSection(errors) },
    );
  sections.push({ id: 'pictures', title: 'Pictures', parts: [pictures] });
  if (data.length > 0) sections.push({ id: 'data', title: 'Data', parts: dataSection(report) });
  if (batch.length > 0) sections.push({ id: 'batch', title: 'Batch', parts: batchSection(report) });
  return sections;
}

function start(): void {
  const report = openReport(JSON.parse(document.getElementById('report')!.textContent!) as StoredReport);
  const confusion = report.errors?.confusion;
  const chosen = confusion && chosenThresholds(confusion);
  const pictures = gallery(report, chosen);
  const sections = sectionsOf(report, chosen, pictures.node);
  const theme = element('button', { type: 'button', class: 'theme' }, 'Light / dark');
  theme.addEventListener('click', () => {
    const root = document.documentElement;
    const isDark = getComputedStyle(root).colorScheme === 'dark';
    root.dataset.theme = isDark ? 'light' : 'dark';
    redrawCharts();
  });
  document.body.append(
    element('a', { href: '#main', class: 'skip' }, 'To the figures'),
    element('header', {}, element('h1', {}, report.title), element('p', { class: 'soft' }, report.made), theme),
    element(
      'nav',
      { class: 'sections', 'aria-label': 'Parts of the report' },
      ...sections.map(({ id, title }) => element('a', { href: `#${id}` }, title)),
    ),
    element(
      'main',
      { id: 'main' },
      ...sections.map(({ id, title, parts }) =>
        element('section', { id, 'aria-label': title }, element('h2', {}, title), ...parts),
      ),
    ),
  );
  drawCharts();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', redrawCharts);
  const follow = (): void => {
    const key = /^#pictures=(.*)$/.exec(decodeURIComponent(location.hash))?.[1];
    if (key === undefined || !pictures.show(key)) return;
    // The address says of which thresholds the list is; those without any leave the sliders alone.
    const { thresholds } = key.includes('@') ? (parseKey(key, confusion) ?? {}) : {};
    if (thresholds) chosen?.choose(thresholds);
    document.getElementById('pictures')!.scrollIntoView();
  };
  addEventListener('hashchange', follow);
  const firstList = report.errors ? 'false' : 'all';
  pictures.show(firstList);
  follow();
}

start();
