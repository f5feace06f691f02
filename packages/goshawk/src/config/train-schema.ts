// How a model is trained, and on what it runs.
import { z } from 'zod';
import { type Epochs, epsilon, factor, iterationsOrEpochs, minutes, nameText } from './bounds.js';

/** Factor of a weight that is taken away; published trainings have up to 0.1. */
const decay = () => z.number().min(0).max(100);

/** Rules for kinds of parameters. */
const parameterKinds = {
  biasLrFactor: factor()
    .default(1)
    .describe("Learning rate of biases, as a multiple of lr; a norm's weight and bias are no biases. Caffe's is 2."),
  biasWeightDecay: decay().optional().describe("Biases' own decay; absent: weightDecay."),
  normWeightDecay: decay().optional().describe("The decay of norms' weights and biases; absent: weightDecay."),
  groups: z
    .array(
      z.strictObject({
        names: z.array(nameText()).min(1).max(1000).describe('Parts of names, such as .norm.'),
        lrFactor: factor().default(1).describe('Learning rate of these parameters, as a multiple of lr.'),
        weightDecay: decay().optional().describe('Their decay; absent: weightDecay.'),
      }),
    )
    .max(100)
    .default([])
    .describe(
      'Rules for parameters whose name (as goshawk weights show lists it) has one of these parts in it; the first that fits counts, in place of those for biases and norms.',
    ),
};

const sgdSchema = z.strictObject({
  type: z.literal('sgd').default('sgd').describe('Stochastic gradient descent.'),
  lr: factor().default(0.0025).describe('Learning rate after the warm-up; 0.02 for 16 images, in proportion.'),
  momentum: z.number().min(0).lt(1).default(0.9).describe('Share of the last step kept in the next.'),
  weightDecay: decay().default(1e-4).describe('Factor of the weights that is added to their gradient.'),
  nesterov: z.boolean().default(false).describe("Nesterov's form of the momentum."),
  ...parameterKinds,
});

const adamMoments = {
  betas: z
    .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
    .default([0.9, 0.999])
    .describe('Decay of the running means of the gradient and of its square.'),
  eps: epsilon().default(1e-8).describe('Added to the denominator.'),
};

const adamSchema = z.strictObject({
  type: z.literal('adam').describe('Adam whose weight decay is part of the gradient.'),
  lr: factor().default(1e-4).describe('Learning rate after the warm-up.'),
  ...adamMoments,
  weightDecay: decay().default(1e-4).describe('Factor of the weights that is added to their gradient.'),
  ...parameterKinds,
});

const adamwSchema = z.strictObject({
  type: z.literal('adamw').describe('Adam with decoupled weight decay.'),
  lr: factor().default(1e-4).describe('Learning rate after the warm-up.'),
  ...adamMoments,
  weightDecay: decay().default(1e-4).describe('Share of the weights that a step of learning rate 1 takes away.'),
  ...parameterKinds,
});

/** Iterations and epochs are compared where the number of pictures is known. */
function rise(steps: readonly (number | Epochs)[]): boolean {
  return steps.every((step, index) => {
    const before = steps[index - 1];
    if (before === undefined || typeof before !== typeof step) return true;
    return Number.parseFloat(String(step)) > Number.parseFloat(String(before));
  });
}

const scheduleSchema = z
  .strictObject({
    warmupIterations: iterationsOrEpochs(0)
      .default(1000)
      .describe('The learning rate rises over this many iterations.'),
    warmupFactor: z.number().positive().max(1).default(1e-3).describe('Share of the learning rate at iteration 0.'),
    warmup: z
      .enum(['linear', 'constant', 'exponential'])
      .default('linear')
      .describe(
        'linear rises evenly; exponential by the same factor each iteration; constant stays at warmupFactor until the warm-up ends.',
      ),
    decay: z
      .enum(['steps', 'cosine'])
      .default('steps')
      .describe(
        'How the learning rate falls: at steps, or along half a cosine over the whole training (SGDR, Loshchilov and Hutter 2017, without restarts).',
      ),
    finalFactor: z.number().min(0).max(1).default(0).describe('Share of the learning rate at which the cosine ends.'),
    steps: z
      .array(iterationsOrEpochs())
      .max(1000)
      .default([])
      .refine(rise, 'must rise: sort the steps')
      .describe('Iterations (or epochs, see stepUnit) after which the learning rate is multiplied by gamma.'),
    stepUnit: z
      .enum(['iteration', 'epoch'])
      .default('iteration')
      .describe('What steps without a unit are counted in; an epoch is as many iterations as show every picture once.'),
    stepsWaitForWarmup: z
      .boolean()
      .optional()
      .describe(
        'Whether steps that come during the warm-up have their effect only behind it (pytorch_solov2). Absent: no.',
      ),
    gamma: z.number().positive().max(1).default(0.1).describe('The factor of a step.'),
    factors: z
      .array(z.number().positive().max(1000))
      .max(1000)
      .optional()
      .describe(
        'From each step on, what the learning rate is multiplied by instead of powers of gamma: 0.5, 0.01 halve it, then leave a hundredth.',
      ),
  })
  .refine(({ decay, steps }) => decay === 'steps' || steps.length === 0, {
    path: ['steps'],
    message: 'a cosine has no steps: remove them, or set decay to steps',
  })
  .refine(({ steps, factors }) => factors === undefined || factors.length === steps.length, {
    path: ['factors'],
    message: 'has another length than train.schedule.steps: give one factor a step',
  })
  .prefault({});

export const trainSchema = z
  .strictObject({
    iterations: iterationsOrEpochs().default(10000).describe('Number of optimizer steps.'),
    epochs: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe('Instead of iterations: how often every picture is shown; absent: iterations counts.'),
    minutes: minutes()
      .optional()
      .describe(
        'Instead of iterations: how long the training may take, last evaluation included; the schedule is stretched or shrunk to what steps are measured to take. Beside epochs: whichever ends first. Absent: as long as the steps take.',
      ),
    batchSize: z
      .union([z.int().min(1).max(4096), z.literal('auto')])
      .default(2)
      .describe(
        'Images of one forward and backward pass, of all processes together (see batchSizeOf); auto: as many as fit into the memory that is free, a power of two up to 16 on the CPU and 64 on a card, by a few steps at the start; a run that is resumed keeps what it began with.',
      ),
    batchSizeOf: z
      .enum(['run', 'process'])
      .default('run')
      .describe(
        "What batchSize counts the images of: the whole run, whose processes share them, so that their number changes nothing; or each process, as mmdetection's imgs_per_gpu.",
      ),
    accumulate: z.int().min(1).max(4096).default(1).describe('Passes whose gradients make one step.'),
    gradients: z
      .enum(['mean', 'sum'])
      .default('mean')
      .describe("What one step takes of its passes' gradients: their mean, or their sum as Detectron.pytorch does."),
    referenceBatchSize: z
      .int()
      .min(1)
      .max(65536)
      .optional()
      .describe(
        'Images for which lr, iterations and schedule are given: lr is scaled by the images of a step, all processes together, / this (gradients: sum: by those of a pass / this), iterations and steps by this / the images of a step; absent: all as given.',
      ),
    scaleSchedule: z
      .boolean()
      .default(true)
      .describe('Whether referenceBatchSize scales iterations and schedule.steps; false: lr alone.'),
    scaleWarmup: z.boolean().default(false).describe('Whether referenceBatchSize scales schedule.warmupIterations.'),
    seed: z
      .int()
      .min(0)
      .max(0xffffffff)
      .default(0)
      .describe('Seed of everything drawn: weights, order, flips, samples.'),
    precision: z
      .enum(['fp32', 'bf16', 'fp16', 'fp64'])
      .default('fp32')
      .describe(
        'Arithmetic of the network; with bf16 and fp16 the weights and the losses stay in float32. fp16 scales the loss and leaves out steps whose gradients overflow; it is for GPUs, on the CPU it needs libtorch 2.4 and is slow. Processors without instructions for bfloat16 or float16 multiply in float32 and round each sum once, which is slower than fp32. fp64 is the network, its weights and losses in float64, while boxes that are proposed and aimed at stay in float32: slow, and what tells a rounding from a fault.',
      ),
    optimizer: z.discriminatedUnion('type', [sgdSchema, adamSchema, adamwSchema]).prefault({}),
    schedule: scheduleSchema,
    ema: z
      .strictObject({
        decay: z.number().min(0).lt(1).default(0.9999).describe('Share of the average that a step leaves, in the end.'),
        rampUp: z
          .number()
          .min(0)
          .max(1e7)
          .default(2000)
          .describe(
            'Steps over which that share grows: decay * (1 - exp(-steps / rampUp)); 0: it is decay from the first step on.',
          ),
      })
      .optional()
      .describe(
        'Keep an exponential moving average of the weights: it is what is evaluated and written as best and final weights; checkpoints hold both. Absent: none.',
      ),
    momentumCorrection: z
      .boolean()
      .default(false)
      .describe(
        "Scale SGD's momentum with the learning rate where that changes by more than a tenth, as Detectron does; for slow warm-ups.",
      ),
    clipGradNorm: z
      .number()
      .positive()
      .max(1e6)
      .optional()
      .describe('Gradients are scaled down to this norm; absent: never.'),
    intervalUnit: z
      .enum(['iteration', 'epoch'])
      .default('iteration')
      .describe('What evaluateEvery and checkpointEvery are counted in where they have no unit.'),
    evaluateEvery: iterationsOrEpochs(0)
      .default(0)
      .describe('Evaluate on data.val every so many iterations (or epochs, see intervalUnit); 0: at the end only.'),
    patience: z
      .int()
      .min(1)
      .max(100_000)
      .optional()
      .describe(
        'End the training after so many evaluations in a row without a better figure than the best one (AP, or AR@1000 of proposals); best.safetensors has its weights. Absent: never.',
      ),
    checkpointEvery: iterationsOrEpochs()
      .default(1000)
      .describe('Write a checkpoint every so many iterations (or epochs, see intervalUnit), and at the end.'),
    checkpointMinutes: minutes()
      .optional()
      .describe('Write one too where the last is so many minutes old; absent: checkpointEvery alone counts.'),
    keepCheckpoints: z.int().min(1).max(1_000_000).default(2).describe('How many of the newest checkpoints are kept.'),
    logEvery: iterationsOrEpochs().default(20).describe('Write and show the metrics every so many iterations.'),
  })
  .prefault({});

export const runtimeSchema = z
  .strictObject({
    device: z
      .string()
      .regex(/^(cpu|cuda(:\d{1,3})?)$/)
      .default('cpu')
      .describe('cpu, cuda or cuda:N.'),
    threads: z.int().min(0).max(1024).default(0).describe('Threads of the engine; 0: as many as there are processors.'),
    deterministic: z
      .boolean()
      .default(false)
      .describe(
        'On a card only kernels whose results are the same in every run, which are slower; an operator that has none ends the run with its name. On the CPU every run is so anyway.',
      ),
    exact: z
      .boolean()
      .default(false)
      .describe(
        "Computes every convolution by the engine's own and the norm behind it as a step of its own. Else 3x3 convolutions in float32 on the CPU take a quarter of the products (Winograd's F(4x4, 3x3)), whose results differ by some 1e-5 of the largest value, and norms that do not learn are folded into weights. Slower.",
      ),
    tf32: z
      .enum(['convolutions', 'all', 'none'])
      .default('convolutions')
      .describe(
        "What a card computes in TF32 where precision is fp32: convolutions (PyTorch's default), matrix products too, or nothing. No effect on the CPU.",
      ),
    autotune: z
      .enum(['auto', 'on', 'off'])
      .default('auto')
      .describe(
        'Whether a card measures its convolutions at each new size and takes the fastest; auto: in trainings of 1000 iterations or more, in which sizes come again. Off with deterministic. No effect on the CPU.',
      ),
  })
  .prefault({});

export type TrainConfig = z.output<typeof trainSchema>;
export type Precision = TrainConfig['precision'];
export type OptimizerConfig = TrainConfig['optimizer'];
export type ScheduleConfig = TrainConfig['schedule'];
export type EmaConfig = NonNullable<TrainConfig['ema']>;
export type RuntimeConfig = z.output<typeof runtimeSchema>;
