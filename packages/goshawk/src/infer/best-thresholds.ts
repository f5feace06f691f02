// The scores from which detections are kept where F1 is to be highest, as they stand in metrics.json and in the weights that a
// training kept as its best.
import { z } from 'zod';

export interface BestThresholds {
  /** IoU from which a detection was right. */
  readonly iouThreshold: number;
  /** null where nothing was found. */
  readonly overall: { readonly score: number } | null;
  /** Without a score where nothing of the category was found. */
  readonly perCategory: readonly { readonly name: string; readonly score?: number | undefined }[];
}

const score = () => z.number().min(0).max(1);

export const thresholdsSchema: z.ZodType<BestThresholds> = z.looseObject({
  iouThreshold: z.number(),
  overall: z.looseObject({ score: score() }).nullable(),
  perCategory: z.array(z.looseObject({ name: z.string(), score: score().optional() })),
});
