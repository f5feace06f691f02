// What goshawk doctor says of the devices: which there are, and whether this libtorch can use them.
import type { CudaDevice, CudaFacts } from '@goshawk/torch';
import { formatBytes } from '../terminal/progress-line.js';

/** One line of the doctor. */
export interface Finding {
  readonly name: string;
  /** `without`: something that not everyone needs is not there. */
  readonly state: 'ok' | 'slow' | 'missing' | 'without';
  readonly detail: string;
  readonly remedy?: string;
}

export interface DeviceFacts {
  /** Why no CUDA device can be used; absent where one can. */
  readonly problem?: string;
  readonly facts?: CudaFacts;
  /** Whether libtorch is a build without CUDA. */
  readonly isForCpu: boolean;
}

/** A line for what tensors can live on; where the driver shows cards, one for each, and one for what compiles their kernels. */
export function deviceFindings({ problem, facts, isForCpu }: DeviceFacts): Finding[] {
  const names = ['cpu', ...(problem === undefined && facts ? facts.devices.map(({ device }) => device) : [])];
  // Who took a libtorch for the CPU knows that it is one.
  const why = problem === undefined || isForCpu ? '' : ` (${problem})`;
  const devices: Finding = { name: 'devices', state: 'ok', detail: `${names.join(', ')}${why}` };
  if (facts === undefined) return [devices];
  const { driver, driverRelease, library, cudnn, nvrtc } = facts;
  const release = driverRelease === undefined ? '' : ` ${driverRelease}`;
  const withCudnn = cudnn === undefined ? '' : ` and cuDNN ${cudnn}`;
  const engines = `driver${release} for CUDA up to ${driver}, libtorch with CUDA ${library}${withCudnn}`;
  return [
    devices,
    { name: 'CUDA', state: 'ok', detail: engines },
    ...facts.devices.map(cardFinding),
    nvrtc === undefined
      ? {
          name: 'NVRTC',
          state: 'missing',
          detail: 'libnvrtc.so lies neither beside libtorch, nor in the folders of its packages, nor in a CUDA toolkit',
          remedy: 'take a libtorch that is whole: kernels for the card are compiled with it',
        }
      : { name: 'NVRTC', state: 'ok', detail: nvrtc },
  ];
}

function cardFinding({ device, name, bytes, capability, multiprocessors, code }: CudaDevice): Finding {
  const detail = `${name}, ${formatBytes(bytes)}, compute capability ${capability}, ${multiprocessors} multiprocessors`;
  if (code === 'machine') return { name: device, state: 'ok', detail };
  if (code === 'ptx')
    return {
      name: device,
      state: 'ok',
      detail: `${detail}; the driver compiles libtorch's code for it at the first use`,
    };
  const remedy = `set LIBTORCH to a build for compute capability ${capability}`;
  return { name: device, state: 'missing', detail: `${detail}; this libtorch has no code for it`, remedy };
}
