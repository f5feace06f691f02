import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Row } from './child-lines.js';
import { type GpuReport, isPassed, markdown, tableText } from './report.js';
import type { SpeedReport } from './speed-rows.js';

const speed: SpeedReport = {
  rows: [],
  cases: [
    {
      ...{ mode: 'train', images: 2, precision: 'fp32', size: [800, 1066] },
      ...{ ours: 40, plain: 60, tuned: 42, data: 1, memory: { ours: 2.5e9, plain: 2.6e9, tuned: null }, problems: [] },
    },
  ],
  kernels: [{ name: 'NMS, 1000 boxes', ours: 0.2, plain: 0.33, tuned: null }],
  versions: {},
};

function report(...rows: Row[]): GpuReport {
  const parts = [{ part: 'kernels', seconds: 12, rows }];
  return { ...{ date: '2026-01-02', card: 'NVIDIA H200', versions: { torch: '2.11.0' }, quick: false }, parts, speed };
}

test('a check passes where nothing failed, was missed or left out', () => {
  const row = (state: Row['state']): Row => ({ name: 'kernel nms', state, detail: '3 of 3' });
  assert.equal(isPassed(report(row('ok'), row('stated'))), true);
  for (const state of ['failed', 'missed', 'skipped'] as const) {
    const made = report(row('ok'), row(state));
    assert.equal(isPassed(made), false, state);
    assert.match(tableText(made), /^NOT PASSED: 1 ok/m);
    assert.match(tableText(made), new RegExp(`^  ${state} +kernel nms +3 of 3$`, 'm'));
  }
});

test('the tables name the card, times, ratios and memory', () => {
  const made = report({ name: 'kernel nms', state: 'ok', detail: 'a | b' });
  assert.match(tableText(made), /^training step, 2 images, fp32 +40\.0 +60\.0 +0\.67 +42\.0 +0\.95 +2\.50 +2\.60 +-$/m);
  assert.match(markdown(made), /^NVIDIA H200, torch 2\.11\.0; 2026-01-02$/m);
  assert.match(markdown(made), /^\| training step, 2 images, fp32 \| 40\.0 \| 60\.0 \| 0\.67 \|/m);
  assert.match(markdown(made), /^\| NMS, 1000 boxes \| 0\.200 \| 0\.330 \| 0\.61 \| - \| - \|$/m);
  assert.match(markdown(made), /^\| kernels \| kernel nms \| ok \| a \\\| b \|$/m);
});
