// `goshawk predict` of one photo from the shell, from the start of the process to its end, against a Python script with torchvision
// that does the same, as it comes and at its best; in turns, the median of several. The first round, which reads files from disk,
// is not counted.
// node bench/dist/start-up.js --photo FILE [--python PYTHON] [--rounds N] [--threads N]
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { median, PeerProcess } from './peer-process.js';
import { keptMemory } from './tuned-peer.js';

/** The largest ratio of our time to their best. */
const REQUIRED = 0.35;

const { values } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    rounds: { type: 'string', default: '5' },
    threads: { type: 'string', default: '2' },
    photo: { type: 'string' },
  },
});
if (values.photo === undefined) throw new Error('--photo: name a JPEG');

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'goshawk-bench-'));
const photo = resolve(values.photo);
const weights = join(folder, 'weights.pth');
const config = join(folder, 'mask-rcnn.yaml');
try {
  writeFileSync(config, 'model: { type: mask_rcnn, classes: 90 }\n');
  const { python, threads } = values;
  const writer = new PeerProcess(python, [beside('../peers/detector.py')]);
  const setup = {
    do: 'setup',
    model: 'mask_rcnn',
    threads: 1,
    size: [64, 64],
    images: 1,
    mode: 'predict',
    precision: 'fp32',
  };
  const { version, torchvision } = await writer.ask<{ version: string; torchvision: string }>({ ...setup, weights });
  writer.close();
  const env = { ...process.env, OMP_NUM_THREADS: threads };
  const script = [beside('../peers/start_up.py'), weights, photo];
  const goshawk = beside('../../packages/goshawk/bin/goshawk.js');
  const sides: readonly (readonly [name: string, run: () => number])[] = [
    [
      'ours',
      () =>
        seconds(
          process.execPath,
          [goshawk, 'predict', config, '--weights', weights, '--output', join(folder, 'ours'), photo],
          env,
        ),
    ],
    ['torchvision', () => seconds(python, [...script, join(folder, 'theirs')], env)],
    [
      'tuned torchvision',
      () => seconds(python, [...script, join(folder, 'tuned'), '--tuned'], { ...env, ...keptMemory }),
    ],
  ];
  const times = sides.map((): number[] => []);
  for (let round = -1; round < Number(values.rounds); round++)
    for (const [index, [, run]] of sides.entries()) {
      const taken = run();
      if (round >= 0) times[index]!.push(taken);
    }
  const own = times[0]!;
  console.log(`predict of one photo from the shell, ${threads} threads: ours ${secondsOf(own)}`);
  for (const [index, [name]] of sides.entries()) {
    if (index === 0) continue;
    const other = times[index]!;
    const spread = own.map((value, round) => value / other[round]!);
    console.log(
      `  ${name} ${secondsOf(other)}, ratio ${(median(own) / median(other)).toFixed(3)} ` +
        `(${Math.min(...spread).toFixed(3)}..${Math.max(...spread).toFixed(3)}, required ${REQUIRED})`,
    );
  }
  console.log(`  torch ${version}, torchvision ${torchvision}, Node ${process.version}, ${cpus()[0]?.model}`);
} finally {
  rmSync(folder, { recursive: true });
}

function secondsOf(times: readonly number[]): string {
  return `${median(times).toFixed(2)} s (${Math.min(...times).toFixed(2)}..${Math.max(...times).toFixed(2)})`;
}

function seconds(command: string, args: readonly string[], env: NodeJS.ProcessEnv): number {
  const begun = performance.now();
  const { status, stderr } = spawnSync(command, args, { env, encoding: 'utf8' });
  if (status !== 0) throw new Error(`${command} ${args[0]} ended with ${status}: ${stderr.trim().slice(-2000)}`);
  return (performance.now() - begun) / 1000;
}
