// The whole config: one value describes a model, its data, its training and where it runs.
import { z } from 'zod';
import { dataSchema, type PreprocessConfig, preprocessSchema } from './data-schema.js';
import { inferenceSchema } from './inference-schema.js';
import { modelSchema } from './model/model-schema.js';
import { runtimeSchema, trainSchema } from './train-schema.js';

const runConfigShape = z.strictObject({
  model: modelSchema,
  preprocess: preprocessSchema,
  data: dataSchema,
  train: trainSchema,
  inference: inferenceSchema,
  runtime: runtimeSchema,
});

export const runConfigSchema = runConfigShape.superRefine(checkLetterbox);

/** A complete config: every default is filled in. */
export type RunConfig = Omit<z.output<typeof runConfigSchema>, 'preprocess'> & { preprocess: PreprocessConfig };

/** A config as a program writes it: what is left out is filled in. */
export type RunConfigInput = z.input<typeof runConfigSchema>;

/** A picture in the middle of a frame: some rules measure in the picture's own pixels, or cut windows out of it. */
function checkLetterbox(
  {
    model,
    preprocess: { resize },
    data,
    inference,
  }: Pick<z.output<typeof runConfigShape>, 'model' | 'preprocess' | 'data' | 'inference'>,
  context: z.RefinementCtx,
): void {
  if (resize.rule !== 'letterbox') return;
  const issue = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
  if ('conventions' in model && model.conventions !== 'torchvision')
    issue(
      ['preprocess', 'resize', 'rule'],
      `letterbox does not go with model.conventions ${model.conventions}: take another`,
    );
  if (model.type === 'solov2' || model.type === 'decoupled_solo')
    issue(
      ['preprocess', 'resize', 'rule'],
      'letterbox does not go with SOLO, whose masks are of whole pictures: take another',
    );
  if (data.aspectCropping !== undefined)
    issue(['data', 'aspectCropping'], 'preprocess.resize.rule letterbox shows all of a picture: remove one of them');
  for (const [part, { enabled }] of Object.entries(inference.augment))
    if (enabled)
      issue(['inference', 'augment', part, 'enabled'], 'does not go with preprocess.resize.rule letterbox: remove it');
}
