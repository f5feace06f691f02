// What a check of a card says in the end: one table for the terminal, Markdown for docs/gpu.md, JSON for programs.
import type { Row } from './child-lines.js';
import type { SpeedFigures, SpeedReport } from './speed-rows.js';

export interface PartReport {
  readonly part: string;
  readonly seconds: number;
  readonly rows: readonly Row[];
}

export interface GpuReport {
  readonly date: string;
  /** Such as 'NVIDIA H200'; 'no card' for a run on the CPU. */
  readonly card: string;
  /** What it was run with, by name. */
  readonly versions: Readonly<Record<string, string>>;
  /** Whether sizes were cut down: then no figure means anything. */
  readonly quick: boolean;
  readonly parts: readonly PartReport[];
  readonly speed?: SpeedReport;
}

/** Every row must be right, and every goal met. */
export function isPassed({ parts }: GpuReport): boolean {
  return parts.every(({ rows }) => rows.every(({ state }) => state === 'ok' || state === 'stated'));
}

export function tableText(report: GpuReport): string {
  const { parts, speed } = report;
  const names = parts.flatMap(({ rows }) => rows.map(({ name }) => name.length));
  const width = Math.max(10, ...names);
  const lines = [heading(report), ''];
  for (const { part, seconds, rows } of parts) {
    lines.push(`${part} (${seconds.toFixed(0)} s)`);
    for (const { name, state, detail } of rows) lines.push(`  ${state.padEnd(7)}  ${name.padEnd(width)}  ${detail}`);
  }
  if (speed) lines.push('', ...speedLines(speed), '', ...profileLines(speed));
  const count = (state: Row['state']): number =>
    parts.flatMap(({ rows }) => rows).filter((row) => row.state === state).length;
  lines.push(
    '',
    `${isPassed(report) ? 'passed' : 'NOT PASSED'}: ${count('ok')} ok, ${count('failed')} failed, ${count('missed')} goals missed, ${count('skipped')} skipped, ${count('stated')} stated`,
  );
  return lines.join('\n');
}

function heading({ card, date, versions, quick }: GpuReport): string {
  const parts = Object.entries(versions).map(([name, version]) => `${name} ${version}`);
  return `${card}, ${parts.join(', ')}; ${date}${quick ? '; CUT DOWN: the figures mean nothing' : ''}`;
}

function milliseconds(value: number | null): string {
  if (value === null) return '-';
  return value < 10 ? value.toFixed(3) : value.toFixed(1);
}

function ratio(ours: number | null, theirs: number | null): string {
  return ours === null || theirs === null ? '-' : (ours / theirs).toFixed(2);
}

function gigabytes(bytes: number | null): string {
  return bytes === null ? '-' : (bytes / 1e9).toFixed(2);
}

function caseName({ mode, images, precision }: SpeedFigures): string {
  return `${mode === 'train' ? 'training step' : 'prediction'}, ${images} image${images === 1 ? '' : 's'}, ${precision}`;
}

const SPEED_HEADER = ['milliseconds', 'ours', 'torchvision', 'ratio', 'tuned', 'ratio', 'GB ours', 'theirs', 'tuned'];
const KERNEL_HEADER = ['milliseconds', 'ours', 'torchvision', 'ratio', 'tuned', 'ratio'];

function speedCells({ cases }: SpeedReport): string[][] {
  return cases.map((one) => [
    caseName(one),
    ...[milliseconds(one.ours), milliseconds(one.plain), ratio(one.ours, one.plain)],
    ...[milliseconds(one.tuned), ratio(one.ours, one.tuned)],
    ...[gigabytes(one.memory.ours), gigabytes(one.memory.plain), gigabytes(one.memory.tuned)],
  ]);
}

function kernelCells({ kernels }: SpeedReport): string[][] {
  return kernels.map(({ name, ours, plain, tuned }) => [
    name,
    ...[milliseconds(ours), milliseconds(plain), ratio(ours, plain), milliseconds(tuned), ratio(ours, tuned)],
  ]);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, column) => Math.max(...rows.map((row) => row[column]!.length)));
  return rows.map((row) =>
    row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join('  '),
  );
}

function speedLines(speed: SpeedReport): string[] {
  const cases = aligned([SPEED_HEADER, ...speedCells(speed)]);
  return speed.kernels.length === 0 ? cases : [...cases, '', ...aligned([KERNEL_HEADER, ...kernelCells(speed)])];
}

function profileLines({ profile }: SpeedReport): string[] {
  if (!profile) return [];
  const parts = Object.entries(profile.parts).map(([name, ms]) => `${name} ${milliseconds(ms)}`);
  const listed = (operators: typeof profile.operators): string[] =>
    aligned([
      ['', 'calls', 'ms'],
      ...operators.map(({ name, calls, ms }) => [`  ${name}`, String(calls), milliseconds(ms)]),
    ]);
  return [
    `where a step of 2 images in fp32 goes, a wait after each part: ${parts.join(', ')} ms`,
    `${profile.calls} operators called from TypeScript, a wait after each; the longest:`,
    ...listed(profile.operators),
    'kernels of ours in the forward pass:',
    ...listed(profile.own),
  ];
}

/** The block of docs/gpu.md. */
export function markdown(report: GpuReport): string {
  const { parts, speed } = report;
  const table = (rows: readonly (readonly string[])[]): string[] =>
    rows.flatMap((row, index) => [
      `| ${row.join(' | ')} |`,
      ...(index === 0 ? [`|${row.map(() => '---').join('|')}|`] : []),
    ]);
  const checks = parts.flatMap(({ part, rows }) =>
    rows.map(({ name, state, detail }) => [part, name, state, detail.replaceAll('|', '\\|')]),
  );
  return [
    heading(report),
    ...(speed && speed.cases.length > 0 ? ['', ...table([SPEED_HEADER, ...speedCells(speed)])] : []),
    ...(speed && speed.kernels.length > 0 ? ['', ...table([KERNEL_HEADER, ...kernelCells(speed)])] : []),
    '',
    ...table([['part', 'check', 'result', 'figures'], ...checks]),
    '',
  ].join('\n');
}
