// The text of a report's page: style, library, script and data in one file that needs nothing else but its pictures.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StoredReport } from './page/report-data.js';
import { pageStyle } from './page-style.js';

/** In the order in which each needs the ones before. */
const SCRIPTS = [
  'box-measures',
  'packed-detections',
  'open-report',
  'thresholds',
  'confusion',
  'dom',
  'charts',
  'picture-lists',
  'gallery',
  'error-sections',
  'data-sections',
  'main',
] as const;

// Nothing is fetched but the pictures beside the page.
const POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src 'self' file: data:";

export function pageText(report: StoredReport): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta http-equiv="Content-Security-Policy" content="${POLICY}">
<title>${escaped(report.title)}</title>
<style>${pageStyle}</style>
</head>
<body>
<noscript>This report draws itself by JavaScript.</noscript>
<script type="application/json" id="report">${inScript(JSON.stringify(report))}</script>
<script>${inScript(chartLibrary())}</script>
<script>${inScript(pageScript())}</script>
</body>
</html>
`;
}

function chartLibrary(): string {
  const entry = createRequire(import.meta.url).resolve('chart.js');
  return readFileSync(join(dirname(entry), 'chart.umd.min.js'), 'utf8').replace(/\n\/\/# sourceMappingURL=.*/, '');
}

/** What the page runs of core, as it is. */
const CORE_SCRIPT = 'error-analysis/pair-picture.js';

/** The compiled modules in one scope: their names are different, and what they import from elsewhere are types and the first. */
function pageScript(): string {
  const core = dirname(createRequire(import.meta.url).resolve('@goshawk/core'));
  const folder = join(dirname(fileURLToPath(import.meta.url)), 'page');
  const files = [join(core, CORE_SCRIPT), ...SCRIPTS.map((name) => join(folder, `${name}.js`))];
  const parts = files.map((file) =>
    readFileSync(file, 'utf8')
      .replace(/^import .*$/gm, '')
      .replace(/^export \{\};?$/gm, '')
      .replace(/^export (?=(async )?(function|const|class) )/gm, '')
      .replace(/^\/\/# sourceMappingURL=.*$/gm, ''),
  );
  return `'use strict';\n(() => {\n${parts.join('\n')}\n})();`;
}

/** Nothing in a script may end it. */
function inScript(text: string): string {
  return text.replaceAll('</', '<\\/').replaceAll('<!--', '<\\!--');
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (character) => `&#${character.charCodeAt(0)};`);
}
