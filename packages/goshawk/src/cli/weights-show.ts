// goshawk weights show: what is in a checkpoint. Runs nothing of it and needs no engine.
import { readStateDict } from '@goshawk/torch/checkpoint';
import { recogniseState } from '../foreign/weights.js';
import { formatBytes } from '../terminal/progress-line.js';
import { formatTable } from '../terminal/text-table.js';

export interface WeightsShowCommandOptions {
  readonly json?: boolean;
}

// Floating point tensors: what training changes. Counters of batch norm and indices are no parameters.
const parameterTypes: ReadonlySet<string> = new Set(['float32', 'float64', 'float16', 'bfloat16']);
const itemSizes: Readonly<Record<string, number>> = {
  float64: 8,
  int64: 8,
  float32: 4,
  int32: 4,
  float16: 2,
  bfloat16: 2,
  int16: 2,
};

export function runWeightsShow(file: string, options: WeightsShowCommandOptions): void {
  const state = readStateDict(file);
  try {
    const tensors = [...state.tensors].map(([name, { dtype, shape }]) => {
      const elements = shape.reduce((product, size) => product * size, 1);
      return { name, dtype, shape, elements, bytes: elements * (itemSizes[dtype] ?? 1) };
    });
    const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes, 0);
    const floats = tensors.filter((tensor) => parameterTypes.has(tensor.dtype));
    const parameters = floats.reduce((sum, tensor) => sum + tensor.elements, 0);
    const metadata = Object.fromEntries(state.metadata);
    const beside = [...state.rest.keys()];
    const { dialect, orphans } = recogniseState(state.tensors);
    if (options.json) {
      const { format, path } = state;
      console.log(
        JSON.stringify(
          { file, format, path, names: dialect, metadata, beside, orphans, parameters, bytes, tensors },
          undefined,
          2,
        ),
      );
      return;
    }
    console.log(formatTable(tensors.map(({ name, dtype, shape }) => [name, dtype, `[${shape.join(', ')}]`])));
    const place = state.path.length > 0 ? `, under ${state.path.join('.')}` : '';
    console.log(
      `\n${file}: ${state.format}, ${tensors.length} tensors${place}, ${parameters} numbers, ${formatBytes(bytes)}`,
    );
    console.log(`names of ${dialect}${orphans.length > 0 ? `; of no model: ${shorten(orphans)}` : ''}`);
    if (beside.length > 0) console.log(`beside them: ${shorten(beside)}`);
    for (const [key, value] of state.metadata) {
      console.log(`${key}: ${value.length > 100 ? `${value.slice(0, 100)}... (${value.length} characters)` : value}`);
    }
  } finally {
    state.close();
  }
}

function shorten(names: readonly string[]): string {
  return `${names.slice(0, 20).join(', ')}${names.length > 20 ? ', ...' : ''}`;
}
