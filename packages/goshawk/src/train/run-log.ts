// What a training writes down and shows: config.yaml, metrics.jsonl, TensorBoard events, a progress line.
import { join } from 'node:path';
import { configToYaml } from '../config/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import { formatWeightsReport } from '../infer/weights-report.js';
import { detectorKind } from '../models/index.js';
import { createProgressLine, formatBytes, formatDuration, type ProgressLine } from '../terminal/progress-line.js';
import { batchOfRun } from './effective-schedule.js';
import { MetricsLog, type MetricsRecord } from './metrics-log.js';
import { TensorBoardWriter } from './tensorboard-events.js';
import type { StepRecord, TrainEnd, TrainObserver, TrainStart } from './train-options.js';

/** Steps whose speed is averaged. */
const SPEED_WINDOW = 50;

/** Steps after which it is said how many fit into a time. */
const MEASURED_STEPS = 10;

/** Of a data set's warnings, so many are shown. */
const SHOWN_WARNINGS = 5;

/** What tells the lines of evaluations from those of steps. */
const EVALUATION_SECONDS = 'evaluation_seconds';

export class RunLog implements TrainObserver {
  readonly #output: string | undefined;
  readonly #line: ProgressLine;
  #metrics: MetricsLog | undefined;
  #events: TensorBoardWriter | undefined;
  #start: TrainStart | undefined;
  #recent: StepRecord[] = [];
  #toldLength = false;
  /** Of the last evaluation of this start, and of all. */
  #figure: number | undefined;
  #best: number | undefined;
  /** Losses summed over the steps since the last line. */
  #window: { steps: number; total: number; readonly losses: Map<string, number> } = emptyWindow();

  /** @param output the run's folder; undefined writes nothing down */
  constructor(output: string | undefined, line: ProgressLine = createProgressLine()) {
    this.#output = output;
    this.#line = line;
  }

  onStart(start: TrainStart): void {
    this.#start = start;
    this.#best = start.best?.value;
    if (this.#output !== undefined) {
      writeFileAtomic(join(this.#output, 'config.yaml'), configToYaml(start.config));
      this.#metrics = MetricsLog.open(join(this.#output, 'metrics.jsonl'), (record) => isBefore(start, record));
      this.#events = TensorBoardWriter.open(
        join(this.#output, 'tensorboard'),
        start.iteration > 0 ? { firstStep: start.iteration + 1 } : {},
      );
    }
    const { model, train, data } = start.config;
    const each = start.processes > 1 ? ' each' : '';
    const processes = start.processes > 1 ? ` shared by ${start.processes} processes` : '';
    this.#line.note(
      `${model.type}, ${millions(start.parameters)} parameters (${millions(start.learningParameters)} learning), ${start.categories.length} categories; ` +
        `${start.trainImages} images to train, ${start.valImages} to validate; batches of ${batchOfRun(train, start.processes) * train.accumulate}${processes}, ${train.precision}, ${start.threads} threads${each}, ${data.workers} workers${each}`,
    );
    if (start.batchSizeChoice) this.#line.note(start.batchSizeChoice);
    if (start.schedule.explanation) this.#line.note(start.schedule.explanation);
    for (const notice of start.notices) this.#line.note(`notice: ${notice}`);
    for (const warning of start.warnings.slice(0, SHOWN_WARNINGS)) this.#line.note(`warning: ${warning}`);
    const hidden = start.warnings.length - SHOWN_WARNINGS;
    if (hidden > 0) this.#line.note(`and ${hidden} more warnings: goshawk data check lists them`);
    for (const report of start.initialised) for (const line of formatWeightsReport(report)) this.#line.note(line);
    if (start.iteration > 0) this.#line.note(`resumed after iteration ${start.iteration}`);
  }

  onStep(step: StepRecord): void {
    const { iterations } = step;
    this.#recent = [...this.#recent.slice(1 - SPEED_WINDOW), step];
    const seconds = sum(this.#recent, (record) => record.seconds);
    const imagesPerSecond = sum(this.#recent, (record) => record.images) / seconds;
    const dataShare = sum(this.#recent, (record) => record.dataSeconds) / seconds;
    const exchangeShare = sum(this.#recent, (record) => record.exchangeSeconds ?? 0) / seconds;
    const exchanges = this.#start!.processes === 1 ? '' : `exchange ${(exchangeShare * 100).toFixed(0)}%  `;
    const remaining = ((iterations - step.iteration) * seconds) / this.#recent.length;
    const memory = process.memoryUsage.rss();
    const losses = Object.entries(step.losses).map(
      ([name, value]) => `${name.replace('loss_', '')} ${value.toFixed(3)}`,
    );
    this.#line.update(
      `${step.iteration}/${iterations}  loss ${step.totalLoss.toFixed(3)} (${losses.join(', ')})  lr ${step.learningRate.toPrecision(3)}  ` +
        `${this.#bestShown()}${imagesPerSecond.toFixed(1)} images/s  data ${(dataShare * 100).toFixed(0)}%  ${exchanges}${formatBytes(memory)}  ${formatDuration(remaining)} left`,
    );
    const window = this.#window;
    window.steps += 1;
    window.total += step.totalLoss;
    for (const [name, value] of Object.entries(step.losses))
      window.losses.set(name, (window.losses.get(name) ?? 0) + value);
    if (this.#recent.length === MEASURED_STEPS) this.#noteLength(step, seconds / MEASURED_STEPS);
    if (step.iteration % this.#start!.schedule.logEvery !== 0 && step.iteration !== iterations) return;
    this.#window = emptyWindow();
    const record = {
      loss: window.total / window.steps,
      ...Object.fromEntries([...window.losses].map(([name, sum]) => [name, sum / window.steps])),
      lr: step.learningRate,
      images_per_second: imagesPerSecond,
      data_share: dataShare,
      memory_bytes: memory,
      ...(this.#start!.processes === 1 ? {} : { exchange_share: exchangeShare }),
      ...(step.gradientNorm === undefined ? {} : { gradient_norm: step.gradientNorm }),
    };
    this.#metrics?.write({ iteration: step.iteration, ...record });
    this.#events?.scalars(step.iteration, prefixed('train', record));
  }

  /** What a time comes to, once. */
  #noteLength({ iterations, images }: StepRecord, secondsPerStep: number): void {
    const { schedule, trainImages } = this.#start!;
    if (schedule.minutes === undefined || this.#toldLength) return;
    this.#toldLength = true;
    const epochs = ((iterations * images) / trainImages).toPrecision(2);
    this.#line.note(
      `${schedule.minutes} minutes are about ${iterations} iterations (${Number(epochs)} epochs) of ${secondsPerStep.toFixed(2)} s, evaluations included`,
    );
  }

  onEvaluationProgress(done: number, total: number, seconds: number): void {
    const left = formatDuration((seconds / done) * (total - done));
    this.#line.update(`evaluating ${done}/${total}  ${(done / seconds).toFixed(1)} images/s  ${left} left`);
  }

  onEvaluation(iteration: number, { figures: groups, table, choosing }: DetectorMeasures, seconds: number): void {
    this.#figure = choosing;
    this.#best = Math.max(choosing, this.#best ?? choosing);
    const figures = Object.fromEntries(
      Object.entries(groups).flatMap(([group, stats]) =>
        Object.entries(stats).map(([name, value]) => [`${group}/${name}`, value] as const),
      ),
    );
    this.#metrics?.write({ iteration, ...figures, [EVALUATION_SECONDS]: seconds });
    this.#events?.scalars(iteration, prefixed('val', figures));
    this.#line.note(`iteration ${iteration}, evaluated in ${formatDuration(seconds)}:\n${table}`);
  }

  onWarning(message: string): void {
    this.#line.note(`warning: ${message}`);
  }

  onCheckpoint(path: string, iteration: number): void {
    this.#line.note(`iteration ${iteration}: wrote ${path}`);
  }

  onEnd({ reason, best, iteration }: TrainEnd): void {
    if (reason !== 'patience' || best === undefined) return;
    const when = best.iteration === undefined ? '' : ` (iteration ${best.iteration})`;
    this.#line.note(
      `iteration ${iteration}: the last ${best.since} evaluations brought no better ${this.#figureName()} than ${best.value.toFixed(3)}${when}: the training ends here, as train.patience says; best.safetensors has the weights of then`,
    );
  }

  #figureName(): string {
    return detectorKind(this.#start!.config.model).gives === 'proposals' ? 'AR@1000' : 'AP';
  }

  /** Once it is known, with the best one beside it where that is another. */
  #bestShown(): string {
    const best = this.#best?.toFixed(3);
    const now = this.#figure?.toFixed(3);
    if (best === undefined) return '';
    const shown = now === undefined ? `best ${best}` : now === best ? now : `${now} (best ${best})`;
    return `${this.#figureName()} ${shown}  `;
  }

  close(): void {
    this.#line.done();
    this.#metrics?.close();
    this.#events?.close();
  }
}

/** Whether a line of an earlier start stands: up to the step that was resumed after, without an evaluation that is due again. */
function isBefore({ iteration, evaluationDue }: TrainStart, record: MetricsRecord): boolean {
  if (record.iteration === iteration && evaluationDue) return !(EVALUATION_SECONDS in record);
  return record.iteration <= iteration;
}

function emptyWindow() {
  return { steps: 0, total: 0, losses: new Map<string, number>() };
}

function sum(records: readonly StepRecord[], of: (record: StepRecord) => number): number {
  return records.reduce((total, record) => total + of(record), 0);
}

function millions(count: number): string {
  return `${(count / 1e6).toFixed(2)} M`;
}

function prefixed(group: string, values: Readonly<Record<string, number | undefined>>): Record<string, number> {
  return Object.fromEntries(
    Object.entries(values).flatMap(([name, value]) => (value === undefined ? [] : [[`${group}/${name}`, value]])),
  );
}
