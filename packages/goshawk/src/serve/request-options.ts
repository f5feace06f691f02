// What a request asks for besides its pictures: the query, and the form of the answer.
import { Refusal } from './refusal.js';

export interface RequestOptions {
  readonly scoreThreshold?: number;
  readonly maxDetections?: number;
}

/** @throws Refusal naming the parameter */
export function optionsOf(query: URLSearchParams): RequestOptions {
  const known: ReadonlySet<string> = new Set(['score_threshold', 'max_detections']);
  for (const name of query.keys()) {
    if (!known.has(name)) throw bad(name, `is not known (expected ${[...known].join(' or ')})`);
    if (query.getAll(name).length > 1) throw bad(name, 'is there more than once');
  }
  const scoreThreshold = numberIn(query, 'score_threshold', { least: 0, most: 1, pattern: /^\d*\.?\d+(e-?\d+)?$/i });
  const maxDetections = numberIn(query, 'max_detections', { least: 1, most: 10000, pattern: /^\d+$/ });
  return {
    ...(scoreThreshold !== undefined && { scoreThreshold }),
    ...(maxDetections !== undefined && { maxDetections }),
  };
}

function numberIn(
  query: URLSearchParams,
  name: string,
  { least, most, pattern }: { readonly least: number; readonly most: number; readonly pattern: RegExp },
): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const value = Number(text);
  if (!pattern.test(text) || !(value >= least && value <= most))
    throw bad(name, `is '${text.slice(0, 40)}' (expected a number from ${least} to ${most})`);
  return value;
}

function bad(name: string, problem: string): Refusal {
  return new Refusal({
    status: 400,
    code: 'bad-parameter',
    message: `${name.slice(0, 40)}: ${problem}: correct the query`,
  });
}

const FORMS = ['application/json', 'image/png'] as const;
export type AnswerForm = (typeof FORMS)[number];

/** The form that an Accept header prefers; JSON where it has none. @throws Refusal where it takes neither */
export function answerForm(accept: string | undefined): AnswerForm {
  const ranges = (accept ?? '*/*').split(',').map(mediaRange);
  const rated = FORMS.map((form) => {
    const [kind] = form.split('/');
    // The most exact range decides (RFC 9110, 12.5.1).
    const own = [form, `${kind}/*`, '*/*'].map((type) => ranges.find((range) => range.type === type));
    return { form, quality: own.find((range) => range !== undefined)?.quality ?? 0 };
  });
  const best = rated.reduce((a, b) => (b.quality > a.quality ? b : a));
  if (best.quality > 0) return best.form;
  throw new Refusal({
    status: 406,
    code: 'not-acceptable',
    message: `accept: is '${accept!.slice(0, 80)}' (expected ${FORMS.join(' or ')}): name one of them`,
  });
}

function mediaRange(text: string): { readonly type: string; readonly quality: number } {
  const [type = '', ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const quality = parameters.find((parameter) => parameter.startsWith('q='))?.slice(2);
  const value = quality === undefined ? 1 : Number(quality);
  return { type, quality: value >= 0 && value <= 1 ? value : 0 };
}
