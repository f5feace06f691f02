// Values of which parts are written over, one after another, as Res2Net's blocks do with the splits of their channels: kept as the
// parts, and put together where the whole is read.
import type { Tensor } from '@goshawk/torch';
import type { Graph, Value } from './onnx/graph.js';

/** A stretch of an axis of another tensor. */
interface Stretch {
  readonly of: Tensor;
  readonly axis: number;
  readonly start: number;
  readonly length: number;
}

/** `length` places of `value`'s axis from `offset` on, of `total`. */
interface Part {
  readonly value: Value;
  readonly offset: number;
  readonly length: number;
  readonly total: number;
}

interface Whole {
  readonly axis: number;
  readonly parts: readonly Part[];
}

export class WrittenParts {
  readonly #stretches = new Map<Tensor, Stretch>();
  readonly #wholes = new Map<Tensor, Whole>();

  /** `view` looks at a stretch of another tensor. */
  see(view: Tensor, stretch: Stretch): void {
    this.#stretches.set(view, stretch);
  }

  isView(tensor: Tensor): boolean {
    return this.#stretches.has(tensor);
  }

  /** `source` is written over `view`. @param currentOf what the whole was until now */
  write(view: Tensor, source: Value, currentOf: (whole: Tensor) => Value): void {
    const { of: base, axis, start, length } = this.#stretches.get(view)!;
    const total = base.shape[axis]!;
    const before = this.#wholes.get(base) ?? {
      axis,
      parts: [{ value: currentOf(base), offset: 0, length: total, total }],
    };
    if (before.axis !== axis) throw new Error('internal: a tensor written along two axes cannot be exported');
    const parts = [
      ...cut(before.parts, 0, start),
      { value: source, offset: 0, length, total: length },
      ...cut(before.parts, start + length, total),
    ];
    this.#wholes.set(base, { axis, parts });
  }

  /** What a stretch holds now; undefined where nothing was written there. */
  read(graph: Graph, { of: base, axis, start, length }: Stretch): Value | undefined {
    const whole = this.#wholes.get(base);
    if (whole?.axis !== axis) return undefined;
    return joined(graph, { axis, parts: cut(whole.parts, start, start + length) });
  }

  /** The whole with all that was written; undefined where nothing was. */
  settle(graph: Graph, tensor: Tensor): Value | undefined {
    const whole = this.#wholes.get(tensor);
    this.#wholes.delete(tensor);
    return whole && joined(graph, whole);
  }
}

/** The parts within `from` up to `to` of the whole axis. */
function cut(parts: readonly Part[], from: number, to: number): Part[] {
  let at = 0;
  return parts.flatMap((part) => {
    const [start, end] = [Math.max(from, at), Math.min(to, at + part.length)];
    const own = { ...part, offset: part.offset + start - at, length: end - start };
    at += part.length;
    return own.length > 0 ? own : [];
  });
}

function joined(graph: Graph, { axis, parts }: Whole): Value {
  return graph.concat(
    parts.map(({ value, offset, length, total }) =>
      length === total ? value : graph.slice(value, axis, offset, offset + length),
    ),
    axis,
  );
}
