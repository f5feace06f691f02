// What the engine says when memory is out, which it words differently from version to version.

/** Sizes in bytes, as far as the engine told them. */
export interface MemoryShortage {
  readonly where: 'card' | 'host';
  /** Number of the card. */
  readonly card?: number;
  readonly asked?: number;
  readonly total?: number;
  readonly free?: number;
  /** By this process. */
  readonly used?: number;
}

/**
 * What an error of the engine says about memory; undefined for an error about something else. Known are the allocators' messages
 * from libtorch 1.13 to 2.14, and those of CUDA's own libraries, which take memory beside them.
 */
export function memoryShortageOf(error: unknown): MemoryShortage | undefined {
  if (!(error instanceof Error)) return undefined;
  const { message } = error;
  if (ON_CARD.test(message)) {
    const card = /GPU (\d+)/.exec(message)?.[1];
    return {
      where: 'card',
      ...(card !== undefined && { card: Number(card) }),
      ...sizes(message, {
        asked: [/Tried to allocate SIZE/, /Requested size: SIZE/, /Trying to allocate SIZE/],
        total: [/total capac?i?ty of SIZE/, /SIZE total capacity/],
        free: [/of which SIZE (?:is|are) free/, /; SIZE free/],
        // What other programs hold is not this process's to free; older versions tell their own share alone.
        used: [
          /this process has SIZE memory in use/,
          /SIZE reserved in total by PyTorch/,
          /SIZE (?:is )?allocated by PyTorch/,
        ],
      }),
    };
  }
  if (ON_HOST.test(message)) return { where: 'host', ...sizes(message, { asked: [/you tried to allocate SIZE/] }) };
  return undefined;
}

const ON_CARD =
  /CUDA out of memory|CUDA error: out of memory|CUDA_ERROR_OUT_OF_MEMORY|cudaErrorMemoryAllocation|(?:CUDNN|CUBLAS)_STATUS_ALLOC_FAILED/;
const ON_HOST = /DefaultCPUAllocator: (?:can't allocate|not enough) memory/;

type Size = 'asked' | 'total' | 'free' | 'used';

/** The first of each size's patterns that is found; SIZE in them stands for a number and its unit. */
function sizes(
  message: string,
  patterns: Readonly<Partial<Record<Size, readonly RegExp[]>>>,
): Partial<Record<Size, number>> {
  const found: Partial<Record<Size, number>> = {};
  for (const [name, own] of Object.entries(patterns) as [Size, readonly RegExp[]][]) {
    for (const pattern of own) {
      const match = new RegExp(pattern.source.replace('SIZE', `(${NUMBER}) ?(${UNIT})`)).exec(message);
      if (!match) continue;
      found[name] = Number(match[1]) * UNITS[match[2]!]!;
      break;
    }
  }
  return found;
}

const UNITS: Readonly<Record<string, number>> = {
  bytes: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
};
const NUMBER = '\\d+(?:\\.\\d+)?';
const UNIT = Object.keys(UNITS).join('|');
