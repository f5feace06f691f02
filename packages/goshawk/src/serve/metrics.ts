// Counts of a server in the text format of Prometheus (version 0.0.4).

const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30];

type Labels = Readonly<Record<string, string>>;

/** A number for each set of labels. */
export class Counts {
  readonly #values = new Map<string, number>();

  add(labels: Labels, amount = 1): void {
    const key = textOf(labels);
    this.#values.set(key, (this.#values.get(key) ?? 0) + amount);
  }

  lines(name: string): string[] {
    return [...this.#values].map(([labels, value]) => `${name}${labels} ${value}`);
  }
}

/** How often what took so long, in buckets of seconds. */
export class Durations {
  readonly #buckets = SECONDS.map(() => 0);
  #count = 0;
  #sum = 0;

  add(seconds: number): void {
    this.#count += 1;
    this.#sum += seconds;
    for (const [place, most] of SECONDS.entries()) if (seconds <= most) this.#buckets[place]! += 1;
  }

  lines(name: string): string[] {
    const buckets = SECONDS.map((most, place) => `${name}_bucket{le="${most}"} ${this.#buckets[place]}`);
    return [
      ...buckets,
      `${name}_bucket{le="+Inf"} ${this.#count}`,
      `${name}_sum ${this.#sum}`,
      `${name}_count ${this.#count}`,
    ];
  }
}

/** What is counted as it happens. */
export class ServeMetrics {
  /** By route and status. */
  readonly requests = new Counts();
  /** Of requests for detections, from the first byte to the last of the answer. */
  readonly requestSeconds = new Durations();
  readonly decodeSeconds = new Durations();
  readonly detectSeconds = new Durations();
  /** By category name. */
  readonly detections = new Counts();
  pictures = 0;

  /** @param now what is so at this moment */
  text(now: {
    readonly waiting: number;
    readonly inside: number;
    readonly heldBytes: number;
    readonly connections: number;
    readonly isReady: boolean;
    readonly model: Labels;
  }): string {
    const gauge = (name: string, value: number): string[] => [`${name} ${value}`];
    const { user, system } = process.cpuUsage();
    const started = Date.now() / 1000 - process.uptime();
    const families: readonly (readonly [
      name: string,
      type: string,
      help: string,
      lines: (name: string) => string[],
    ])[] = [
      [
        'goshawk_requests_total',
        'counter',
        'Answered requests; code 499: the client left before',
        (n) => this.requests.lines(n),
      ],
      [
        'goshawk_detect_request_seconds',
        'histogram',
        'Requests for detections, whole',
        (n) => this.requestSeconds.lines(n),
      ],
      ['goshawk_decode_seconds', 'histogram', 'Decoding of a picture', (n) => this.decodeSeconds.lines(n)],
      [
        'goshawk_detect_seconds',
        'histogram',
        'Network with what is before and behind it, a picture',
        (n) => this.detectSeconds.lines(n),
      ],
      ['goshawk_pictures_total', 'counter', 'Pictures that were looked at', (n) => gauge(n, this.pictures)],
      ['goshawk_detections_total', 'counter', 'Detections in answers', (n) => this.detections.lines(n)],
      ['goshawk_queue_pictures', 'gauge', 'Pictures that wait', (n) => gauge(n, now.waiting)],
      ['goshawk_pictures_in_work', 'gauge', 'Pictures that are decoded or looked at', (n) => gauge(n, now.inside)],
      ['goshawk_held_bytes', 'gauge', 'Bodies in memory', (n) => gauge(n, now.heldBytes)],
      ['goshawk_connections', 'gauge', 'Open connections', (n) => gauge(n, now.connections)],
      ['goshawk_ready', 'gauge', '1 where the model answers', (n) => gauge(n, now.isReady ? 1 : 0)],
      ['goshawk_model_info', 'gauge', 'What is served', (n) => [`${n}${textOf(now.model)} 1`]],
      ['process_resident_memory_bytes', 'gauge', 'Memory of the process', (n) => gauge(n, process.memoryUsage.rss())],
      ['process_cpu_seconds_total', 'counter', 'Processor time', (n) => gauge(n, (user + system) / 1e6)],
      ['process_start_time_seconds', 'gauge', 'Start, seconds since 1970', (n) => gauge(n, started)],
    ];
    const lines = families.flatMap(([name, type, help, own]) => [
      `# HELP ${name} ${help}`,
      `# TYPE ${name} ${type}`,
      ...own(name),
    ]);
    return `${lines.join('\n')}\n`;
  }
}

function textOf(labels: Labels): string {
  const parts = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return parts.length === 0 ? '' : `{${parts.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
