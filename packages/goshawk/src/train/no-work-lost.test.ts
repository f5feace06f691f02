import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { RunFailure } from '../files/run-failure.js';
import { inputError } from '../testing/input-error.js';
import { mayMount } from '../testing/may-mount.js';
import { figuresOf } from '../testing/run-figures.js';
import { type TinyDataset, writeTinyDataset } from '../testing/tiny-dataset.js';
import { tinyTrainings } from '../testing/tiny-trainings.js';
import { listCheckpoints, readEvaluated } from './checkpoint.js';
import { readMetrics } from './metrics-log.js';
import { type TrainObserver, train } from './trainer.js';

const { folder, configOf, outputOf, run } = tinyTrainings();

describe('no work is lost', () => {
  /** Pictures 1 to 4 in a folder of their own, so that they can be damaged. */
  async function ownData(name: string): Promise<TinyDataset & { damage(picture: number): () => void }> {
    const own = join(folder, name);
    const dataset = await writeTinyDataset(own);
    return {
      ...dataset,
      damage(picture) {
        const file = join(dataset.images, `picture-${picture}.png`);
        const whole = readFileSync(file);
        // The header stays: the damage shows when the picture is decoded.
        writeFileSync(file, whole.subarray(0, 60));
        return () => writeFileSync(file, whole);
      },
    };
  }
  const failure = (message: RegExp) => (error: unknown) => {
    assert.ok(error instanceof RunFailure, String(error));
    assert.match(error.message, message);
    return true;
  };
  const warned = (into: string[]): TrainObserver => ({ onWarning: (message) => into.push(message) });

  test('the checkpoint and the final weights are written before the evaluation', async () => {
    const output = outputOf('saved-first');
    const there: boolean[] = [];
    await run(output, {
      sets: ['train.evaluateEvery=2'],
      observer: {
        onEvaluationProgress: () => there.push(listCheckpoints(join(output, 'checkpoints')).length > 0),
        onEvaluation: (iteration) => iteration === 6 && there.push(existsSync(join(output, 'final.safetensors'))),
      },
    });
    assert.ok(there.length > 3 && there.every(Boolean));
  });

  test('an evaluation that fails is told, and the training goes on', async () => {
    const warnings: string[] = [];
    const result = await run(outputOf('failing-evaluation'), {
      sets: ['train.evaluateEvery=2'],
      observer: {
        ...warned(warnings),
        onEvaluation(iteration) {
          if (iteration < 6) throw new Error('no room\nfor figures');
        },
      },
    });
    assert.deepEqual(
      [result.iteration, result.weights],
      [6, join(outputOf('failing-evaluation'), 'final.safetensors')],
    );
    assert.deepEqual(result.problems, [
      'iteration 2: the evaluation failed (no room for figures)',
      'iteration 4: the evaluation failed (no room for figures)',
    ]);
    assert.deepEqual(warnings, result.problems);
    assert.ok(result.evaluations !== undefined);
  });

  test('an evaluation that a kill cut short is made up, with the same figures', async () => {
    const sets = ['train.evaluateEvery=2'];
    const whole = outputOf('whole-evaluations');
    await run(whole, { sets });
    for (const at of ['before', 'behind'] as const) {
      const cut = outputOf(`cut-${at}`);
      const stop = new AbortController();
      await run(cut, {
        sets,
        signal: stop.signal,
        observer: {
          // In the middle of the evaluation, or when it is done but for what is written of it.
          onEvaluationProgress: (_done, total) => total > 0 && at === 'before' && stop.abort(),
          onEvaluation: () => at === 'behind' && stop.abort(),
        },
      });
      const evaluated = join(cut, 'checkpoints', 'iteration-00000002.evaluated.json');
      assert.equal(existsSync(evaluated), at === 'behind');
      // As a kill leaves it right behind the line of the figures.
      if (at === 'behind') rmSync(evaluated);
      const evaluations: number[] = [];
      await run(cut, { sets, resume: true, observer: { onEvaluation: (iteration) => evaluations.push(iteration) } });
      assert.deepEqual(evaluations, [2, 4, 6]);
      assert.deepEqual(figuresOf(cut), figuresOf(whole));
      for (const file of ['best.safetensors', join('checkpoints', 'iteration-00000006.safetensors')])
        assert.ok(readFileSync(join(whole, file)).equals(readFileSync(join(cut, file))), `${at}: ${file} differs`);
    }
  });

  test('one that was done is not made again, and its figure still counts', async () => {
    const output = outputOf('whole-evaluations');
    const evaluations: number[] = [];
    await run(output, {
      sets: ['train.evaluateEvery=2'],
      resume: true,
      observer: { onEvaluation: (iteration) => evaluations.push(iteration) },
    });
    assert.deepEqual(evaluations, []);
    assert.equal(readEvaluated(join(output, 'checkpoints'), 6)?.best, Math.max(...bestsOf(output)));
  });

  const bestsOf = (output: string): number[] =>
    readMetrics(join(output, 'metrics.jsonl')).flatMap((line) =>
      'bbox/AP' in line ? [line['bbox/AP'] as number] : [],
    );

  for (const [what, sets] of [
    ['a worker', ['data.workers=1']],
    [
      'passes that add up, and running statistics',
      ['train.accumulate=2', 'train.batchSize=1', 'model.backbone.norm=batch'],
    ],
  ] as const)
    test(`a picture that turns out damaged ends the training with a checkpoint that goes on as if nothing were, with ${what}`, async () => {
      const own = await ownData(`damaged-${sets.length}`);
      const config = configOf(['train.checkpointEvery=100', 'train.iterations=12', ...sets], own);
      const train_ = (output: string, resume: boolean, observer?: TrainObserver) =>
        train({ config, output, resume, ...(observer && { observer }) });
      const whole = outputOf(`undamaged-${sets.length}`);
      await train_(whole, false);
      const output = outputOf(`damaged-${sets.length}`);
      let mend: (() => void) | undefined;
      const observer = {
        onStep({ iteration }: { iteration: number }) {
          if (iteration === 1) mend = own.damage(2);
        },
      };
      await assert.rejects(
        train_(output, false, observer),
        failure(
          /picture-2\.png: is a damaged png picture .*: replace the file; iteration \d is saved: continue with --resume$/,
        ),
      );
      mend!();
      await train_(output, true);
      const name = join('checkpoints', 'iteration-00000012.safetensors');
      assert.ok(readFileSync(join(whole, name)).equals(readFileSync(join(output, name))));
    });

  test('a card whose memory is out in the middle of a step is told in one line, and the step before it is saved', async () => {
    const sets = ['train.checkpointEvery=100', 'model.backbone.norm=batch'];
    const whole = outputOf('enough-memory');
    await run(whole, { sets });
    const output = outputOf('memory-out');
    /** As 2.x words it; thrown when the backbone has learned its statistics already. */
    const message =
      'conv2d(Tensor[2, 64, 200, 272] float32): CUDA out of memory. Tried to allocate 1.22 GiB. GPU 0 has a total capacity of 14.56 GiB of which 512.00 MiB is free. Including non-PyTorch memory, this process has 14.06 GiB memory in use. Of the allocated memory 13.50 GiB is allocated by PyTorch';
    const observer: TrainObserver = {
      onStep({ iteration }, model) {
        if (iteration !== 3) return;
        const loss = model.loss.bind(model);
        model.loss = (batch, targets) => {
          loss(batch, targets);
          throw new Error(message);
        };
      },
    };
    await assert.rejects(
      run(output, { sets, observer }),
      failure(
        /^the memory of card 0 is out \(1\.2 GiB asked for, 14\.1 GiB in use by this process, 512 MiB free of 14\.6 GiB\): lower train\.batchSize \(2; .*\), or preprocess\.resize\..*, or the precision by train\.precision: bf16; iteration 3 is saved: continue with --resume$/,
      ),
    );
    await run(output, { sets, resume: true });
    const name = join('checkpoints', 'iteration-00000006.safetensors');
    assert.ok(readFileSync(join(whole, name)).equals(readFileSync(join(output, name))));
  });

  test('or is left out with a warning, the same whatever the workers, and after resuming', async () => {
    const own = await ownData('skipped');
    own.damage(2);
    const outcome = async (name: string, workers: number, stopAt?: number) => {
      const stop = new AbortController();
      const warnings: string[] = [];
      const options = {
        config: configOf(['data.onDamaged=skip', `data.workers=${workers}`], own),
        output: outputOf(name),
        signal: stop.signal,
        observer: {
          ...warned(warnings),
          onStep: ({ iteration }: { iteration: number }) => iteration === stopAt && stop.abort(),
        },
      };
      const result = await train(options);
      if (stopAt !== undefined) await train({ ...options, signal: undefined, resume: true });
      assert.deepEqual(result.problems, []);
      return { warnings, final: tensorsIn(join(outputOf(name), 'final.safetensors')) };
    };
    const first = await outcome('skip-0', 0);
    const second = await outcome('skip-2', 2);
    const third = await outcome('skip-resumed', 0, 3);
    assert.equal(first.warnings.filter((message) => /left out$/.test(message)).length, 1);
    assert.match(
      first.warnings.join('\n'),
      /picture-2\.png: is a damaged png picture .*; its objects count as not found$/m,
    );
    assert.ok(second.final.equals(first.final));
    assert.ok(third.final.equals(first.final));
  });

  test('and where every picture is damaged, it ends', async () => {
    const own = await ownData('all-damaged');
    for (const picture of [1, 2, 3, 4]) own.damage(picture);
    const config = configOf(['data.onDamaged=skip', 'data.val=null'], own);
    await assert.rejects(
      train({ config, output: outputOf('all-damaged') }),
      failure(
        /picture-\d\.png: is a damaged png picture .*\(and so is every other picture\); no step was done before it$/,
      ),
    );
  });

  test('a disk that fills up leaves the checkpoint before', {
    skip: mayMount() ? false : 'needs the right to mount',
  }, async () => {
    const disk = join(folder, 'disk');
    mkdirSync(disk);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', disk]);
    try {
      const output = join(disk, 'run');
      const filling: TrainObserver = {
        onCheckpoint() {
          assert.throws(() => writeFileSync(join(disk, 'filler'), Buffer.alloc(16e6)), { code: 'ENOSPC' });
        },
      };
      await assert.rejects(
        train({ config: configOf(), output, observer: filling }),
        failure(
          /iteration-00000004\.safetensors: the disk is full: make room or choose another place; iteration 2 is saved, later ones are lost: continue with --resume$/,
        ),
      );
      assert.deepEqual(readdirSync(join(output, 'checkpoints')), ['iteration-00000002.safetensors']);
      // Known at the start: there is no room for a checkpoint.
      await assert.rejects(
        train({ config: configOf(), output, resume: true }),
        inputError(/run: the disk (is full|has 0\.0 MB left)/),
      );
      rmSync(join(disk, 'filler'));
      assert.equal((await train({ config: configOf(), output, resume: true })).iteration, 6);
    } finally {
      execFileSync('umount', [disk]);
    }
  });

  test('a second training in the same folder is refused, and the first goes on', async () => {
    const output = outputOf('shared');
    let second: Promise<unknown> | undefined;
    const result = await run(output, {
      observer: {
        onStep({ iteration }) {
          if (iteration > 1) return;
          second = train({ config: configOf(), output, resume: true });
          second.catch(() => undefined);
        },
      },
    });
    const who = `: goshawk train is at work there \\(process ${process.pid}, since `;
    await assert.rejects(second!, inputError(new RegExp(who)));
    assert.equal(result.iteration, 6);
  });

  test('proposals are measured by their recall, as goshawk eval does', async () => {
    const output = outputOf('proposals');
    const sets = ['model.type=rpn', 'model.boxHead=null', 'model.maskHead=null', 'train.iterations=2'];
    const result = await run(output, { sets });
    const line = readMetrics(join(output, 'metrics.jsonl')).at(-1)!;
    assert.deepEqual(
      Object.keys(line).filter((name) => name.includes('/')),
      ['AR@100', 'ARs@100', 'ARm@100', 'ARl@100', 'AR@1000', 'ARs@1000', 'ARm@1000', 'ARl@1000'].map(
        (name) => `proposals/${name}`,
      ),
    );
    assert.equal(line['proposals/AR@1000'], result.figures!.proposals!['AR@1000']);
    assert.ok(existsSync(join(output, 'best.safetensors')));
  });
});

/** The bytes behind the header, in which the config stands. */
function tensorsIn(file: string): Buffer {
  const bytes = readFileSync(file);
  return bytes.subarray(8 + Number(bytes.readBigUInt64LE()));
}
