// The whole config: one value describes a model, its data, its training and where it runs.
import { z } from 'zod';
import { dataSchema, type PreprocessConfig, preprocessSchema } from './data-schema.js';
import { inferenceSchema } from './inference-schema.js';
import { modelSchema } from './model/model-schema.js';
import { runtimeSchema, trainSchema } from './train-schema.js';

export const runConfigSchema = z.strictObject({
  model: modelSchema,
  preprocess: preprocessSchema,
  data: dataSchema,
  train: trainSchema,
  inference: inferenceSchema,
  runtime: runtimeSchema,
});

/** A complete config: every default is filled in. */
export type RunConfig = Omit<z.output<typeof runConfigSchema>, 'preprocess'> & { preprocess: PreprocessConfig };
