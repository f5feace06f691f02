// goshawk doctor: what this machine has, what is missing and how to get it. Works without the engine.
import { existsSync, readFileSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { explainDiscovery } from '@goshawk/torch/libtorch';
import { pixelAddon } from '@goshawk/torch/pixels';
import { FFMPEG_REMEDY, findFfmpeg } from '../data/video/index.js';
import { formatBytes } from '../terminal/progress-line.js';
import { deviceFindings, type Finding } from './device-findings.js';

export interface DoctorCommandOptions {
  readonly json?: boolean;
}

/** Prints the findings; sets the exit code 1 when something is missing. */
export async function runDoctor(options: DoctorCommandOptions): Promise<void> {
  const { found, steps } = explainDiscovery();
  const findings: Finding[] = [checkNode(), await checkImages(), checkPixels(), checkVideos()];
  findings.push(
    found === undefined
      ? {
          name: 'libtorch',
          state: 'missing',
          detail: 'not found',
          remedy: 'run `npx goshawk setup`, which says how to get one, or set LIBTORCH to the folder of one',
        }
      : { name: 'libtorch', state: 'ok', detail: `${found.version} in ${found.libDir} (from ${found.source})` },
  );
  const engine = found && (await openEngine());
  if (engine) findings.push(...(engine instanceof Error ? [engineMissing(engine)] : checkEngine(engine)));
  const isComplete = findings.every((finding) => finding.state !== 'missing');
  if (!isComplete) process.exitCode = 1;
  if (options.json) {
    const cuda = engine instanceof Error ? undefined : engine?.cudaFacts();
    console.log(JSON.stringify({ ok: isComplete, findings, discovery: steps, cuda }, undefined, 2));
    return;
  }
  const width = Math.max(...findings.map((finding) => finding.name.length));
  for (const { name, state, detail, remedy } of findings) {
    console.log(`${state.padEnd(7)}  ${name.padEnd(width)}  ${detail}`);
    if (remedy !== undefined) console.log(`${' '.repeat(9 + width)}  -> ${remedy}`);
  }
  console.log('\nlibtorch is looked for in this order:');
  for (const { place, outcome } of steps) console.log(`  ${place}: ${outcome}`);
  console.log(`\n${isComplete ? 'ready' : 'not ready: see the arrows above'}`);
}

function checkNode(): Finding {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  const detail = `${process.versions.node} on ${process.platform} ${process.arch}, ${availableParallelism()} processors, ${formatBytes(totalmem())} memory`;
  if (major > 20 || (major === 20 && minor >= 19)) return { name: 'Node', state: 'ok', detail };
  return { name: 'Node', state: 'missing', detail, remedy: 'install Node 20.19 or newer' };
}

async function checkImages(): Promise<Finding> {
  try {
    const { default: sharp } = await import('sharp');
    return { name: 'pictures', state: 'ok', detail: `sharp ${sharp.versions.sharp}, libvips ${sharp.versions.vips}` };
  } catch (error) {
    const remedy = 'run npm install --include=optional (optional packages hold the binaries)';
    return { name: 'pictures', state: 'missing', detail: firstLine(error), remedy };
  }
}

/** Without it the same is computed in TypeScript, so that a machine is not incomplete. */
function checkPixels(): Finding {
  const remedy = 'run `npx goshawk setup`';
  try {
    if (pixelAddon()) return { name: 'pixels', state: 'ok', detail: 'compiled kernels for resizing and augmentation' };
    return { name: 'pixels', state: 'slow', detail: 'no compiled kernels: several times slower in TypeScript', remedy };
  } catch (error) {
    return { name: 'pixels', state: 'missing', detail: firstLine(error), remedy };
  }
}

/** Only videos need it, so that a machine without is not incomplete. */
function checkVideos(): Finding {
  const found = findFfmpeg();
  if (found) return { name: 'videos', state: 'ok', detail: `ffmpeg ${found.version}` };
  return { name: 'videos', state: 'without', detail: 'no ffmpeg', remedy: FFMPEG_REMEDY };
}

type Engine = typeof import('@goshawk/torch');

async function openEngine(): Promise<Engine | Error> {
  try {
    return await import('@goshawk/torch');
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

function engineMissing(error: Error): Finding {
  return { name: 'engine', state: 'missing', detail: firstLine(error), remedy: 'run `npx goshawk setup`' };
}

function checkEngine(engine: Engine): Finding[] {
  const info = engine.engineInfo();
  return [
    {
      name: 'engine',
      state: 'ok',
      detail: `addon built for libtorch ${info.version}, ${cpuCapability(info.configuration)}`,
    },
    ...deviceFindings({ problem: engine.cudaProblem(), facts: engine.cudaFacts(), isForCpu: !info.cuda }),
    { name: 'threads', state: 'ok', detail: `${info.threads} of ${availableParallelism()} processors` },
    checkBfloat16(engine),
    checkBlas(info.configuration),
  ];
}

/** train.precision: bf16 works either way. */
function checkBfloat16({ multiplies }: Engine): Finding {
  const name = 'bfloat16';
  if (multiplies('bfloat16')) return { name, state: 'ok', detail: 'by instructions of this processor' };
  return {
    name,
    state: 'without',
    detail: 'this processor has no instructions for it: bf16 is computed in float32, and slower than fp32',
  };
}

/** Which library multiplies matrices: the reference one of Debian is many times slower than OpenBLAS or MKL. */
function checkBlas(configuration: string): Finding {
  const mkl = /Math Kernel Library Version ([\d.]+)/.exec(configuration)?.[1];
  if (mkl !== undefined) return { name: 'BLAS', state: 'ok', detail: `MKL ${mkl}` };
  const maps = '/proc/self/maps';
  const loaded = existsSync(maps)
    ? [...new Set(readFileSync(maps, 'utf8').match(/\/\S*lib(?:openblas|blas|mkl_rt|blis)\S*\.so\S*/g) ?? [])]
    : [];
  const fast = loaded.find((file) => /openblas|mkl|blis|atlas/.test(file));
  if (fast !== undefined) return { name: 'BLAS', state: 'ok', detail: fast };
  if (loaded.length === 0) return { name: 'BLAS', state: 'ok', detail: 'inside libtorch' };
  return {
    name: 'BLAS',
    state: 'slow',
    detail: `${loaded[0]} (the reference implementation)`,
    remedy: 'sudo apt-get install libopenblas0-pthread',
  };
}

function cpuCapability(configuration: string): string {
  const capability = /CPU capability usage: (\S+)/.exec(configuration)?.[1];
  return capability === undefined ? 'no vector instructions named' : `vector instructions ${capability}`;
}

function firstLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]!;
}
