import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InputError } from '@goshawk/core';
import { empty } from '@goshawk/torch';
import { inputError } from '../testing/input-error.js';
import { explainEngineError, type MemoryUse, OutOfMemoryError } from './engine-errors.js';

const training: MemoryUse = { kind: 'training', precision: 'fp32', batchSize: 4 };
const card = new Error(
  'addmm: CUDA out of memory. Tried to allocate 146.00 MiB. GPU 2 has a total capacity of 8.00 GiB of which 0 bytes is free. Including non-PyTorch memory, this process has 7.50 GiB memory in use.',
);
const messageOf = (error: unknown, use: MemoryUse): string => {
  const explained = explainEngineError(error, use);
  assert.ok(explained instanceof OutOfMemoryError, String(explained));
  return explained.message;
};

test('memory that is out on a card is one line: what was asked for, what there is, what to lower', () => {
  assert.equal(
    messageOf(card, training),
    'the memory of card 2 is out (146 MiB asked for, 7.5 GiB in use by this process, 0 MiB free of 8.0 GiB): lower train.batchSize (4; train.accumulate makes up for it), or preprocess.resize.minSize, trainMinSizes and maxSize, or the precision by train.precision: bf16',
  );
});

test('what cannot be lowered is not asked for', () => {
  const sizes = 'lower preprocess.resize.minSize, trainMinSizes and maxSize';
  assert.ok(messageOf(card, { ...training, batchSize: 1, precision: 'bf16' }).endsWith(sizes));
  assert.match(
    messageOf(card, { kind: 'prediction', precision: 'fp32' }),
    /: lower preprocess\.resize\.minSize and maxSize, or the pre/,
  );
});

test('an engine that gives no sizes leaves them out', () => {
  assert.match(
    messageOf(new Error('cuDNN error: CUDNN_STATUS_ALLOC_FAILED'), training),
    /^the card's memory is out: lower /,
  );
});

test("the machine's own memory is told the same way", () => {
  assert.throws(
    () => empty([2 ** 46], { dtype: 'uint8' }),
    (error) => {
      assert.match(
        messageOf(error, training),
        /^the machine's memory is out \(65536\.0 GiB asked for\): lower train\.batchSize/,
      );
      return true;
    },
  );
});

test('an operator that is not deterministic is a matter of the config', () => {
  const error = new Error(
    "upsample_bilinear2d_backward_out_cuda does not have a deterministic implementation, but you set 'torch.use_deterministic_algorithms(True)'.",
  );
  assert.throws(
    () => {
      throw explainEngineError(error, training);
    },
    inputError(/^runtime\.deterministic: this model needs upsample_bilinear2d_backward_out_cuda, .*: set it to false/),
  );
});

test('other errors stay as they are', () => {
  for (const error of [new Error('conv2d: wrong shape'), new InputError('usage', 'CUDA out of memory'), 'text'])
    assert.equal(explainEngineError(error, training), error);
});
