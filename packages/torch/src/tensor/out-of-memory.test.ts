import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { empty } from './create.js';
import { memoryShortageOf } from './out-of-memory.js';

const MiB = 2 ** 20;
const GiB = 2 ** 30;

describe('memoryShortageOf', () => {
  // As people reported them, and as the libraries hold them.
  const messages: readonly (readonly [version: string, message: string, shortage: object])[] = [
    [
      '1.13 and 2.0',
      'convolution(Tensor[2, 64, 400, 544] float32, ...): CUDA out of memory. Tried to allocate 2.26 GiB (GPU 1; 6.00 GiB total capacity; 781.59 MiB already allocated; 3.03 GiB free; 1.24 GiB reserved in total by PyTorch) If reserved memory is >> allocated memory try setting max_split_size_mb to avoid fragmentation.  See documentation for Memory Management and PYTORCH_CUDA_ALLOC_CONF',
      { where: 'card', card: 1, asked: 2.26 * GiB, total: 6 * GiB, free: 3.03 * GiB, used: 1.24 * GiB },
    ],
    [
      '2.1, which misspells capacity',
      'CUDA out of memory. Tried to allocate 32.00 MiB. GPU 0 has a total capacty of 4.00 GiB of which 41.56 MiB is free. Including non-PyTorch memory, this process has 3.44 GiB memory in use. Of the allocated memory 2.58 GiB is allocated by PyTorch, and 1.90 MiB is reserved by PyTorch but unallocated. If reserved but unallocated memory is large try setting max_split_size_mb to avoid fragmentation.',
      { where: 'card', card: 0, asked: 32 * MiB, total: 4 * GiB, free: 41.56 * MiB, used: 3.44 * GiB },
    ],
    [
      '2.1 in a container, which numbers processes',
      'CUDA out of memory. Tried to allocate 496.00 MiB. GPU 0 has a total capacty of 14.75 GiB of which 235.06 MiB is free. Process 20398 has 14.52 GiB memory in use. Of the allocated memory 14.06 GiB is allocated by PyTorch, and 330.42 MiB is reserved by PyTorch but unallocated.',
      { where: 'card', card: 0, asked: 496 * MiB, total: 14.75 * GiB, free: 235.06 * MiB, used: 14.06 * GiB },
    ],
    [
      '2.3 and later, with nothing free',
      'CUDA out of memory. Tried to allocate 146.00 MiB. GPU 0 has a total capacity of 8.00 GiB of which 0 bytes is free. Including non-PyTorch memory, this process has 7.50 GiB memory in use. Of the allocated memory 7.00 GiB is allocated by PyTorch, and 9.35 MiB is reserved by PyTorch but unallocated.',
      { where: 'card', card: 0, asked: 146 * MiB, total: 8 * GiB, free: 0, used: 7.5 * GiB },
    ],
    [
      "2.14, with a share of the card's memory set",
      'CUDA out of memory. Allocation was preemptively rejected because it would exceed per_process_memory_fraction limit. Requested size: 2.00 GiB',
      { where: 'card', asked: 2 * GiB },
    ],
    ['a request beyond all sense', 'CUDA out of memory. Tried to allocate more than 1EB memory.', { where: 'card' }],
    [
      "CUDA's runtime",
      'CUDA error: out of memory CUDA kernel errors might be asynchronously reported',
      { where: 'card' },
    ],
    ['cuDNN', 'cuDNN error: CUDNN_STATUS_ALLOC_FAILED', { where: 'card' }],
    ['cuBLAS', 'CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`', { where: 'card' }],
  ];
  for (const [version, message, shortage] of messages)
    test(`reads ${version}`, () => assert.deepEqual(memoryShortageOf(new Error(message)), shortage));

  test("reads the CPU's allocator, as it speaks here", () => {
    const bytes = 2 ** 46;
    assert.throws(
      () => empty([bytes], { dtype: 'uint8' }),
      (error) => {
        assert.deepEqual(memoryShortageOf(error), { where: 'host', asked: bytes });
        return true;
      },
    );
  });

  test('leaves all other errors alone', () => {
    assert.equal(memoryShortageOf(new Error('conv2d(Tensor[1]): expected 4 dimensions')), undefined);
    assert.equal(memoryShortageOf(new Error('CUDA error: an illegal memory access was encountered')), undefined);
    assert.equal(memoryShortageOf('CUDA out of memory. Tried to allocate 2.00 GiB'), undefined);
  });
});
