import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, mock, test } from 'node:test';
import { InputError } from '@goshawk/core';
import { setThreads, writeSafetensors } from '@goshawk/torch';
import { configToYaml } from '../config/index.js';
import { decodeImageFile, readProposals } from '../data/index.js';
import { openDetector } from '../infer/index.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { FASTER_RCNN, tinyConfig, tinyDetector } from '../testing/tiny-detector.js';
import { runEval } from './eval.js';

const RPN = ['model.type=rpn', 'model.boxHead=null', 'model.maskHead=null'];

describe('evaluation of proposals', () => {
  let folder: string;
  let dataset: TinyDataset;
  before(async () => {
    setThreads(1);
    folder = mkdtempSync(join(tmpdir(), 'goshawk-eval-proposals-'));
    dataset = await writeTinyDataset(folder);
  });
  after(() => rmSync(folder, { recursive: true }));
  beforeEach(() => {
    mock.method(console, 'log', () => undefined);
    mock.method(process.stderr, 'write', () => true);
  });

  /** Files of a config and of the part of a whole detector's weights that it has. */
  function files(name: string, sets: readonly string[], without: RegExp) {
    const config = join(folder, `${name}.yaml`);
    writeFileSync(config, configToYaml(tinyConfig([...dataset.sets, ...sets])));
    const weights = join(folder, `${name}.safetensors`);
    const state = [...tinyDetector({ sets: FASTER_RCNN }).stateDict()].filter(([key]) => !without.test(key));
    writeSafetensors(
      weights,
      state.map(([key, tensor]) => ({ name: key, dtype: tensor.dtype, shape: tensor.shape, data: tensor.toBytes() })),
    );
    return { config, weights, output: join(folder, name) };
  }
  const read = (...path: string[]) => readFileSync(join(...path), 'utf8');
  const threshold = 'model.boxHead.scoreThreshold=0.05';

  test('measures their recall and keeps them; a model of stored proposals then finds what the whole one finds', async () => {
    const kept = join(folder, 'kept', 'proposals.safetensors');
    const rpn = files('rpn', RPN, /^roi_heads/);
    await runEval(rpn.config, { weights: rpn.weights, output: rpn.output, saveProposals: kept });
    const { proposals } = JSON.parse(read(rpn.output, 'metrics.json')) as { proposals: Record<string, number> };
    assert.deepEqual(Object.keys(proposals).slice(0, 5), ['AR@100', 'ARs@100', 'ARm@100', 'ARl@100', 'AR@1000']);
    assert.ok(proposals['AR@100']! >= 0 && proposals['AR@100']! <= 1);
    assert.deepEqual([...readProposals(kept).keys()], [1, 2, 3, 4]);

    const whole = files('whole', [...FASTER_RCNN, threshold], /^$/);
    await runEval(whole.config, { weights: whole.weights, output: whole.output });
    const stored = [...FASTER_RCNN, threshold, 'model.proposals=stored', `data.val.proposals=${kept}`];
    const fast = files('fast', stored, /^rpn/);
    await runEval(fast.config, { weights: fast.weights, output: fast.output });
    assert.ok(JSON.parse(read(whole.output, 'detections.json')).length > 4);
    assert.equal(read(fast.output, 'detections.json'), read(whole.output, 'detections.json'));
  });
  test('is for models of proposals alone', async () => {
    const { config, weights } = files('detections', FASTER_RCNN, /^$/);
    await assert.rejects(
      runEval(config, { weights, saveProposals: join(folder, 'none.safetensors') }),
      (error) => error instanceof InputError && /a faster_rcnn gives detections/.test(error.message),
    );
    const rpn = files('rpn', RPN, /^roi_heads/);
    await assert.rejects(
      runEval(rpn.config, { weights: rpn.weights, saveProposals: join(folder, 'none.pkl') }),
      (error) => error instanceof InputError && /end the name in \.safetensors/.test(error.message),
    );
  });
  test('and of detections counts the last pixel of boxes that include it', async () => {
    for (const [conventions, edge] of [
      ['torchvision', 0],
      ['detectron', 1],
    ] as const) {
      const sets = [...FASTER_RCNN, threshold, `model.conventions=${conventions}`];
      const { config, weights, output } = files(conventions, sets, /^$/);
      await runEval(config, { weights, output });
      const rows = JSON.parse(read(output, 'detections.json')) as { image_id: number; bbox: number[] }[];
      const { predictor } = openDetector({ config: tinyConfig(sets), weights });
      const [found = []] = predictor.predict([await decodeImageFile(join(dataset.images, 'picture-1.png'))]);
      assert.ok(found.length > 0);
      found.forEach(({ bbox }, i) => {
        const [x, y, width, height] = bbox!;
        [x, y, width + edge, height + edge].forEach((value, side) => {
          assert.ok(Math.abs(rows[i]!.bbox[side]! - value) < 0.01, `${conventions}: ${rows[i]!.bbox}`);
        });
      });
    }
  });
});
