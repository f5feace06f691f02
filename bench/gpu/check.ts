// Everything that a card must show, in one command and at most four minutes:
//   npm run check:gpu [-- --python PYTHON] [--device cuda:0] [--json FILE] [--markdown FILE] [--minutes 4] [--quick] [--all-models]
// PYTHON needs torch and torchvision (default: GOSHAWK_PEER_PYTHON, else python3); its torch is the libtorch of our side too,
// unless LIBTORCH names another. --device cpu and --quick (small sizes) try the command itself where there is no card.
// Prints a table; writes it as JSON and Markdown. Exit code 1 where something is wrong, a goal is missed or no time was left.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { setUpEngine } from '@goshawk/torch/native-build';
import { messageOf, type Row } from './child-lines.js';
import { checkExchanges } from './exchange-rows.js';
import { checkKernels } from './kernel-rows.js';
import { checkModels } from './model-rows.js';
import { checkParity } from './parity-rows.js';
import { programPath, runProgram } from './programs.js';
import { type GpuReport, isPassed, markdown, type PartReport, tableText } from './report.js';
import { checkSpeed, type SpeedReport } from './speed-rows.js';
import { checkTraining } from './training-check.js';

const { values: options } = parseArgs({
  options: {
    python: { type: 'string', default: process.env.GOSHAWK_PEER_PYTHON ?? 'python3' },
    device: { type: 'string', default: 'cuda:0' },
    json: { type: 'string', default: 'check-gpu.json' },
    markdown: { type: 'string', default: 'check-gpu.md' },
    minutes: { type: 'string', default: '4' },
    quick: { type: 'boolean', default: false },
    'all-models': { type: 'boolean', default: false },
    only: { type: 'string', multiple: true },
  },
});

const { device, python, quick } = options;
const onCard = device !== 'cpu';
const begun = Date.now();
const left = (): number => Number(options.minutes) * 60 - (Date.now() - begun) / 1000;
/** Of the time, what the comparison with torchvision is left with whatever the checks before it take. */
const RESERVED = 110;
const processors = availableParallelism();
const folder = mkdtempSync(join(tmpdir(), 'check-gpu-'));
const parts: PartReport[] = [];
let speed: SpeedReport | undefined;
let card = 'no card';
let versions: Record<string, string> = {};

try {
  process.env.LIBTORCH ||= torchOfPython();
  await part('addon', buildAddon);
  if (parts[0]!.rows.every(({ state }) => state !== 'failed')) await checkAll();
} catch (error) {
  parts.push({ part: 'set-up', seconds: 0, rows: [{ name: 'set-up', state: 'failed', detail: messageOf(error) }] });
} finally {
  rmSync(folder, { recursive: true, force: true });
}
const report = save();
console.log(tableText(report));
if (!isPassed(report)) process.exitCode = 1;
// A program that hangs on the card must not keep this one.
process.exit();

async function checkAll(): Promise<void> {
  const { env } = process;
  // Right or wrong does not depend on what else runs: these share the card. Times do: the comparison has it alone.
  const limit = Math.max(20, left() - RESERVED);
  const atOnce = Math.max(1, Math.floor(processors / 4));
  const iterations = quick ? 12 : 40;
  const choice = options['all-models'] ? 'all' : quick ? 'kinds' : 'parts';
  await Promise.all([
    part('facts', describeMachine),
    part('kernels', () => checkKernels({ device, env, limit, atOnce: Math.min(4, atOnce) })),
    part('parity', () => checkParity(device, env, limit)),
    part('models', () => checkModels({ device, env, limit, atOnce: Math.min(8, 2 * atOnce), choice })),
    ...(onCard ? [part('exchanges', () => checkExchanges(device, env, limit))] : []),
    part('training', () =>
      checkTraining({
        device,
        env,
        limit,
        iterations,
        folder: join(folder, 'training'),
        atOnce: Math.min(8, processors),
      }),
    ),
  ]);
  await part('speed', async () => {
    const threads = quick ? 1 : Math.min(16, processors);
    speed = await checkSpeed({
      device,
      python,
      env,
      folder: join(folder, 'speed'),
      threads,
      quick,
      left: () => left() - 3,
    });
    return speed.rows;
  });
}

async function part(name: string, work: () => Promise<readonly Row[]>): Promise<void> {
  if (options.only && !options.only.includes(name) && name !== 'addon') return;
  const started = Date.now();
  process.stderr.write(`check-gpu: ${name}\n`);
  let rows: readonly Row[];
  try {
    rows = await work();
  } catch (error) {
    rows = [{ name, state: 'failed', detail: messageOf(error) }];
  }
  const seconds = (Date.now() - started) / 1000;
  process.stderr.write(`check-gpu: ${name}: ${seconds.toFixed(0)} s, ${left().toFixed(0)} s left\n`);
  parts.push({ part: name, seconds, rows });
  save();
}

/** What is there so far: a run that is cut off leaves it. */
function save(): GpuReport {
  const all = { ...versions, ...speed?.versions };
  const { card: named, ...others } = all;
  const date = new Date().toISOString().slice(0, 10);
  const made: GpuReport = { date, card: named ?? card, versions: others, quick, parts, ...(speed && { speed }) };
  writeFileSync(options.json, `${JSON.stringify(made, undefined, 2)}\n`);
  writeFileSync(options.markdown, markdown(made));
  return made;
}

function torchOfPython(): string {
  const script = 'import importlib.util as u; print(u.find_spec("torch").submodule_search_locations[0])';
  try {
    return execFileSync(python, ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  } catch {
    throw new Error(`${python} has no torch: name one that has with --python, or a libtorch in LIBTORCH`);
  }
}

async function buildAddon(): Promise<Row[]> {
  const { libtorch, built } = await setUpEngine({ report: (line) => process.stderr.write(`check-gpu:   ${line}\n`) });
  versions = { ...versions, libtorch: libtorch.version };
  return [
    {
      name: 'the addon',
      state: 'ok',
      detail: `${built ? 'built' : 'stood'} for libtorch ${libtorch.version} in ${libtorch.libDir}`,
    },
  ];
}

interface Doctor {
  readonly findings: readonly {
    readonly name: string;
    readonly state: string;
    readonly detail: string;
    readonly remedy?: string;
  }[];
  readonly cuda?: {
    readonly driver: string;
    readonly driverRelease?: string;
    readonly library: string;
    readonly cudnn?: string;
    readonly devices: readonly { readonly device: string; readonly name: string }[];
  };
}

/** What `goshawk doctor` says of the card. */
async function describeMachine(): Promise<Row[]> {
  const doctor = programPath('../../../packages/goshawk/bin/goshawk.js');
  const { lines, errors } = await runProgram([doctor, 'doctor', '--json'], {
    env: process.env,
    limit: Math.max(1, left()),
  });
  if (lines.length === 0) throw new Error(`doctor: ${errors}`);
  const { findings, cuda } = JSON.parse(lines.join('\n')) as Doctor;
  if (cuda) {
    card =
      (cuda.devices.find((one) => one.device === (device === 'cuda' ? 'cuda:0' : device)) ?? cuda.devices[0])?.name ??
      card;
    const { driver, driverRelease = '', library, cudnn = '' } = cuda;
    versions = { ...versions, driver: `${driverRelease} (CUDA ${driver})`.trim(), CUDA: library, cuDNN: cudnn };
  }
  const ofCard = findings.filter(({ name }) => /^(devices|CUDA|cuda:\d+|NVRTC)$/.test(name));
  const rows = ofCard.map(
    ({ name, state, detail, remedy }): Row => ({
      name,
      state: state === 'missing' ? 'failed' : 'ok',
      detail: remedy === undefined ? detail : `${detail}: ${remedy}`,
    }),
  );
  return onCard && !cuda ? [...rows, { name: device, state: 'failed', detail: 'there is no such device' }] : rows;
}
