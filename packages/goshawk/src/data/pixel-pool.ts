// Shared memory for batches, used again once released: the system does not hand out and zero megabytes each step.

export class PixelPool {
  private readonly free: SharedArrayBuffer[] = [];
  private readonly keep: number;

  /** At most `keep` released buffers are kept. */
  constructor(keep: number) {
    this.keep = keep;
  }

  /** Memory for at least `floats` values, with old contents: the smallest kept buffer that suffices, or a new one. */
  take(floats: number): SharedArrayBuffer {
    const bytes = floats * Float32Array.BYTES_PER_ELEMENT;
    let best = -1;
    this.free.forEach((buffer, i) => {
      if (buffer.byteLength >= bytes && (best < 0 || buffer.byteLength < this.free[best]!.byteLength)) best = i;
    });
    return best < 0 ? new SharedArrayBuffer(bytes) : this.free.splice(best, 1)[0]!;
  }

  give(buffer: SharedArrayBuffer): void {
    this.free.push(buffer);
    if (this.free.length <= this.keep) return;
    // Large buffers serve every batch: the smallest goes.
    let smallest = 0;
    this.free.forEach((candidate, i) => {
      if (candidate.byteLength < this.free[smallest]!.byteLength) smallest = i;
    });
    this.free.splice(smallest, 1);
  }
}
