// goshawk serve under load, against goshawk's own way without HTTP: requests over connections that stay open, their times, the server's
// memory, and that every one is answered alike.
//
//     node bench/dist/server.js [--requests 10000] [--connections 32] [--side 128] [--threads 1] [--batches]
//
// Exit code 1 when an answer is missing or another than the first, or when the server's memory grows by 10% or more from a fifth of the
// requests to their end. `--batches` measures instead what several pictures at once cost the network, each.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { synthesizeScene } from '@goshawk/core';
import { openDetector } from 'goshawk';
import sharp from 'sharp';
import { goshawk, makeTinyTraining, runGoshawk } from './tiny-training.js';

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '10000' },
    connections: { type: 'string', default: '32' },
    side: { type: 'string', default: '128' },
    threads: { type: 'string', default: '1' },
    batches: { type: 'boolean', default: false },
  },
});
const [requests, connections, side] = [options.requests, options.connections, options.side].map(Number) as [
  number,
  number,
  number,
];
const GROWTH_LIMIT = 0.1;
const DIRECT = 200;

const folder = mkdtempSync(join(tmpdir(), 'goshawk-server-bench-'));
try {
  const config = makeTinyTraining(folder, { images: 8, threads: Number(options.threads), train: { iterations: 5 } });
  runGoshawk(['train', config, '--output', join(folder, 'run')]);
  const weights = join(folder, 'run', 'final.safetensors');
  const { data } = synthesizeScene({ seed: 7, index: 0, width: side, height: side }).image;
  const raw = { width: side, height: side, channels: 3 } as const;
  const photo = await sharp(data, { raw }).jpeg().toBuffer();
  if (options.batches) measureBatches(weights, data);
  else await measureServer(weights, photo);
} finally {
  rmSync(folder, { recursive: true, force: true });
}

async function measureServer(weights: string, photo: Buffer): Promise<void> {
  const server = spawn(
    process.execPath,
    [goshawk, 'serve', weights, '--port', '0', '--json', '--score-threshold', '0', '--threads', options.threads],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const [line] = await once(server.stdout, 'data');
  const { url } = JSON.parse(String(line)) as { readonly url: string };
  const agent = new Agent({ keepAlive: true, maxSockets: connections });
  const ask = () => post(`${url}/v1/detect`, agent, photo);
  const first = found(await ask());
  const times: number[] = [];
  let [sent, lost, other, early] = [0, 0, 0, 0];
  const started = performance.now();
  const client = async (): Promise<void> => {
    while (sent < requests) {
      sent += 1;
      const begun = performance.now();
      const text = await ask().catch(() => undefined);
      if (text === undefined) lost += 1;
      else if (found(text) !== first) other += 1;
      times.push(performance.now() - begun);
      if (times.length === Math.round(requests / 5)) early = memoryOf(server.pid!);
    }
  };
  await Promise.all(Array.from({ length: connections }, client));
  const seconds = (performance.now() - started) / 1000;
  const late = memoryOf(server.pid!);
  const growth = late / early - 1;
  times.sort((a, b) => a - b);
  const at = (share: number): string => times[Math.min(times.length - 1, Math.floor(share * times.length))]!.toFixed(1);
  const rate = requests / seconds;
  console.log(`server: ${requests} requests over ${connections} connections, ${rate.toFixed(1)} requests/s`);
  console.log(`  milliseconds: p50 ${at(0.5)}, p95 ${at(0.95)}, p99 ${at(0.99)}`);
  console.log(`  lost ${lost}, other answers ${other}`);
  console.log(`  memory ${early.toFixed(0)} -> ${late.toFixed(0)} MiB (${(growth * 100).toFixed(1)}%)`);
  agent.destroy();
  server.kill('SIGTERM');
  const [code] = await once(server, 'exit');
  const direct = await directRate(weights, photo);
  console.log(`without HTTP: ${direct.toFixed(1)} pictures/s; the server has ${(rate / direct).toFixed(2)} of it`);
  if (lost > 0 || other > 0 || code !== 0 || growth >= GROWTH_LIMIT) {
    console.log('FAILED');
    process.exitCode = 1;
  }
}

/** What goshawk predict does with a picture, but for writing and drawing. */
async function directRate(weights: string, photo: Buffer): Promise<number> {
  const { PictureDetector } = await import('goshawk');
  const detector = new PictureDetector({ weights, confidenceThreshold: 0 });
  for (let i = 0; i < 10; i++) await detector.detect(photo);
  const started = performance.now();
  for (let i = 0; i < DIRECT; i++) await detector.detect(photo);
  return (DIRECT * 1000) / (performance.now() - started);
}

/** Medians of processor time, batches of all sizes in turns, so that whatever else the machine does is the same to them. */
function measureBatches(weights: string, data: Uint8Array): void {
  const { predictor } = openDetector(weights);
  const image = { data, width: side, height: side };
  const sizes = [1, 2, 4, 8];
  const times = new Map(sizes.map((size) => [size, [] as number[]]));
  const ROUNDS = 40;
  for (let round = -3; round < ROUNDS; round++)
    for (const size of sizes) {
      const before = process.cpuUsage();
      predictor.predict(Array.from({ length: size }, () => image));
      const { user, system } = process.cpuUsage(before);
      if (round >= 0) times.get(size)!.push((user + system) / 1000 / size);
    }
  const alone = JSON.stringify(predictor.predict([image])[0]);
  for (const size of sizes) {
    const median = times.get(size)!.sort((a, b) => a - b)[ROUNDS / 2]!;
    const [own] = predictor.predict(Array.from({ length: size }, () => image));
    const isSame = JSON.stringify(own) === alone;
    console.log(`batch of ${size}: ${median.toFixed(2)} ms a picture, ${isSame ? 'the same' : 'another'} answer`);
  }
}

function post(url: string, agent: Agent, body: Buffer): Promise<string> {
  return new Promise((done, fail) => {
    const headers = { 'content-type': 'image/jpeg' };
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('error', fail);
      response.on('end', () => {
        if (response.statusCode === 200) done(Buffer.concat(chunks).toString());
        else fail(new Error(`${response.statusCode}`));
      });
    });
    sent.on('error', fail);
    sent.end(body);
  });
}

function found(text: string): string {
  return JSON.stringify((JSON.parse(text) as { readonly detections: unknown }).detections);
}

/** Resident, MiB. */
function memoryOf(pid: number): number {
  return Number(/VmRSS:\s+(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))![1]) / 1024;
}
