// Processes that compute together: where they find one another, and what they do in common. Between tensors of processors the
// engine's Gloo group does the work, between those of cards NCCL.
import { noGrad } from '../tensor/autograd.js';
import { zeros } from '../tensor/create.js';
import { callOp, callTensorOp } from '../tensor/dispatch.js';
import { track } from '../tensor/lifetime.js';
import { native } from '../tensor/native.js';
import { scope } from '../tensor/scope.js';
import { type Device, Tensor } from '../tensor/tensor.js';
import { amongProcesses } from './distributed-error.js';

export interface ProcessGroupOptions {
  /** This process's number, 0 to size - 1. */
  readonly rank: number;
  readonly size: number;
  /** Where the others reach rank 0: a name or an address. */
  readonly host: string;
  /** Of the store that rank 0 keeps. */
  readonly port: number;
  /** How long one process waits for the others, while opening the group and in every call. */
  readonly timeoutMs: number;
  /** Where this process computes. Tensors of the CPU are exchanged in any case. Default cpu. */
  readonly device?: Device;
  /** Of rank 0: the one address that the store listens on. Default `host`. */
  readonly listen?: string;
  /** The address of this process that the others connect to. Default: that by which it reaches rank 0. */
  readonly address?: string;
  /** Of rank 0: the store that it keeps already, by {@link hostStore}; `listen` is not used then. */
  readonly store?: HostedStore;
  /** Is told what this process is about to wait for, and, by undefined, that it is over. Not of what layers exchange by themselves. */
  readonly onWait?: (operation: string | undefined) => void;
}

/** sum, mean, or the largest or smallest of each element over all processes. */
export type Reduction = 'sum' | 'mean' | 'largest' | 'smallest';

/** A collective that was begun; its tensor is whole after wait(), which throws as the collective would. */
export interface Work {
  wait(): void;
}

/** Small values that all processes of a group see. Calls throw DistributedError where the time is over or a process is gone. */
export interface GroupStore {
  set(key: string, value: Uint8Array): void;
  /** Waits until the key is there. */
  get(key: string, timeoutMs: number): Uint8Array;
  /** Adds to a counter, from 0; returns the sum. */
  add(key: string, amount: number): number;
  wait(keys: readonly string[], timeoutMs: number): void;
}

/**
 * Every process calls the same operations in the same order with tensors of the same shapes and dtypes; what differs between them
 * throws a DistributedError in all that names both calls. All calls block this thread of JavaScript, at most for the group's
 * timeout, and throw DistributedError where another process fails; the group is of no use after that.
 */
export interface ProcessGroup {
  readonly rank: number;
  readonly size: number;
  /** Where this process computes. */
  readonly device: Device;
  /** Overwrites the tensor with that of `root`, 0 by default. */
  broadcast(tensor: Tensor, root?: number): void;
  /** Overwrites each tensor with its reduction over all processes. */
  allReduce(tensors: Tensor | readonly Tensor[], reduction?: Reduction): void;
  /** As allReduce(), of one tensor, while this process goes on. On a card wait() does not wait for the card. */
  allReduceAsync(tensor: Tensor, reduction?: Reduction): Work;
  /** The tensors of all processes, by rank. */
  allGather(tensor: Tensor): Tensor[];
  /** The bytes of all processes, by rank; lengths may differ. */
  allGatherBytes(bytes: Uint8Array): Uint8Array[];
  /** Returns when all have come to it. */
  barrier(): void;
  /** Throws where the others do not give the same text. */
  agree(text: string): void;
  /** Waits until all that was begun on the card is done: before anything is read there that depends on the others. */
  settle(): void;
  readonly store: GroupStore;
  /** So far: time that this process waited in collectives, and bytes that it gave to them. */
  readonly spent: { readonly communicationMs: number; readonly bytes: number };
  /** Leaves the group: the others need not wait for this process any more. Rank 0's store ends when they have left, too. */
  close(): void;
}

/** A store without a group yet. */
export interface HostedStore {
  /** The one that was asked for, or that the system chose. */
  readonly port: number;
  /** Waits two seconds at most for those that are connected to leave. */
  close(): void;
}

/**
 * Keeps a store in this process, in a thread of its own, on one address. Who reaches that address can read and write it.
 * @param port 0 lets the system choose
 * @throws DistributedError where the address is not this machine's, or the port is taken
 */
export function hostStore(host: string, port = 0): HostedStore {
  const number = amongProcesses(() => native.hostStore(host, port));
  let open = true;
  return {
    port: native.storePort(number),
    close(): void {
      if (open) native.closeStore(number);
      open = false;
    },
  };
}

/**
 * Meets the other processes; returns when all are there.
 * @throws DistributedError naming those that did not come in time; in all that are there, as soon as one comes that does not fit them:
 *   of another size, engine or kind of device, or with a number that is taken
 */
export function openProcessGroup(options: ProcessGroupOptions): ProcessGroup {
  const { rank, size, host, timeoutMs, device = 'cpu', listen = host, address = '' } = options;
  if (!(Number.isInteger(size) && Number.isInteger(rank) && rank >= 0 && rank < size))
    throw new RangeError(`openProcessGroup: ranks go from 0 to size - 1, got ${rank} of ${size}`);
  const hosted = rank === 0 ? (options.store ?? hostStore(listen, options.port)) : undefined;
  const port = hosted?.port ?? options.port;
  const card = device === 'cpu' ? -1 : Number(device.split(':')[1] ?? 0);
  try {
    const number = waiting(options, 'the others', () =>
      native.openGroup(rank, size, host, port, timeoutMs, address, card),
    );
    return new NativeGroup(number, options, device, hosted);
  } catch (error) {
    hosted?.close();
    throw error;
  }
}

/** Runs what may wait for others: who watches is told, and failures between processes are thrown as such. */
function waiting<Result>(
  { onWait }: Pick<ProcessGroupOptions, 'onWait'>,
  operation: string,
  body: () => Result,
): Result {
  onWait?.(operation);
  try {
    return amongProcesses(body);
  } finally {
    onWait?.(undefined);
  }
}

const REDUCTIONS = { sum: 0, mean: 0, largest: 1, smallest: 2 } as const;

class NativeGroup implements ProcessGroup {
  readonly rank: number;
  readonly size: number;
  readonly device: Device;
  readonly store: GroupStore;
  readonly number: number;
  readonly onWait: ProcessGroupOptions['onWait'];
  readonly #hosted: HostedStore | undefined;
  #closed = false;

  constructor(
    number: number,
    { rank, size, onWait }: Pick<ProcessGroupOptions, 'rank' | 'size' | 'onWait'>,
    device: Device,
    hosted: HostedStore | undefined,
  ) {
    this.number = number;
    this.rank = rank;
    this.size = size;
    this.device = device;
    this.onWait = onWait;
    this.#hosted = hosted;
    this.store = {
      set: (key, value) => amongProcesses(() => native.storeSet(number, key, value)),
      get: (key, timeoutMs) => this.waiting('a value', () => native.storeGet(number, key, timeoutMs)),
      add: (key, amount) => amongProcesses(() => native.storeAdd(number, key, amount)),
      wait: (keys, timeoutMs) => this.waiting('values', () => native.storeWait(number, keys, timeoutMs)),
    };
  }

  get spent(): { readonly communicationMs: number; readonly bytes: number } {
    const [communicationMs, bytes] = native.groupSpent(this.number);
    return { communicationMs, bytes };
  }

  waiting<Result>(operation: string, body: () => Result): Result {
    return waiting(this, operation, body);
  }

  broadcast(tensor: Tensor, root = 0): void {
    this.waiting('broadcast', () => native.broadcast(this.number, tensor.id, root));
  }

  allReduce(tensors: Tensor | readonly Tensor[], reduction: Reduction = 'sum'): void {
    const list = tensors instanceof Tensor ? [tensors] : tensors;
    for (const work of list.map((tensor) => this.allReduceAsync(tensor, reduction))) work.wait();
  }

  allReduceAsync(tensor: Tensor, reduction: Reduction = 'sum'): Work {
    const work = this.waiting('all-reduce', () => native.allReduce(this.number, tensor.id, REDUCTIONS[reduction], ''));
    return {
      wait: () => {
        this.waiting('all-reduce', () => native.waitForWork(work));
        if (reduction === 'mean') noGrad(() => callOp('aten::div_.Scalar', tensor, this.size));
      },
    };
  }

  allGather(tensor: Tensor): Tensor[] {
    const all = this.waiting('all-gather', () => track(new Tensor(native.allGather(this.number, tensor.id))));
    return callOp('aten::unbind.int', all, 0) as Tensor[];
  }

  allGatherBytes(bytes: Uint8Array): Uint8Array[] {
    return scope(() => {
      const own = callTensorOp('aten::fill.Scalar', zeros([1], { dtype: 'int64' }), bytes.length);
      const lengths = this.allGather(own).map((length) => length.item());
      const padded = new Uint8Array(Math.max(...lengths, 1));
      padded.set(bytes);
      const parts = this.allGather(track(new Tensor(native.fromBytes(padded, [padded.length], 'uint8'))));
      return parts.map((part, rank) => new Uint8Array(part.toBytes()).slice(0, lengths[rank]));
    });
  }

  barrier(): void {
    this.waiting('barrier', () => native.barrier(this.number));
  }

  agree(text: string): void {
    this.waiting('agreement', () => native.agree(this.number, text));
  }

  settle(): void {
    this.waiting('the cards', () => native.settle(this.number));
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    try {
      amongProcesses(() => native.closeGroup(this.number));
    } finally {
      this.#hosted?.close();
    }
  }
}

/** The number by which operators know a group. */
export function groupNumber(group: ProcessGroup): number {
  return nativeGroup(group).number;
}

/** For calls that wait outside of the group's own methods. */
export function whileWaiting<Result>(group: ProcessGroup, operation: string, body: () => Result): Result {
  return nativeGroup(group).waiting(operation, body);
}

function nativeGroup(group: ProcessGroup): NativeGroup {
  if (!(group instanceof NativeGroup)) throw new TypeError('a process group is what openProcessGroup() returns');
  return group;
}
