// Shows how far long work is: one line that rewrites itself in a terminal, plain lines elsewhere.

export interface ProgressLineOptions {
  /** Where it is written; stderr by default, so that stdout stays free for results. */
  readonly stream?: { write(text: string): unknown; readonly isTTY?: boolean; readonly columns?: number };
  /** Without a terminal a line comes at most this often, in milliseconds; default 5000. */
  readonly plainIntervalMs?: number;
  /** The clock in milliseconds; for tests. */
  readonly now?: () => number;
}

export interface ProgressLine {
  /** Shows `text` as the current state. */
  update(text: string): void;
  /** Writes `text` to stay, above the current state. */
  note(text: string): void;
  /** Ends the line; the last state stays to be seen. */
  done(): void;
}

// In a terminal more often than this is only flicker.
const terminalIntervalMs = 80;

export function createProgressLine(options: ProgressLineOptions = {}): ProgressLine {
  const stream = options.stream ?? process.stderr;
  const now = options.now ?? (() => performance.now());
  const isTerminal = stream.isTTY === true;
  const interval = isTerminal ? terminalIntervalMs : (options.plainIntervalMs ?? 5000);
  // Work of less than a second leaves one plain line, its last.
  let lastShown = isTerminal ? Number.NEGATIVE_INFINITY : now() - interval + Math.min(interval, 1000);
  let current = '';
  let isOpen = false;
  let isStale = false;

  const show = (): void => {
    const text = isTerminal ? current.slice(0, Math.max(20, stream.columns ?? 80) - 1) : current;
    stream.write(isTerminal ? `\r\x1b[K${text}` : `${text}\n`);
    isOpen = isTerminal;
    isStale = false;
    lastShown = now();
  };

  return {
    update(text) {
      current = text;
      isStale = true;
      if (now() - lastShown >= interval) show();
    },
    note(text) {
      stream.write(isOpen ? `\r\x1b[K${text}\n` : `${text}\n`);
      if (isOpen) show();
    },
    done() {
      if (isStale) show();
      if (isOpen) stream.write('\n');
      isOpen = false;
      current = '';
    },
  };
}

/** Shows how many pictures are done, how fast and how long the rest takes: `looking at 12/160  30.1 images/s  5 s left`. */
export function countPictures(line: ProgressLine, doing: string): (done: number, total: number) => void {
  const started = performance.now();
  return (done, total) => {
    const rate = done / ((performance.now() - started) / 1000);
    const left = formatDuration((total - done) / rate);
    line.update(`${doing} ${done}/${total}  ${rate.toFixed(1)} images/s  ${left} left`);
  };
}

/** `0:09`, `12:34`, `1:02:03`, `3 d 04:05` (days, hours, minutes). */
export function formatDuration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-';
  const total = Math.max(0, Math.round(seconds));
  const two = (value: number): string => String(value).padStart(2, '0');
  const [days, hours, minutes] = [
    Math.floor(total / 86400),
    Math.floor(total / 3600) % 24,
    Math.floor(total / 60) % 60,
  ];
  if (days > 0) return `${days} d ${two(hours)}:${two(minutes)}`;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(total % 60)}` : `${minutes}:${two(total % 60)}`;
}

/** `640 MB`, `1.53 GB`: powers of 1000. */
export function formatBytes(bytes: number): string {
  if (bytes < 1e6) return `${Math.round(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${Math.round(bytes / 1e6)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}
