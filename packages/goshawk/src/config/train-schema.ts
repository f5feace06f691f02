// How a model is trained, and on what it runs.
import { z } from 'zod';

const sgdSchema = z.strictObject({
  type: z.literal('sgd').default('sgd').describe('Stochastic gradient descent.'),
  lr: z
    .number()
    .positive()
    .default(0.0025)
    .describe('Learning rate after the warm-up; 0.02 for 16 images, in proportion.'),
  momentum: z.number().min(0).lt(1).default(0.9).describe('Share of the last step kept in the next.'),
  weightDecay: z.number().min(0).default(1e-4).describe('Factor of the weights that is added to their gradient.'),
  nesterov: z.boolean().default(false).describe("Nesterov's form of the momentum."),
});

const adamwSchema = z.strictObject({
  type: z.literal('adamw').describe('Adam with decoupled weight decay.'),
  lr: z.number().positive().default(1e-4).describe('Learning rate after the warm-up.'),
  betas: z
    .tuple([z.number().min(0).lt(1), z.number().min(0).lt(1)])
    .default([0.9, 0.999])
    .describe('Decay of the running means of the gradient and of its square.'),
  eps: z.number().positive().default(1e-8).describe('Added to the denominator.'),
  weightDecay: z
    .number()
    .min(0)
    .default(1e-4)
    .describe('Share of the weights that a step of learning rate 1 takes away.'),
});

const scheduleSchema = z
  .strictObject({
    warmupIterations: z.int().min(0).default(1000).describe('The learning rate rises over this many iterations.'),
    warmupFactor: z.number().positive().max(1).default(1e-3).describe('Share of the learning rate at iteration 0.'),
    warmup: z
      .enum(['linear', 'constant'])
      .default('linear')
      .describe('linear rises evenly; constant stays at warmupFactor until the warm-up ends.'),
    steps: z
      .array(z.int().min(1))
      .default([])
      .refine((steps) => steps.every((step, i) => i === 0 || step > steps[i - 1]!), 'must rise: sort the iterations')
      .describe('Iterations from which on the learning rate is multiplied by gamma, once for each.'),
    gamma: z.number().positive().max(1).default(0.1).describe('The factor of a step.'),
  })
  .prefault({});

export const trainSchema = z
  .strictObject({
    iterations: z.int().min(1).default(10000).describe('Number of optimizer steps.'),
    batchSize: z.int().min(1).max(4096).default(2).describe('Images of one forward and backward pass.'),
    accumulate: z.int().min(1).max(4096).default(1).describe('Passes whose gradients one step averages.'),
    seed: z
      .int()
      .min(0)
      .max(0xffffffff)
      .default(0)
      .describe('Seed of everything drawn: weights, order, flips, samples.'),
    precision: z
      .enum(['fp32', 'bf16'])
      .default('fp32')
      .describe('Arithmetic of the network; with bf16 the weights and the losses stay in float32.'),
    optimizer: z.discriminatedUnion('type', [sgdSchema, adamwSchema]).prefault({}),
    schedule: scheduleSchema,
    clipGradNorm: z.number().positive().optional().describe('Gradients are scaled down to this norm; absent: never.'),
    evaluateEvery: z
      .int()
      .min(0)
      .default(0)
      .describe('Evaluate on data.val every so many iterations; 0: at the end only.'),
    checkpointEvery: z
      .int()
      .min(1)
      .default(1000)
      .describe('Write a checkpoint every so many iterations, and at the end.'),
    keepCheckpoints: z.int().min(1).default(2).describe('How many of the newest checkpoints are kept.'),
    logEvery: z.int().min(1).default(20).describe('Write and show the metrics every so many iterations.'),
  })
  .prefault({});

export const runtimeSchema = z
  .strictObject({
    device: z
      .string()
      .regex(/^(cpu|cuda(:\d+)?)$/)
      .default('cpu')
      .describe('cpu, cuda or cuda:N.'),
    threads: z.int().min(0).max(1024).default(0).describe('Threads of the engine; 0: as many as there are processors.'),
  })
  .prefault({});

export type TrainConfig = z.output<typeof trainSchema>;
export type OptimizerConfig = TrainConfig['optimizer'];
export type ScheduleConfig = TrainConfig['schedule'];
export type RuntimeConfig = z.output<typeof runtimeSchema>;
