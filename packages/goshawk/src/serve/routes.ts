// What each path answers.
import type { IncomingMessage, ServerResponse } from 'node:http';
import { listText } from '@goshawk/core';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { type AccessRules, requireAccess } from './access.js';
import type { ServeMetrics } from './metrics.js';
import type { FoundPicture, PictureLine } from './picture-line.js';
import { BodyCut, type HeldBytes, readBody } from './read-body.js';
import { Refusal, refusalBody } from './refusal.js';
import { type AnswerForm, answerForm, optionsOf } from './request-options.js';
import { picturesOf, requirePlain } from './request-pictures.js';
import type { DetectDefaults, ServeLimits } from './settings.js';
import type { ModelFacts } from './thread-messages.js';

export interface RouteParts {
  readonly line: PictureLine;
  readonly limits: ServeLimits;
  readonly access: AccessRules;
  readonly metrics: ServeMetrics;
  readonly held: HeldBytes;
  /** The OpenAPI document, as text. */
  readonly openApi: string;
  /** Once it is open. */
  readonly model: () => ServedModel | undefined;
  readonly state: () => 'loading' | 'ready' | 'draining' | 'failed';
  readonly connections: () => number;
}

export interface ServedModel {
  readonly name: string;
  readonly version: string;
  readonly facts: ModelFacts;
  readonly defaults: DetectDefaults;
}

/** Paths, each with the method that it answers. */
export const ROUTES = {
  '/v1/detect': 'POST',
  '/v1/model': 'GET',
  '/healthz': 'GET',
  '/readyz': 'GET',
  '/metrics': 'GET',
  '/openapi.json': 'GET',
} as const;

type Env = { Bindings: HttpBindings };

export function routesOf(parts: RouteParts): Hono<Env> {
  const { line, access, metrics, held, model, state, connections } = parts;
  const app = new Hono<Env>();
  app.use(async (context, next) => {
    requireAccess(context.env.incoming, context.req.path, access);
    await next();
    context.header('x-content-type-options', 'nosniff');
    context.header('cache-control', 'no-store');
  });
  app.get('/healthz', (context) => context.json({ status: 'ok' }));
  app.get('/readyz', (context) => context.json({ status: state() }, state() === 'ready' ? 200 : 503));
  app.get('/v1/model', (context) => {
    const served = model();
    if (!served) throw notReady();
    return context.json(modelAnswer(served, parts.limits));
  });
  app.get('/metrics', (context) => {
    const served = model();
    const { type = '', runtime = '', sha256 = '' } = served?.facts ?? {};
    const text = metrics.text({
      ...{ waiting: line.waiting, inside: line.inside, heldBytes: held.held, connections: connections() },
      isReady: state() === 'ready',
      model: { name: served?.name ?? '', type, runtime, sha256, version: served?.version ?? '' },
    });
    return context.body(text, 200, { 'content-type': 'text/plain; version=0.0.4; charset=utf-8' });
  });
  app.get('/openapi.json', (context) => context.body(parts.openApi, 200, JSON_TYPE));
  app.post('/v1/detect', (context) => detect(context, parts));
  for (const [path, method] of Object.entries(ROUTES))
    app.all(path, () => {
      throw new Refusal({
        status: 405,
        code: 'method-not-allowed',
        message: `${path}: does not take this method (expected ${method}): use it`,
        headers: { allow: method === 'GET' ? 'GET, HEAD' : method },
      });
    });
  app.notFound(() =>
    refusedWith(
      new Refusal({
        status: 404,
        code: 'not-found',
        message: `path: is none of this server's (expected ${Object.keys(ROUTES).join(', ')}): correct it`,
      }),
    ),
  );
  app.onError((error) => {
    if (error instanceof Refusal) return refusedWith(error);
    if (!(error instanceof BodyCut)) console.error(`goshawk serve: ${error.stack ?? error.message}`);
    return refusedWith(
      new Refusal({ status: 500, code: 'failed', message: "the server failed: see the server's log" }),
    );
  });
  return app;
}

const JSON_TYPE = { 'content-type': 'application/json' } as const;

async function detect(context: Context<Env>, parts: RouteParts): Promise<Response> {
  const { line, limits, held, metrics } = parts;
  const { incoming, outgoing } = context.env;
  const started = performance.now();
  outgoing.once('close', () => metrics.requestSeconds.add((performance.now() - started) / 1000));
  const form = answerForm(incoming.headers.accept);
  requirePlain(incoming.headers['content-encoding']);
  const options = optionsOf(new URL(incoming.url ?? '', 'http://here').searchParams);
  const served = parts.model();
  // Before a body is taken that nobody would look at.
  line.requireRoom(1);
  if (!served) throw notReady();
  const body = await readBody(incoming, limits.maxBytes, held);
  const bytes = body.length;
  try {
    const arrived = performance.now();
    const { maxDetections = served.defaults.maxDetections, scoreThreshold } = options;
    const thresholds = scoreThreshold ?? served.defaults.thresholds;
    const pictures = await picturesOf(body, incoming.headers['content-type'], limits.maxPictures);
    if (form === 'image/png' && pictures.length > 1)
      throw new Refusal({
        status: 406,
        code: 'not-acceptable',
        message: `form: has ${pictures.length} pictures (expected one where accept is image/png): send them one by one`,
      });
    const draw = form === 'image/png';
    const jobs = pictures.map((picture, place) => ({
      ...picture,
      imageId: place + 1,
      thresholds,
      maxDetections,
      draw,
    }));
    const found = await withinDeadline(outgoing, limits.deadline, (signal) => line.detect(jobs, signal));
    count(found, metrics, served.facts);
    return answer(found, form, performance.now() - arrived);
  } finally {
    held.give(bytes);
  }
}

/** @throws Refusal where time is over; the work is told when it is, and when the client has left */
async function withinDeadline<T>(
  outgoing: ServerResponse,
  seconds: number,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const control = new AbortController();
  let leave = (): void => undefined;
  let timer: NodeJS.Timeout | undefined;
  const over = new Promise<never>((_, fail) => {
    leave = () => fail(new BodyCut('the client has left'));
    timer = setTimeout(() => fail(late(seconds)), seconds * 1000);
  });
  outgoing.once('close', leave);
  try {
    return await Promise.race([work(control.signal), over]);
  } finally {
    control.abort();
    clearTimeout(timer);
    outgoing.off('close', leave);
  }
}

function late(seconds: number): Refusal {
  return new Refusal({
    status: 504,
    code: 'deadline',
    message: `deadline: no answer within ${seconds} s: send fewer or smaller pictures, or try later`,
  });
}

function count(found: readonly FoundPicture[], metrics: ServeMetrics, { categories }: ModelFacts): void {
  const names = new Map(categories.map(({ id, name }) => [id, name]));
  for (const { decodeMs, ms, counts } of found) {
    metrics.pictures += 1;
    metrics.decodeSeconds.add(decodeMs / 1000);
    metrics.detectSeconds.add(ms / 1000);
    for (const [id, amount] of counts) metrics.detections.add({ category: names.get(id) ?? String(id) }, amount);
  }
}

/** The detections as a results file has them, and the pictures' sizes. */
function answer(found: readonly FoundPicture[], form: AnswerForm, totalMs: number): Response {
  if (form === 'image/png')
    return new Response(found[0]!.png as Uint8Array<ArrayBuffer>, { headers: { 'content-type': 'image/png' } });
  const images = found.map(({ fileName, width, height }, place) => ({
    id: place + 1,
    file_name: fileName,
    width,
    height,
  }));
  const lines = found.map((own) => own.lines).filter((own) => own !== '');
  const list = lines.length === 0 ? listText.empty : listText.open + lines.join(listText.between) + listText.close;
  const ms = (of: (own: FoundPicture) => number): number => round(found.reduce((sum, own) => sum + of(own), 0));
  const timing = { total: round(totalMs), decode: ms(({ decodeMs }) => decodeMs), detect: ms((own) => own.ms) };
  const text = `{"images": ${JSON.stringify(images)},\n"detections": ${list},\n"timing": ${JSON.stringify(timing)}}\n`;
  return new Response(text, { headers: JSON_TYPE });
}

function round(ms: number): number {
  return Math.round(ms * 100) / 100;
}

function modelAnswer({ name, version, facts, defaults }: ServedModel, limits: ServeLimits): object {
  const { thresholds, maxDetections } = defaults;
  const { type, runtime, sha256, precision, threads, categories, preprocess, exifOrientation } = facts;
  return {
    ...{ name, type, runtime, sha256, precision, threads, goshawk: version },
    categories: categories.map((category) => ({ ...category, score_threshold: thresholds.get(category.id) })),
    defaults: { max_detections: maxDetections },
    ...{ preprocess, exifOrientation, limits },
  };
}

function notReady(): Refusal {
  return new Refusal({
    status: 503,
    code: 'not-ready',
    message: 'the model is being opened: wait for /readyz',
    headers: { 'retry-after': '1' },
  });
}

function refusedWith({ facts }: Refusal): Response {
  const { status, headers } = facts;
  return new Response(refusalBody(facts), {
    status,
    headers: { ...JSON_TYPE, 'cache-control': 'no-store', ...headers },
  });
}

/** The route's name in counts: of a bounded number. */
export function routeName(request: Pick<IncomingMessage, 'url'>): string {
  const path = (request.url ?? '').split('?')[0]!;
  return path in ROUTES ? path : 'other';
}
