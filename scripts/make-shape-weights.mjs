// Makes packages/goshawk/weights/shapes_resnet18_tiny.safetensors: a backbone that has learned to find generated shapes.
//   npm run make:weights -- FOLDER          draws the scenes into FOLDER, trains (half an hour on two processors), takes the backbone
//   npm run make:weights -- --from WEIGHTS  takes the backbone of a training that is done
// The scenes are the same each time; sums run in another order on another processor, and the weights differ with them.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { toHalves } from '../packages/goshawk/dist/export/onnx/halves.js';
import { readStateDict, writeSafetensors } from '../packages/torch/dist/checkpoint/index.js';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const goshawk = path.join(root, 'packages/goshawk/bin/goshawk.js');
const NAME = 'shapes_resnet18_tiny';
const BODY = 'backbone.body.';

const { values, positionals } = parseArgs({ options: { from: { type: 'string' } }, allowPositionals: true });
const [folder] = positionals;
if (values.from === undefined && folder === undefined)
  throw new Error('name a folder for the scenes, or --from WEIGHTS');
takeBackbone(values.from ?? train(path.resolve(folder)));

function train(work) {
  mkdirSync(work, { recursive: true });
  const run = (...words) => execFileSync(process.execPath, [goshawk, ...words], { cwd: work, stdio: 'inherit' });
  const scenes = ['--images', '8100', '--seed', '100', '--size', '192x160', '--difficulty', 'hard'];
  if (!existsSync(path.join(work, 'shapes/val.json')))
    run('data', 'synth', '--output', 'shapes', ...scenes, '--split', 'train=8000,val=100');
  run('train', path.join(root, 'configs/demo/faster_rcnn_r18_shapes.yaml'), '--output', 'run');
  return path.join(work, 'run/final.safetensors');
}

function takeBackbone(file) {
  const state = readStateDict(file);
  try {
    const entries = [...state.tensors]
      .filter(([name]) => name.startsWith(BODY))
      .map(([name, tensor]) => ({ name: name.slice(BODY.length), shape: tensor.shape, ...halved(tensor) }));
    const output = path.join(root, `packages/goshawk/weights/${NAME}.safetensors`);
    mkdirSync(path.dirname(output), { recursive: true });
    writeSafetensors(output, entries, {
      licence: 'MIT',
      trainedOn: 'scenes of shapes by goshawk data synth, no photos',
    });
    console.log(`${output}: ${entries.length} tensors, ${statSync(output).size} bytes`);
  } finally {
    state.close();
  }
}

/** Filters as float16; norms, which are few, stay float32, and counts whole. */
function halved(tensor) {
  const { data } = tensor.materialize();
  if (tensor.shape.length < 2) return { dtype: tensor.dtype, data };
  const values = new Float32Array(data.buffer.slice(data.byteOffset, data.byteOffset + data.byteLength));
  return { dtype: 'float16', data: new Uint8Array(toHalves(values).buffer) };
}
