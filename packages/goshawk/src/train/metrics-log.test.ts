import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, test } from 'node:test';
import { MetricsLog, type MetricsRecord, readMetrics } from './metrics-log.js';

const upTo = (last: number) => (record: MetricsRecord) => record.iteration <= last;

describe('MetricsLog', () => {
  function logWith(t: { after(fn: () => void): void }, iterations: readonly number[]): string {
    const folder = mkdtempSync(path.join(tmpdir(), 'goshawk-metrics-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const file = path.join(folder, 'run', 'metrics.jsonl');
    const log = MetricsLog.open(file);
    for (const iteration of iterations) log.write({ iteration, loss: iteration / 10 });
    log.close();
    return file;
  }

  test('writes one JSON object a line', (t) => {
    const file = logWith(t, [20, 40]);
    assert.equal(readFileSync(file, 'utf8'), '{"iteration":20,"loss":2}\n{"iteration":40,"loss":4}\n');
  });

  test('names numbers that JSON does not have', (t) => {
    const file = logWith(t, [1]);
    const log = MetricsLog.open(file, upTo(1));
    log.write({ iteration: 2, loss: Number.NaN, norm: Number.POSITIVE_INFINITY });
    log.close();
    assert.deepEqual(readMetrics(file)[1], { iteration: 2, loss: 'NaN', norm: 'Infinity' });
  });

  test('resumed from an iteration, keeps the lines up to it and cuts the others', (t) => {
    const file = logWith(t, [20, 40, 40, 60, 80]);
    const log = MetricsLog.open(file, upTo(40));
    log.write({ iteration: 60, loss: 7 });
    log.close();
    assert.deepEqual(
      readMetrics(file).map((record) => [record.iteration, record.loss]),
      [
        [20, 2],
        [40, 4],
        [40, 4],
        [60, 7],
      ],
    );
  });

  test('drops a last line that a kill left unfinished', (t) => {
    const file = logWith(t, [20, 40]);
    appendFileSync(file, '{"iteration":60,"lo');
    assert.equal(readMetrics(file).length, 2);
    const log = MetricsLog.open(file, upTo(60));
    log.write({ iteration: 60, loss: 6 });
    log.close();
    assert.deepEqual(
      readMetrics(file).map((record) => record.iteration),
      [20, 40, 60],
    );
  });

  test('begins anew when nothing is resumed', (t) => {
    const file = logWith(t, [20, 40]);
    MetricsLog.open(file).close();
    assert.equal(readFileSync(file, 'utf8'), '');
  });
});
