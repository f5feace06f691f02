// Our side of bench/gpu: trainings by train(), as the command runs them, and predictions by openDetector(), on the weights
// that the peer wrote. Commands and answers are those of peers/gpu.py, and `profile`.
//   node bench/dist/gpu/detector-ours.js DEVICE
import { readFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import {
  deviceMemory,
  engineInfo,
  interceptOperators,
  ones,
  releaseDeviceMemory,
  SGD,
  scope,
  setThreads,
  type Tensor,
} from '@goshawk/torch';
import {
  buildModel,
  decodeImageFile,
  imageBatchOf,
  inPrecision,
  loadWeights,
  openDetector,
  type Predictor,
  parseConfig,
  prepareBatch,
  type RunConfig,
  readWeights,
  targetsOf,
  totalLoss,
  train,
} from 'goshawk';
import { messageOf, nextCommand, say } from './child-lines.js';
import { kernelWork } from './kernel-times.js';

interface Setup {
  readonly do: 'setup';
  readonly size: readonly [height: number, width: number];
  readonly threads: number;
  readonly quick: boolean;
  readonly weights: string;
  readonly annotations: string;
  readonly images: string;
}
interface Prepare {
  readonly do: 'prepare';
  readonly mode: 'train' | 'predict';
  readonly images: number;
  readonly precision: string;
}
type Command =
  | Setup
  | Prepare
  | { readonly do: 'run'; readonly count: number }
  | { readonly do: 'settle' }
  | { readonly do: 'memory' }
  | { readonly do: 'profile'; readonly images: number; readonly precision: string }
  | { readonly do: 'kernel'; readonly name: string; readonly quick: boolean };

/** To try the programs, not to measure: peers/gpu.py has the same. */
const QUICK =
  ', rpn: { preNmsTopN: { train: 100, test: 100 }, postNmsTopN: { train: 50, test: 50 } }, boxHead: { batchSizePerImage: 16, maxDetections: 10 }';

const [, , device = 'cpu'] = process.argv;
const onCard = device !== 'cpu';
let setup: Setup | undefined;
/** Free bytes of the card before what was prepared last. */
let freeBefore = 0;

for (let command = nextCommand<Command>(); command; ) command = await answer(command);

/** Does a command and says what came of it. @returns the next one */
async function answer(command: Command): Promise<Command | undefined> {
  try {
    switch (command.do) {
      case 'setup':
        setup = command;
        setThreads(command.threads);
        say({ version: engineInfo().version });
        break;
      case 'prepare':
        await forget();
        return await (command.mode === 'train' ? answerTraining(command) : answerPredictions(command));
      case 'profile':
        say(await profile(command.images, command.precision));
        break;
      case 'kernel':
        say(kernelSeconds(command.name, command.quick));
        break;
      default:
        throw new Error(`${command.do} before prepare`);
    }
  } catch (error) {
    say({ error: messageOf(error) });
  }
  return nextCommand();
}

/** What came before gives its memory back, so that what follows is counted alone. */
async function forget(): Promise<void> {
  if (!onCard) return;
  wait();
  for (let turn = 0; turn < 3; turn++) {
    (globalThis as { gc?: () => void }).gc?.();
    // What frees a tensor runs after the turn in which it was collected.
    await setImmediate();
  }
  releaseDeviceMemory(device);
  freeBefore = deviceMemory(device).free;
}

function wait(): void {
  scope(() => ones([1], { device }).item());
}

/** A CPU takes minutes for a step in float16: where there is no card, the programs are tried with the other short type. */
function precisionHere(precision: string): string {
  return precision === 'fp16' && !onCard ? 'bf16' : precision;
}

function configFor({ images, precision }: { readonly images: number; readonly precision: string }): RunConfig {
  const { size, threads, annotations, images: folder, quick } = setup!;
  const sizes = quick ? QUICK : '';
  return parseConfig(
    `model: { type: mask_rcnn, classes: 90${sizes} }
preprocess: { resize: { minSize: ${Math.min(...size)}, maxSize: ${Math.max(...size)} } }
data: { train: { annotations: ${annotations}, images: ${folder} }, workers: ${Math.max(2, Math.min(8, threads - 2))} }
train: { batchSize: ${images}, precision: ${precisionHere(precision)}, optimizer: { lr: 0.00001 }, iterations: 1000000 }
runtime: { device: ${device}, threads: ${threads} }`,
    { file: 'bench' },
  );
}

/** Whether that was a command about memory. */
function answerMemory(command: Command): boolean {
  if (command.do === 'settle') {
    if (onCard) releaseDeviceMemory(device);
    say({});
    return true;
  }
  if (command.do === 'memory') say(memory());
  return command.do === 'memory';
}

/** Memory as peers/gpu.py counts it. */
function memory(): object {
  if (!onCard) return { reserved: null, in_use: null, taken: null };
  const { mostReserved, mostInUse, free } = deviceMemory(device);
  return { reserved: finite(mostReserved), in_use: finite(mostInUse), taken: freeBefore - free };
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** A training that waits inside its steps for the next command; ends at one that is not for it. */
async function answerTraining({ images, precision }: Prepare): Promise<Command | undefined> {
  const ending = new AbortController();
  let next: Command | undefined;
  /** Steps that are still to be made before the answer, and when the first of them began. */
  let left = 0;
  let count = 0;
  let begun = 0;
  let dataSeconds = 0;
  const ask = (): void => {
    for (;;) {
      next = nextCommand();
      if (next !== undefined && answerMemory(next)) continue;
      if (next?.do === 'run') {
        left = next.count;
        count = next.count;
        dataSeconds = 0;
        begun = performance.now();
      } else {
        ending.abort();
      }
      return;
    }
  };
  let isReady = false;
  await train({
    config: configFor({ images, precision }),
    output: 'nowhere',
    save: false,
    init: setup!.weights,
    signal: ending.signal,
    observer: {
      onStep: ({ totalLoss: loss, dataSeconds: waited }) => {
        if (!isReady) {
          // The first step pays for what is made once.
          isReady = true;
          say({});
          ask();
          return;
        }
        dataSeconds += waited;
        if (--left > 0) return;
        wait();
        say({ seconds: (performance.now() - begun) / 1000 / count, data: dataSeconds / count, objects: 0, loss });
        ask();
      },
    },
  });
  return next;
}

async function pictures(count: number) {
  const { images } = setup!;
  return Promise.all(Array.from({ length: count }, (_, index) => decodeImageFile(`${images}/${index}.jpg`)));
}

async function answerPredictions({ images, precision }: Prepare): Promise<Command | undefined> {
  const config = configFor({ images, precision });
  const predictor: Predictor = openDetector({ config, weights: setup!.weights }).predictor;
  const prepared = prepareBatch(await pictures(images), config.preprocess);
  const batch = { ...prepared, images: prepared.images.map((size, imageId) => ({ ...size, imageId })) };
  predictor.predictBatch(batch);
  say({});
  for (;;) {
    const command = nextCommand<Command>();
    if (command !== undefined && answerMemory(command)) continue;
    if (command?.do === 'run') {
      wait();
      const begun = performance.now();
      let objects = 0;
      const stages = ['network', 'post-processing'] as const;
      const before = stages.map((stage) => predictor.stages.of(stage));
      for (let i = 0; i < command.count; i++) objects = predictor.predictBatch(batch)[0]?.length ?? 0;
      wait();
      const seconds = (performance.now() - begun) / 1000 / command.count;
      const spent = stages.map(
        (stage, i) => `${stage} ${((predictor.stages.of(stage) - before[i]!) / command.count).toFixed(1)} ms`,
      );
      say({ seconds, stages: spent.join(', '), objects, loss: null });
    } else return command;
  }
}

/** Where the time of a step goes: by its parts, and by operator with a wait after each, so that each pays for itself. */
async function profile(images: number, precision: string): Promise<object> {
  const config = configFor({ images, precision });
  const model = buildModel(config.model, { classes: 90 });
  loadWeights(model, readWeights(setup!.weights), setup!.weights);
  model.to({ device, memoryFormat: 'channels_last' });
  model.train();
  const optimizer = new SGD(
    [...model.namedParameters()].filter(([, parameter]) => parameter.requiresGrad),
    { lr: 1e-5, momentum: 0.9, weightDecay: 1e-4 },
  );
  const prepared = prepareBatch(await pictures(images), config.preprocess);
  const { annotations } = setup!;
  const targets = sceneTargets(annotations, images);
  const parts: Record<string, number> = {};
  const timed = <T>(name: string, body: () => T): T => {
    wait();
    const begun = performance.now();
    const result = body();
    wait();
    parts[name] = performance.now() - begun;
    return result;
  };
  const autocast = precisionHere(precision) as Parameters<typeof inPrecision>[0];
  const step = (measure: typeof timed): void => {
    scope(() => {
      const [batch, placed] = measure(
        'transfer',
        () => [imageBatchOf(prepared, device), targetsOf({ targets }, device)] as const,
      );
      const total = measure('forward', () => totalLoss(inPrecision(autocast, device, () => model.loss(batch, placed))));
      optimizer.zeroGrad();
      measure('backward', () => (total as Tensor).backward());
    });
    measure('optimizer', () => optimizer.step());
  };
  for (let warm = 0; warm < 3; warm++) step(timed);
  const operators = new Map<string, { calls: number; ms: number }>();
  interceptOperators(
    (name, args, proceed) => {
      const begun = performance.now();
      const result = proceed(args);
      wait();
      const entry = operators.get(name) ?? { calls: 0, ms: 0 };
      operators.set(name, { calls: entry.calls + 1, ms: entry.ms + performance.now() - begun });
      return result;
    },
    () => step((_, body) => body()),
  );
  const listed = [...operators].map(([name, { calls, ms }]) => ({ name, calls, ms })).sort((a, b) => b.ms - a.ms);
  const calls = listed.reduce((sum, one) => sum + one.calls, 0);
  const own = listed.filter(({ name }) => name.startsWith('goshawk::'));
  return { parts, calls, own, operators: listed.slice(0, 15) };
}

function sceneTargets(annotations: string, images: number) {
  const file = JSON.parse(readFileSync(annotations, 'utf8')) as {
    annotations: { image_id: number; category_id: number; bbox: [number, number, number, number] }[];
  };
  return Array.from({ length: images }, (_, index) => {
    const objects = file.annotations.filter(({ image_id }) => image_id === index + 1);
    return {
      boxes: Float32Array.from(objects.flatMap(({ bbox: [x, y, width, height] }) => [x, y, x + width, y + height])),
      classes: Int32Array.from(objects, ({ category_id }) => category_id),
      masks: objects.map(({ bbox: [x, y, width, height] }) => ({
        ...{ x, y, width, height },
        data: new Uint8Array(width * height).fill(1),
      })),
      areas: new Float32Array(objects.length),
      annotationIds: objects.map((_, i) => i),
    };
  });
}

function kernelSeconds(name: string, quick: boolean): object {
  return scope(() => {
    const work = kernelWork(name, device, quick);
    // What takes microseconds is called as often as a training would until it is compiled.
    const count = quick ? 3 : name === 'small operator' ? 5000 : 20;
    for (let warm = 0; warm < Math.max(3, count / 5); warm++) scope(work);
    wait();
    const begun = performance.now();
    for (let i = 0; i < count; i++) scope(work);
    wait();
    return { seconds: (performance.now() - begun) / 1000 / count };
  });
}
