// Runs cases of kernel-cases.ts on a device and on the CPU, and says for each whether both agree:
//   node bench/dist/gpu/kernel-check.js DEVICE OPERATOR...
//   node bench/dist/gpu/kernel-check.js --list
// A line of JSON a case. An error of the card stays with the process: then it ends with exit code 3 and says at which
// operator, so that the others can be tried in another process.
import { grad, manualSeed, ones, randn, scope, setThreads, type Tensor } from '@goshawk/torch';
import { messageOf, say } from './child-lines.js';
import { type Comparison, compareTensors } from './compare-tensors.js';
import type { KernelCase } from './kernel-case.js';
import { KERNELS, type Kernel } from './kernel-cases.js';
import { Draw } from './kernel-draw.js';
import { CARD_FAILED_CODE, type KernelLine } from './kernel-line.js';

const [, , device = 'cpu', ...operators] = process.argv;
if (device === '--list') {
  for (const { operator } of KERNELS) say({ operator });
} else {
  setThreads(2);
  for (const kernel of KERNELS.filter(({ operator }) => operators.includes(operator))) check(kernel);
}

function check({ operator, cases }: Kernel): void {
  for (const [index, one] of cases.entries()) {
    let line: KernelLine;
    try {
      const { worst, problem } = scope(() => compareCase(one, index));
      line = {
        operator,
        name: one.name,
        worst: Number.isFinite(worst) ? worst : null,
        ...(problem !== undefined && { problem }),
      };
    } catch (error) {
      line = { operator, name: one.name, worst: null, problem: messageOf(error) };
    }
    say(line);
    if (line.problem !== undefined && !isAnswering()) process.exit(CARD_FAILED_CODE);
  }
}

function isAnswering(): boolean {
  try {
    return scope(() => ones([1], { device }).item()) === 1;
  } catch {
    return false;
  }
}

function compareCase(one: KernelCase, index: number): Comparison {
  const inputs = one.inputs(new Draw(index + 1));
  manualSeed(index + 1);
  const wanted = outcome(one, inputs, undefined);
  // The gradients that come in are those of the CPU's run.
  const got = outcome(
    one,
    inputs.map((input) => input.to({ device })),
    wanted.slopes?.to({ device }),
  );
  let worst = 0;
  for (const [name, value] of wanted.values) {
    const comparison = compareTensors(
      got.values.get(name)!,
      value,
      isFloating(value) ? toleranceOf(one, value) : undefined,
    );
    if (comparison.problem !== undefined) return { ...comparison, problem: `${name} ${comparison.problem}` };
    worst = Math.max(worst, comparison.worst);
  }
  return { worst };
}

function toleranceOf({ tolerance }: KernelCase, { dtype }: Tensor): number | undefined {
  return typeof tolerance === 'object' ? tolerance[dtype] : tolerance;
}

function isFloating({ dtype }: Tensor): boolean {
  return dtype.startsWith('float') || dtype === 'bfloat16';
}

interface Outcome {
  /** Results and gradients by what a person calls them. */
  readonly values: ReadonlyMap<string, Tensor>;
  readonly slopes?: Tensor;
}

function outcome(
  { compute, differentiate = [], anyGradientLayout }: KernelCase,
  inputs: readonly Tensor[],
  slopes: Tensor | undefined,
): Outcome {
  const leaves = inputs.map((input, index) => {
    const leaf = input.detach();
    if (differentiate.includes(index)) leaf.requiresGrad = true;
    return leaf;
  });
  const results = compute(...leaves);
  const values = new Map(results.map((result, index) => [`result ${index + 1}`, result.detach()]));
  const first = results[0]!;
  if (differentiate.length === 0) return { values };
  const incoming = slopes ?? randn(first.shape).to({ dtype: first.dtype }).mul(1);
  const shaped = first.shape.length === 4 && first.isContiguous('channels_last') && !first.isContiguous();
  const gradients = grad(
    [first],
    differentiate.map((index) => leaves[index]!),
    { gradients: [shaped ? incoming.to({ memoryFormat: 'channels_last' }) : incoming], allowUnused: true },
  );
  for (const [place, gradient] of gradients.entries())
    if (gradient)
      values.set(
        `gradient of input ${differentiate[place]! + 1}`,
        anyGradientLayout ? gradient.contiguous() : gradient,
      );
  return { values, slopes: incoming };
}
