// Node's spec report, followed by the test files that took longest: wall seconds, and on Linux processor seconds of the file and of
// all processes that it waited for, which another load on the machine changes less.
import { subscribe } from 'node:diagnostics_channel';
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { spec } from 'node:test/reporters';
import { nameOfProcess } from './test-process-names.mjs';

const LISTED = 25;
/** Of sysconf(_SC_CLK_TCK), which is 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

/** The test runner starts a process a file and has no event for its end. */
const files = [];
subscribe('child_process', ({ process: child }) => {
  const started = performance.now();
  child.once('exit', () => {
    files.push({
      name: nameOfProcess(child.spawnargs.at(-1)),
      seconds: (performance.now() - started) / 1000,
      processor: processorOfLast(),
    });
  });
});

export default async function* specWithTimes(source) {
  yield* Readable.from(source).compose(spec());
  yield slowest();
}

function slowest() {
  const sum = (key) => files.reduce((total, file) => total + file[key], 0);
  const line = ({ seconds, processor, name }) =>
    `${seconds.toFixed(1).padStart(8)}${Number.isNaN(processor) ? '' : processor.toFixed(1).padStart(12)}  ${name}\n`;
  const all = { seconds: sum('seconds'), processor: sum('processor'), name: `all ${files.length} files` };
  const listed = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, LISTED);
  const head = `${' seconds'}${Number.isNaN(all.processor) ? '' : '   processor'}  slowest files\n`;
  return `\n${head}${[...listed, all].map(line).join('')}`;
}

let reaped = 0;
/** Processor seconds of the process that ended last, with those that it waited for; NaN where the system does not tell. */
function processorOfLast() {
  try {
    // Behind the name, which may hold spaces: from field 3 on; 16 and 17 are the times of children that were waited for.
    const fields = readFileSync('/proc/self/stat', 'utf8').split(') ').at(-1).split(' ');
    const all = (Number(fields[13]) + Number(fields[14])) / TICKS_PER_SECOND;
    const own = all - reaped;
    reaped = all;
    return own;
  } catch {
    return Number.NaN;
  }
}
