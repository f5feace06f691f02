// The model part of a config: one of the kinds of detectors.
import { z } from 'zod';
import { rcnnSchemas } from './rcnn-schema.js';
import { retinanetSchema } from './retinanet-schema.js';
import { soloSchemas } from './solo-schema.js';
import { sparseRcnnSchema } from './sparse-rcnn-schema.js';

export const modelSchema = z.discriminatedUnion('type', [
  ...rcnnSchemas,
  retinanetSchema,
  ...soloSchemas,
  sparseRcnnSchema,
]);

export type ModelConfig = z.output<typeof modelSchema>;
