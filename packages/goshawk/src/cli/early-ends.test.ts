// What is left of work that ends early, in processes that are really killed, stopped and run out of disk.
import assert from 'node:assert/strict';
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { InputError } from '@goshawk/core';
import { writeSafetensors } from '@goshawk/torch';
import sharp from 'sharp';
import { configToYaml } from '../config/index.js';
import { LOCK_NAME } from '../files/run-lock.js';
import { describeDetector } from '../infer/index.js';
import { goshawkHere } from '../testing/goshawk-here.js';
import { mayMount } from '../testing/may-mount.js';
import { tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { runCurves } from './curves.js';
import { runDataConvert } from './data-convert.js';
import { runDataDraw } from './data-draw.js';
import { runDataSynth } from './data-synth.js';
import { runDemo } from './demo.js';
import { runEval } from './eval.js';
import { runInit } from './init.js';
import { runPredict } from './predict.js';
import { runTrain } from './train.js';
import { configForData } from './train-data.js';
import { runWeightsConvert } from './weights-convert.js';

const goshawk = fileURLToPath(new URL('../../bin/goshawk.js', import.meta.url));
/** More than a process gets done while it is looked at. */
const PICTURES = 400;
const POLL_MS = 5;

let folder: string;
let pictures: string;
let configFile: string;
let weights: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'goshawk-early-ends-'));
  pictures = join(folder, 'pictures');
  mkdirSync(pictures);
  const first = join(pictures, '000.png');
  // Noise: the drawn pictures are no smaller than a small disk can hold.
  const pixels = Buffer.alloc(64 * 64 * 3);
  for (let i = 0; i < pixels.length; i++) pixels[i] = (i * 7919) % 251;
  await sharp(pixels, { raw: { width: 64, height: 64, channels: 3 } })
    .png()
    .toFile(first);
  const names = Array.from({ length: PICTURES }, (_, i) => `${String(i).padStart(3, '0')}.png`);
  for (const name of names.slice(1)) copyFileSync(first, join(pictures, name));
  const annotations = join(folder, 'val.json');
  const categories = [
    { id: 2, name: 'red' },
    { id: 5, name: 'blue' },
  ];
  const mask = [[8, 8, 40, 8, 40, 40, 8, 40]];
  writeFileSync(
    annotations,
    JSON.stringify({
      images: names.map((file_name, index) => ({ id: index + 1, file_name, width: 64, height: 64 })),
      annotations: [
        { id: 1, image_id: 1, category_id: 2, bbox: [8, 8, 32, 32], area: 1024, iscrowd: 0, segmentation: mask },
      ],
      categories,
    }),
  );
  const config = tinyConfig([
    `data.val.annotations=${annotations}`,
    `data.val.images=${pictures}`,
    'model.boxHead.scoreThreshold=0.01',
  ]);
  configFile = join(folder, 'config.yaml');
  writeFileSync(configFile, configToYaml(config));
  weights = join(folder, 'tiny.safetensors');
  const state = [...tinyDetector().stateDict()];
  writeSafetensors(
    weights,
    state.map(([name, tensor]) => ({ name, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
    describeDetector({ config, categories }),
  );
});
after(() => rmSync(folder, { recursive: true, force: true }));

const predicting = (output: string) => [
  ...['predict', configFile, '--weights', weights, '--score-threshold', '0.01', '--output', output],
  ...['--pdf', '--contact-sheet', pictures],
];
const evaluating = (output: string) => ['eval', configFile, '--weights', weights, '--output', output];
const commands = [
  ['predict', predicting],
  ['eval', evaluating],
  ['eval --processes 2', (output: string) => [...evaluating(output), '--processes', '2']],
] as const;

interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

async function run(args: readonly string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const { code, out, err } = await goshawkHere(process.cwd(), args);
  return { code, stdout: out, stderr: err };
}

/** Starts a command and waits until it has written what it found in some pictures. */
async function begin(args: readonly string[], output: string): Promise<{ child: ChildProcess; ended: Promise<Ended> }> {
  const started = Date.now();
  const child = spawn(process.execPath, [goshawk, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr!.on('data', (text: Buffer) => {
    stderr += text.toString();
  });
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stderr }));
  const growing = join(output, 'detections.partial.json');
  // An earlier run may have left one.
  const isGrowing = (): boolean => {
    const status = statSync(growing, { throwIfNoEntry: false });
    return status !== undefined && status.mtimeMs > started && status.size > 2000;
  };
  while (child.exitCode === null && !isGrowing()) await setTimeout(POLL_MS);
  assert.equal(child.exitCode, null, stderr);
  return { child, ended };
}

/** Reads a results file: a whole list, of some pictures and not of all. */
function requireSomeIn(file: string): void {
  const rows = JSON.parse(readFileSync(file, 'utf8')) as readonly { readonly image_id: number }[];
  const images = new Set(rows.map(({ image_id }) => image_id));
  assert.ok(images.size > 0 && images.size < PICTURES, `${images.size} pictures`);
}

const listed = (output: string) =>
  readdirSync(output)
    .filter((name) => !/^\d+\.png$/.test(name))
    .toSorted();

const stopped = (signal: string) =>
  new RegExp(
    `stopped by ${signal}: .*detections\\.json has the \\d+ objects of the \\d+ pictures? that w(as|ere) done\\n$`,
  );

describe('what was found is kept, and nothing unfinished is left', () => {
  for (const [name, argsFor] of commands) {
    test(`when goshawk ${name} is killed, and when the next run in its place is interrupted`, async () => {
      const output = join(folder, `killed ${name}`);
      const first = await begin(argsFor(output), output);
      first.child.kill('SIGKILL');
      await first.ended;
      requireSomeIn(join(output, 'detections.partial.json'));
      assert.ok(!existsSync(join(output, 'detections.json')));

      const next = await begin(argsFor(output), output);
      const signal = name === 'eval' ? 'SIGTERM' : 'SIGINT';
      next.child.kill(signal);
      const { code, stderr } = await next.ended;
      assert.equal(code, signal === 'SIGTERM' ? 143 : 130);
      assert.match(stderr, stopped(signal));
      assert.deepEqual(listed(output), ['detections.json']);
      requireSomeIn(join(output, 'detections.json'));
    });
  }
});

describe('a second command in the same folder', () => {
  test('says who is at work there, with exit code 2, and disturbs nothing', async () => {
    const output = join(folder, 'shared');
    const { child, ended } = await begin(predicting(output), output);
    // It would be done before the others have started.
    child.kill('SIGSTOP');
    for (const args of [predicting(output), evaluating(output)]) {
      const { code, stderr } = await run(args);
      assert.equal(code, 2);
      assert.match(
        stderr,
        new RegExp(`shared: goshawk predict is at work there \\(process ${child.pid}, since .*\\n$`),
      );
    }
    assert.equal(child.exitCode, null);
    child.kill('SIGKILL');
    await ended;
    requireSomeIn(join(output, 'detections.partial.json'));
  });
});

describe('on a disk that fills up', { skip: mayMount() ? false : 'needs the right to mount' }, () => {
  for (const [name, argsFor] of commands.slice(0, 2)) {
    test(`goshawk ${name} keeps what was found before, and says why it is no more`, async () => {
      const disk = join(folder, `disk-${name}`);
      mkdirSync(disk);
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', disk]);
      try {
        const output = join(disk, 'output');
        const { code, stdout, stderr } = await run(argsFor(output).filter((word) => word !== '--pdf'));
        assert.equal(code, 1, stderr);
        assert.match(
          stderr,
          /the disk is full: .*detections\.json has the \d+ objects of the \d+ pictures that were done\n$/,
        );
        if (name === 'eval') assert.match(stdout, /Average Precision/);
        requireSomeIn(join(output, 'detections.json'));
        assert.deepEqual(listed(output), ['detections.json']);
      } finally {
        execFileSync('umount', [disk]);
      }
    });
  }
});

describe('pictures that cannot be used are named at the end, and the others are done', () => {
  test('by goshawk predict', async () => {
    const photos = join(folder, 'photos');
    mkdirSync(photos);
    const long = `${'x'.repeat(251)}.png`;
    for (const name of ['a.png', 'c.png', long]) copyFileSync(join(pictures, '000.png'), join(photos, name));
    writeFileSync(join(photos, 'b.png'), readFileSync(join(pictures, '000.png')).subarray(0, 200));
    const output = join(folder, 'some');
    const { code, stdout, stderr } = await run([...predicting(output).slice(0, -1), photos]);
    assert.equal(code, 1);
    assert.match(stdout, /objects in 3 pictures: .*detections\.json, drawn beside it/);
    assert.match(
      stderr,
      /b\.png: is a damaged png picture .*: replace the file\ngoshawk: one picture could not be used, named above: the others are in .*detections\.json\n$/,
    );
    assert.deepEqual(
      readdirSync(output).toSorted(),
      ['a.png', 'c.png', 'contact-sheet.png', 'detections.json', 'pictures.pdf', long].toSorted(),
    );
  });

  test('but where there is no other, that is wrong input, and nothing is left', async () => {
    const damaged = join(folder, 'damaged.png');
    writeFileSync(damaged, readFileSync(join(pictures, '000.png')).subarray(0, 200));
    const { code, stderr } = await run([...predicting(join(folder, 'none')).slice(0, -1), damaged]);
    assert.equal(code, 2);
    assert.match(stderr, /(^|\n)goshawk: .*damaged\.png: is a damaged png picture .*: replace the file\n$/);
    assert.ok(!existsSync(join(folder, 'none')));
  });

  test('by goshawk eval, whose figures count their objects as not found', async () => {
    const whole = readFileSync(join(pictures, '003.png'));
    writeFileSync(join(pictures, '003.png'), whole.subarray(0, 200));
    try {
      for (const more of [[], ['--processes', '2']]) {
        const output = join(folder, `eval-some-${more.length}`);
        // The options of two numbers may stand before the config.
        const { code, stdout, stderr } = await run([
          'eval',
          '--range',
          '0',
          '5',
          ...evaluating(output).slice(1),
          ...more,
        ]);
        assert.equal(code, 1, stderr);
        assert.match(stdout, /Average Precision/);
        assert.match(
          stderr,
          /003\.png: is a damaged png picture .*\ngoshawk: one picture could not be used, named above: the figures count its objects as not found\n$/,
        );
        assert.deepEqual(readdirSync(output).toSorted(), [
          'detections.json',
          'metrics.json',
          'report-pictures',
          'report.html',
        ]);
      }
    } finally {
      writeFileSync(join(pictures, '003.png'), whole);
    }
  });
});

test('goshawk train on photos, interrupted while it looks at them, leaves nothing', async () => {
  const output = join(folder, 'looked-at');
  const words = ['train', join(folder, 'val.json'), '--images', pictures, '--output', output];
  const child = spawn(process.execPath, [goshawk, ...words], { stdio: 'ignore' });
  const ended = once(child, 'close');
  while (child.exitCode === null && !existsSync(join(output, LOCK_NAME))) await setTimeout(POLL_MS);
  child.kill('SIGINT');
  assert.deepEqual(await ended, [130, null]);
  assert.ok(!existsSync(output));
});

describe('goshawk predict among the pictures themselves', () => {
  test('draws over none of them, and takes none of those that it has drawn', async () => {
    const own = join(folder, 'own');
    mkdirSync(own);
    copyFileSync(join(pictures, '000.png'), join(own, 'a.png'));
    const words = (output: string) => [...predicting(output).slice(0, -1), own];
    const refused = await run(words(own));
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, /own.a\.png: is the input itself: name another output\n$/);
    assert.deepEqual(readdirSync(own), ['a.png']);
    const output = join(own, 'predictions');
    for (const left of [0, 2]) {
      const { code, stdout, stderr } = await run(words(output));
      assert.equal(code, 0, stderr);
      assert.match(stdout, /in 1 picture: /);
      assert.equal(
        stderr.includes(`predictions: ${left} pictures and videos of earlier predictions left aside`),
        left > 0,
      );
    }
    assert.deepEqual(readdirSync(output).toSorted(), ['a.png', 'contact-sheet.png', 'detections.json', 'pictures.pdf']);
  });
});

describe('a start that is refused leaves nothing behind', () => {
  const refused = (work: Promise<unknown>, message: RegExp): Promise<void> =>
    assert.rejects(work, (error) => {
      assert.ok(error instanceof InputError, String(error));
      assert.match(error.message, message);
      return true;
    });
  const noWeights = () => ({ weights: configFile });

  test('where the weights, the data or the place are wrong', async () => {
    const output = join(folder, 'refused', 'deep');
    const message = /config\.yaml: .*not a weights file/;
    await assert.rejects(runPredict(configFile, [pictures], { ...noWeights(), output, pdf: true }), message);
    await assert.rejects(runEval(configFile, { ...noWeights(), output }), message);
    await refused(runTrain(configFile, { output }), /data\.train: is not set/);
    assert.ok(!existsSync(join(folder, 'refused')));
  });

  test('where the output cannot be written, in every command that writes', async () => {
    const output = join(configFile, 'output');
    const reason = /a part of its path is a file, not a folder: choose another place$/;
    const annotations = join(folder, 'val.json');
    await refused(runPredict(configFile, [pictures], { weights, output }), reason);
    await refused(runEval(configFile, { weights, output }), reason);
    await refused(runTrain(configFile, { output }), reason);
    await refused(configForData(annotations, { output, images: pictures }), reason);
    await refused(runInit(annotations, { output: join(output, 'made.yaml'), images: pictures }), reason);
    await refused(runDemo({ output }), reason);
    const scenes = { images: '2', seed: '1', size: '64x64', difficulty: 'demo', split: 'train,val' } as const;
    await refused(runDataSynth({ ...scenes, output }), reason);
    await refused(runDataDraw(annotations, { images: pictures, output, limit: '1' }), reason);
    const inTurn = async (work: () => unknown) => work();
    await refused(
      inTurn(() => runDataConvert(annotations, { output: join(output, 'coco.json') })),
      reason,
    );
    await refused(
      inTurn(() => runDataConvert(annotations, { output })),
      reason,
    );
    await refused(
      inTurn(() => runWeightsConvert(weights, join(output, 'weights.pth'))),
      reason,
    );
    const metrics = join(folder, 'metrics.jsonl');
    writeFileSync(metrics, '{"iteration":1,"loss":1}\n');
    await refused(runCurves([metrics], { output: join(output, 'curves.png'), smoothing: '0' }), reason);
    const left = readdirSync(folder).filter((name) => /partial|tmp|lock/.test(name));
    assert.deepEqual(left, []);
  });
});

describe('goshawk data synth', () => {
  const partial = () => join(folder, 'scenes.partial');
  const args = () => ['data', 'synth', '--output', join(folder, 'scenes'), '--images', '3000'];
  async function started(): Promise<ChildProcess> {
    const child = spawn(process.execPath, [goshawk, ...args()], { stdio: 'ignore' });
    while (child.exitCode === null && !existsSync(join(partial(), 'images', '000003.png'))) await setTimeout(POLL_MS);
    return child;
  }

  test('that is stopped leaves nothing; after a kill the next one clears away', async () => {
    const stopped = await started();
    stopped.kill('SIGINT');
    assert.equal((await once(stopped, 'exit'))[0], 130);
    assert.ok(!existsSync(partial()));

    const killed = await started();
    killed.kill('SIGKILL');
    await once(killed, 'exit');
    assert.ok(existsSync(partial()));
    assert.equal((await run([...args().slice(0, -1), '2'])).code, 0);
    assert.ok(!existsSync(partial()));
    assert.deepEqual(readdirSync(join(folder, 'scenes', 'images')), ['000001.png', '000002.png']);
  });
});
