// goshawk weights convert: the same weights in another file format, one tensor in memory at a time.
import { mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { InputError } from '@goshawk/core';
import { readStateDict, writePth, writeSafetensors } from '@goshawk/torch/checkpoint';
import { requireNotInput, requireWritableFile } from '../files/output-folder.js';
import { endTidilyOnSignals } from '../files/tidy-end.js';
import { formatBytes } from '../terminal/progress-line.js';

export function runWeightsConvert(file: string, output: string): void {
  const ending = path.extname(output).toLowerCase();
  if (ending !== '.safetensors' && ending !== '.pth') {
    throw new InputError(
      'usage',
      `${output}: unknown ending '${ending}' (expected .safetensors or .pth): rename the output`,
    );
  }
  requireWritableFile(output);
  const state = readStateDict(file);
  try {
    requireNotInput([output], [file]);
    endTidilyOnSignals();
    mkdirSync(path.dirname(output), { recursive: true });
    if (ending === '.safetensors') {
      const entries = [...state.tensors].map(([name, tensor]) => ({
        name,
        dtype: tensor.dtype,
        shape: tensor.shape,
        data: () => tensor.materialize().data,
      }));
      writeSafetensors(output, entries, state.metadata);
    } else {
      writePth(output, state.tensors);
    }
    console.log(`${output}: ${state.tensors.size} tensors, ${formatBytes(statSync(output).size)}`);
  } finally {
    state.close();
  }
}
