import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createProgressLine, formatBytes, formatDuration } from './progress-line.js';

function recorder(terminal: { isTTY?: boolean; columns?: number } = {}) {
  let text = '';
  let time = 0;
  return {
    stream: { ...terminal, write: (part: string) => (text += part) },
    now: () => time,
    wait: (ms: number) => {
      time += ms;
    },
    text: () => text,
  };
}

describe('a progress line', () => {
  test('without a terminal gives plain lines, the first after a second, not more often than the interval, and the last state', () => {
    const { stream, now, wait, text } = recorder();
    const line = createProgressLine({ stream, now, plainIntervalMs: 1000 });
    for (let i = 1; i <= 5; i++) {
      line.update(`step ${i}`);
      wait(600);
    }
    line.note('checkpoint');
    line.update('step 6');
    line.done();
    assert.equal(text(), 'step 3\nstep 5\ncheckpoint\nstep 6\n');
  });

  test('in a terminal rewrites one line, cut to its width, and keeps notes above it', () => {
    const { stream, now, wait, text } = recorder({ isTTY: true, columns: 24 });
    const line = createProgressLine({ stream, now });
    line.update('step 1');
    line.update('shown too soon');
    wait(100);
    line.update('a state that is longer than the terminal');
    line.note('note');
    line.done();
    assert.equal(
      text(),
      '\r\x1b[Kstep 1\r\x1b[Ka state that is longer \r\x1b[Knote\n\r\x1b[Ka state that is longer \n',
    );
  });

  test('shows times and sizes as people say them', () => {
    assert.deepEqual([0, 9.4, 754, 3723, 273_900, Number.POSITIVE_INFINITY].map(formatDuration), [
      '0:00',
      '0:09',
      '12:34',
      '1:02:03',
      '3 d 04:05',
      '-',
    ]);
    assert.deepEqual([2e3, 640e6, 1.534e9].map(formatBytes), ['2 kB', '640 MB', '1.53 GB']);
  });
});
