// Files of fresh weights, for programs that need some and no peer to write them.
import { manualSeed, writeSafetensors } from '@goshawk/torch';
import { buildModel, parseConfig } from 'goshawk';

/** Writes those of a model for 90 classes. */
export function saveSafetensors(type: 'mask_rcnn' | 'retinanet', file: string): void {
  manualSeed(0);
  const config = parseConfig(`model: { type: ${type}, classes: 90 }`, { file: 'bench' });
  const model = buildModel(config.model, { classes: 90 });
  writeSafetensors(
    file,
    [...model.stateDict()].map(([name, tensor]) => ({
      name,
      dtype: tensor.dtype,
      shape: tensor.shape,
      data: () => tensor.toBytes(),
    })),
  );
}
