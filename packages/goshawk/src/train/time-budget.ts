// A training that has minutes instead of iterations: how far it is, and how many steps still fit into what is left of them.

/** What a checkpoint keeps of it. */
export interface BudgetState {
  /** Those that the training had then. */
  readonly minutes: number;
  /** Seconds used, of all starts together. */
  readonly seconds: number;
  /** Share of the schedule that is behind, 0..1. */
  readonly share: number;
}

export interface TimeBudgetOptions {
  readonly minutes: number;
  /** {@link now} when the training began: reading the data counts. */
  readonly started: number;
  /** Of an earlier start. */
  readonly state?: BudgetState | undefined;
  /** Pictures of an evaluation; 0: there is none. */
  readonly evaluated: number;
  /** Steps from one evaluation to the next; 0: at the end only. */
  readonly evaluateEvery: number;
  /** Bytes of what is written at the end. */
  readonly bytes: number;
  /** Milliseconds; default performance.now. */
  readonly now?: () => number;
}

/** Steps whose mean time is taken for the next ones'. */
const WINDOW = 50;

/** Kept free, for what nobody measures: at least so many seconds, or this share of the whole. */
const SPARE_SECONDS = 2;
const SPARE_SHARE = 0.02;

/** Until a checkpoint was timed: less than a laptop's disk takes in a second. */
const BYTES_PER_SECOND = 2e8;

/** Evaluations before the last one get at most this share of the time. */
const EVALUATIONS_SHARE = 1 / 3;

/**
 * The schedule is a share from 0 to 1, which every step moves on by its part of what is left: where steps become slower or faster
 * than measured, the following parts are larger or smaller, and the end comes when the time does. It never goes back.
 */
export class TimeBudget {
  readonly #options: TimeBudgetOptions;
  readonly #now: () => number;
  readonly #before: number;
  #share: number;
  #steps: { readonly seconds: number; readonly images: number }[] = [];
  #stepsLeft = Number.POSITIVE_INFINITY;
  /** Of the last evaluation and the last checkpoint, seconds. */
  #evaluationSeconds: number | undefined;
  #writingSeconds: number | undefined;
  #evaluationsSum = 0;

  constructor(options: TimeBudgetOptions) {
    this.#options = options;
    this.#now = options.now ?? (() => performance.now());
    const { state, minutes } = options;
    this.#before = state?.seconds ?? 0;
    // More minutes than then: the same steps are a smaller share of the whole.
    this.#share = state === undefined ? 0 : Math.min(1, (state.share * state.minutes) / minutes);
  }

  /** Share of the schedule that is behind, 0..1. */
  get share(): number {
    return this.#share;
  }

  /** Whole steps that still fit, as measured so far. */
  get stepsLeft(): number {
    return this.#share >= 1 ? 0 : Math.max(1, Math.floor(this.#stepsLeft));
  }

  get state(): BudgetState {
    return { minutes: this.#options.minutes, seconds: this.#seconds(), share: this.#share };
  }

  /**
   * After a step. @param atMost steps that may follow, whatever time there is
   */
  step({
    seconds,
    images,
    atMost,
  }: {
    readonly seconds: number;
    readonly images: number;
    readonly atMost: number;
  }): void {
    this.#steps = [...this.#steps.slice(1 - WINDOW), { seconds, images }];
    const inBetween = this.#options.evaluateEvery > 0 ? this.#evaluation() / this.#options.evaluateEvery : 0;
    const stepSeconds = mean(this.#steps.map((step) => step.seconds));
    // Evaluations in between are put off where they take more than their share.
    const each = stepSeconds + Math.min(inBetween, (stepSeconds * EVALUATIONS_SHARE) / (1 - EVALUATIONS_SHARE));
    this.#stepsLeft = Math.min(atMost, Math.max(0, this.#secondsLeft() / each));
    this.#share = this.#stepsLeft < 1 ? 1 : this.#share + (1 - this.#share) / (1 + this.#stepsLeft);
  }

  /** Takes over what another process, whose clock counts, has come to. */
  follow({ share, stepsLeft }: { readonly share: number; readonly stepsLeft: number }): void {
    this.#share = share;
    this.#stepsLeft = stepsLeft;
  }

  /** How long the first evaluation will take, by a trial. */
  expectEvaluation(seconds: number): void {
    this.#evaluationSeconds ??= seconds;
  }

  get knowsEvaluation(): boolean {
    return this.#options.evaluated === 0 || this.#evaluationSeconds !== undefined;
  }

  evaluated(seconds: number): void {
    this.#evaluationSeconds = seconds;
    this.#evaluationsSum += seconds;
  }

  wrote(seconds: number): void {
    this.#writingSeconds = seconds;
  }

  /** Whether there is time for an evaluation that is not the last one. */
  affordsEvaluation(): boolean {
    const seconds = this.#evaluation();
    return (
      this.#evaluationsSum + seconds <= EVALUATIONS_SHARE * (this.#seconds() + seconds) && this.#secondsLeft() > seconds
    );
  }

  #seconds(): number {
    return this.#before + (this.#now() - this.#options.started) / 1000;
  }

  /** For steps and evaluations in between. */
  #secondsLeft(): number {
    const { minutes, bytes } = this.#options;
    const all = minutes * 60;
    const spare = Math.min(all / 4, Math.max(SPARE_SECONDS, all * SPARE_SHARE));
    const writing = this.#writingSeconds === undefined ? bytes / BYTES_PER_SECOND : 2 * this.#writingSeconds;
    return all - spare - this.#seconds() - this.#evaluation() - writing;
  }

  /** Seconds of an evaluation; until one was tried, a picture is taken to cost what it costs in training. */
  #evaluation(): number {
    if (this.#options.evaluated === 0) return 0;
    const steps = this.#steps;
    const perImage = sum(steps.map(({ seconds }) => seconds)) / Math.max(1, sum(steps.map(({ images }) => images)));
    return this.#evaluationSeconds ?? perImage * this.#options.evaluated;
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}

function mean(values: readonly number[]): number {
  return sum(values) / values.length;
}
