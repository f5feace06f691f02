// A server of detections: the threads that look at pictures, the routes, and the connections.
import { synthesizeScene } from '@goshawk/core';
import { getRequestListener } from '@hono/node-server';
import { encodePng } from '../data/encode-png.js';
import { type Connections, listen } from './connections.js';
import { ServeMetrics } from './metrics.js';
import { openApiDocument } from './openapi.js';
import { PictureLine } from './picture-line.js';
import { HeldBytes } from './read-body.js';
import { routeName, routesOf, type ServedModel } from './routes.js';
import { type DetectDefaults, heldBytes, type ServeLimits } from './settings.js';
import type { ModelFacts, ModelSource } from './thread-messages.js';

export interface ServerOptions {
  /** What the model is called in answers. */
  readonly name: string;
  /** Of goshawk. */
  readonly version: string;
  readonly source: ModelSource;
  readonly host: string;
  /** 0: a free one. */
  readonly port: number;
  /** What a request must bring; absent: only this machine's own programs are answered. */
  readonly token?: string | undefined;
  readonly limits: ServeLimits;
  readonly keypointThreshold: number;
  readonly defaultsFor: (facts: ModelFacts) => DetectDefaults;
}

export interface RunningServer {
  readonly port: number;
  /** When the probe picture has been looked at. @throws InputError where the model cannot be opened */
  readonly ready: Promise<ServedModel>;
  /** Ends by an error when a thread has ended by one. */
  readonly failed: Promise<never>;
  /** Takes no more connections, answers what is on its way, and ends. @returns requests that were cut off after `seconds` */
  drain(seconds: number): Promise<number>;
}

/** @throws InputError where the address cannot be listened on */
export async function startServer(options: ServerOptions): Promise<RunningServer> {
  const { limits, token, source, keypointThreshold, version } = options;
  const metrics = new ServeMetrics();
  const held = new HeldBytes(heldBytes(limits));
  const line = new PictureLine({
    detector: { source, keypointThreshold },
    maxPixels: limits.maxPixels,
    queue: limits.queue,
  });
  let [model, state]: [ServedModel | undefined, 'loading' | 'ready' | 'draining' | 'failed'] = [undefined, 'loading'];
  const failed = new Promise<never>((_, fail) => {
    line.onBroken = (error) => {
      state = 'failed';
      fail(error);
    };
  });
  failed.catch(() => undefined);
  const app = routesOf({
    ...{ line, limits, metrics, held, access: { token } },
    openApi: `${JSON.stringify(openApiDocument({ version, limits, hasToken: token !== undefined }), undefined, 2)}\n`,
    model: () => model,
    state: () => state,
    connections: () => connections?.open ?? 0,
  });
  let connections: Connections | undefined;
  const answer = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  try {
    connections = await listen({
      ...{ host: options.host, port: options.port, limits },
      onRequest: (request, response) => void answer(request, response),
      onAnswer: (request, status) =>
        metrics.requests.add({ route: request ? routeName(request) : 'other', code: String(status) }),
    });
  } catch (error) {
    await line.close();
    throw error;
  }
  const ready = line.opened.then(async (facts) => {
    const opened = { name: options.name, version, facts, defaults: options.defaultsFor(facts) };
    await lookAtProbe(line);
    model = opened;
    if (state === 'loading') state = 'ready';
    return opened;
  });
  ready.catch(() => undefined);
  const own = connections;
  return {
    port: own.port,
    ready,
    failed,
    async drain(seconds) {
      state = 'draining';
      const cut = await own.drain(seconds);
      await line.close();
      return cut;
    },
  };
}

const PROBE = { seed: 1, index: 0, width: 160, height: 120 } as const;

/** The whole way once, before anybody is told that it is open: whatever is made at first use is made by then. */
async function lookAtProbe(line: PictureLine): Promise<void> {
  const bytes = new Uint8Array(await encodePng(synthesizeScene(PROBE).image));
  const picture = { fileName: 'probe.png', bytes, imageId: 0, thresholds: 0, maxDetections: 100, draw: false };
  const [found] = await line.detect([picture], new AbortController().signal);
  const entries = JSON.parse(`[${found!.lines}]`) as readonly {
    readonly bbox?: readonly number[];
    readonly score: number;
  }[];
  const isNumber = (value: unknown): boolean => typeof value === 'number' && Number.isFinite(value);
  // JSON has null for what is no number.
  if (!entries.every(({ bbox = [], score }) => [score, ...bbox].every(isNumber)))
    throw new Error('the model finds boxes that are no numbers in the probe picture: train or export it again');
}
