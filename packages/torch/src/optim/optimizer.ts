// What all optimizers share: groups of parameters with rates of their own, and a state that a checkpoint can hold.
import { Buffer, Parameter, type StateSource } from '../nn/parameter.js';
import { noGrad } from '../tensor/autograd.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import type { Tensor } from '../tensor/tensor.js';

/** A parameter, or [name, parameter] as Module.namedParameters() gives them: names make the saved state readable and stable. */
export type NamedOrPlain = Parameter | readonly [string, Parameter];

/** Parameters with options of their own; those left out are the optimizer's. */
export type ParameterGroup<Options> = Partial<Options> & {
  readonly params: Iterable<NamedOrPlain>;
  /** What setLearningRate() multiplies for this group. Default: this group's lr over the optimizer's. */
  readonly lrMultiplier?: number;
};

export type Params<Options> = Iterable<NamedOrPlain> | readonly ParameterGroup<Options>[];

/** Everything an optimizer needs to go on bit for bit: tensors by name for a safetensors file, numbers beside them. */
export interface OptimizerState {
  readonly tensors: Map<string, Tensor>;
  readonly scalars: Record<string, number>;
}

/** A group as the optimizer keeps it; its options may be changed between steps. */
export type Group<Options> = Options & { readonly entries: readonly Entry[]; readonly lrMultiplier: number };

/** A parameter with what the optimizer remembers of it. */
export interface Entry {
  readonly name: string;
  readonly parameter: Parameter;
  readonly tensors: Map<string, Buffer>;
  /** Steps this parameter took part in, while `count` is absent. */
  steps: number;
  /** The same as a float32 scalar on the parameter's device, where a step may be skipped without the host knowing. */
  count?: Buffer;
}

/**
 * Whose operators step: our own, which are for the CPU, or the engine's fused or `_foreach_` ones. Default: the engine's where
 * the parameters are on another device.
 */
export type StepOperators = 'own' | 'engine';

export interface StepOptions {
  /**
   * A scalar: where it is not 0 the step is left out, as if it had not been called. On another device than the CPU nothing waits
   * for it where the engine has a fused operator for this optimizer.
   */
  readonly skipIf?: Tensor;
}

/** The parameters of a group that have a gradient, in lists of one order, as the operators take them. */
export interface Stepping {
  readonly entries: readonly Entry[];
  readonly parameters: readonly Parameter[];
  readonly gradients: readonly Tensor[];
  /** Present where the engine's operators are to step; the counts of steps where they are on the device. */
  readonly engine?: { readonly counts: readonly Tensor[]; readonly skipIf: Tensor | undefined };
}

export abstract class Optimizer<Options extends { lr: number }> {
  readonly groups: readonly Group<Options>[];
  readonly #operators: StepOperators | undefined;

  protected constructor(params: Params<Options>, defaults: Options, operators?: StepOperators) {
    this.#operators = operators;
    const names = new Set<string>();
    const seen = new Set<Parameter>();
    const groups = [...(isGroups(params) ? params : [{ params } as ParameterGroup<Options>])];
    this.groups = groups.map((group) => {
      const { params: listed, lrMultiplier, ...options } = group;
      const entries = Array.from(listed, (item) => {
        const [name, parameter] = item instanceof Parameter ? [`param_${seen.size}`, item] : item;
        if (names.has(name) || seen.has(parameter))
          throw new Error(`optimizer: ${name} is in the groups twice: list each parameter once`);
        names.add(name);
        seen.add(parameter);
        return { name, parameter, tensors: new Map<string, Buffer>(), steps: 0 };
      });
      const merged = { ...defaults, ...(options as unknown as Partial<Options>) };
      return { ...merged, entries, lrMultiplier: lrMultiplier ?? (defaults.lr === 0 ? 1 : merged.lr / defaults.lr) };
    });
    if (seen.size === 0) throw new Error('optimizer: there are no parameters: pass module.namedParameters()');
  }

  /** Changes every parameter that has a gradient by one step. */
  step({ skipIf }: StepOptions = {}): void {
    noGrad(() => {
      const byEngine = (this.#operators ?? (this.#isOnCpu() ? 'own' : 'engine')) === 'engine';
      const waits = skipIf !== undefined && !(byEngine && this.skipsOnDevice());
      if (waits && skipIf.item() !== 0) return;
      for (const group of this.groups) {
        const moving = group.entries.flatMap((entry) => {
          const gradient = entry.parameter.grad;
          return gradient ? [{ entry, gradient }] : [];
        });
        if (moving.length === 0) continue;
        const entries = moving.map(({ entry }) => entry);
        const lists = {
          entries,
          parameters: entries.map(({ parameter }) => parameter),
          gradients: moving.map(({ gradient }) => gradient),
        };
        const left = waits ? undefined : skipIf;
        let counts: readonly Tensor[] = [];
        if (byEngine && (left !== undefined || this.countsOnDevice())) {
          counts = counted(entries, left);
        } else {
          settleCounts(entries);
          for (const entry of entries) entry.steps++;
        }
        this.update(byEngine ? { ...lists, engine: { counts, skipIf: left } } : lists, group);
      }
    });
  }

  #isOnCpu(): boolean {
    return this.groups.every(({ entries }) => (entries[0]?.parameter.device ?? 'cpu') === 'cpu');
  }

  /** Whether the engine's operator of this optimizer reads the counts of steps. */
  protected countsOnDevice(): boolean {
    return false;
  }

  /** Whether the engine's operator of this optimizer can leave a step out without the host. */
  protected skipsOnDevice(): boolean {
    return true;
  }

  /** One step of parameters of one group, in place; nothing is recorded and the tensors made are freed afterwards. */
  protected abstract update(stepping: Stepping, options: Options): void;

  /** The parameters of all groups. */
  parameters(): Parameter[] {
    return this.groups.flatMap((group) => group.entries.map((entry) => entry.parameter));
  }

  /** Drops the gradients. */
  zeroGrad(): void {
    for (const { entries } of this.groups) for (const { parameter } of entries) parameter.grad = undefined;
  }

  /** Sets each group's rate to `lr` times its multiplier. */
  setLearningRate(lr: number): void {
    for (const group of this.groups) (group as { lr: number }).lr = lr * group.lrMultiplier;
  }

  /** The tensors themselves (no copies), named `<parameter>.<what>`, and the counts and rates. */
  stateDict(): OptimizerState {
    const tensors = new Map<string, Tensor>();
    const scalars: Record<string, number> = {};
    settleCounts(this.groups.flatMap(({ entries }) => entries));
    for (const [i, group] of this.groups.entries()) {
      scalars[`group_${i}.lr`] = group.lr;
      for (const { name, tensors: own, steps } of group.entries) {
        if (steps > 0) scalars[`${name}.steps`] = steps;
        for (const [what, tensor] of own) tensors.set(`${name}.${what}`, tensor);
      }
    }
    return { tensors, scalars };
  }

  /**
   * Goes on from a saved state, copying its tensors.
   * @throws Error naming what does not belong to this optimizer, or whose shape differs; nothing is changed then
   */
  loadStateDict(state: {
    readonly tensors: ReadonlyMap<string, StateSource>;
    readonly scalars: Readonly<Record<string, number>>;
  }): void {
    const entries = new Map(this.groups.flatMap((group) => group.entries.map((entry) => [entry.name, entry] as const)));
    const restored: { entry: Entry; what: string; value: StateSource }[] = [];
    for (const [name, value] of state.tensors) {
      const dot = name.lastIndexOf('.');
      const entry = entries.get(name.slice(0, dot));
      const what = name.slice(dot + 1);
      if (!entry || !this.stateNames().includes(what))
        throw new Error(
          `optimizer state: ${name} belongs to no parameter here: was it saved by another optimizer or model?`,
        );
      const { shape } = entry.parameter;
      if (value.shape.join() !== shape.join())
        throw new Error(`optimizer state: ${name} is [${value.shape.join(', ')}], the parameter [${shape.join(', ')}]`);
      restored.push({ entry, what, value });
    }
    for (const name of Object.keys(state.scalars)) {
      const owner = /^(.+)\.(steps|lr)$/.exec(name)?.[1] ?? name;
      if (!entries.has(owner) && !this.groups.some((_, i) => owner === `group_${i}`))
        throw new Error(
          `optimizer state: ${name} belongs to nothing here: was it saved by another optimizer or model?`,
        );
    }
    for (const entry of entries.values()) {
      entry.steps = state.scalars[`${entry.name}.steps`] ?? 0;
      dropCount(entry);
      for (const tensor of entry.tensors.values()) tensor.dispose();
      entry.tensors.clear();
    }
    for (const { entry, what, value } of restored) this.slot(entry, what).assign(value);
    for (const [i, group] of this.groups.entries()) {
      const lr = state.scalars[`group_${i}.lr`];
      if (lr !== undefined) (group as { lr: number }).lr = lr;
    }
  }

  /** Names of the tensors that update() may keep per parameter. */
  protected abstract stateNames(): readonly string[];

  /** The tensor `what` of a parameter, zeros of its shape and memory format when there is none yet. */
  protected slot(entry: Entry, what: string): Buffer {
    let tensor = entry.tensors.get(what);
    if (!tensor) {
      tensor = noGrad(() => new Buffer(callTensorOp('aten::zeros_like', entry.parameter)));
      entry.tensors.set(what, tensor);
    }
    return tensor;
  }
}

/** The steps of the entries on their device, this one counted unless `skipIf`. */
function counted(entries: readonly Entry[], skipIf: Tensor | undefined): readonly Tensor[] {
  const counts = entries.map((entry) => {
    entry.count ??= new Buffer(
      callTensorOp('aten::full', [], entry.steps, 'float32', undefined, entry.parameter.device),
    );
    return entry.count;
  });
  if (skipIf === undefined) {
    callOp('aten::_foreach_add_.Scalar', counts, 1);
  } else {
    const taken = callTensorOp('aten::rsub.Scalar', skipIf, 1);
    callOp(
      'aten::_foreach_add_.List',
      counts,
      counts.map(() => taken),
    );
  }
  return counts;
}

/** Takes the counts of steps to the host, all in one read. */
function settleCounts(entries: readonly Entry[]): void {
  const counting = entries.flatMap((entry) => (entry.count === undefined ? [] : [{ entry, count: entry.count }]));
  if (counting.length === 0) return;
  noGrad(() => {
    const counts = counting.map(({ count }) => count);
    const steps = callTensorOp('aten::stack', counts).toNumbers();
    for (const [i, { entry }] of counting.entries()) {
      entry.steps = steps[i]!;
      dropCount(entry);
    }
  });
}

function dropCount(entry: Entry): void {
  entry.count?.dispose();
  entry.count = undefined;
}

function isGroups<Options>(params: Params<Options>): params is readonly ParameterGroup<Options>[] {
  if (!Array.isArray(params)) return false;
  const first: unknown = params[0];
  return typeof first === 'object' && first !== null && 'params' in first;
}
