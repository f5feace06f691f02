// A value of a translated config that our schema refuses, found among the values of the Python file that it came from.
import { InputError } from '@goshawk/core';
import { validationProblem } from '../../config/index.js';
import type { PythonContent, PythonEntry, PythonValue } from './python-data.js';
import type { ReadingNotes } from './python-section.js';
import { translatedProblem } from './translated-problem.js';

type Entries = ReadonlyMap<string, PythonEntry>;

/**
 * A value that ours cannot have is one of a number or list in the file.
 * @param again translates anew
 * @throws InputError (config-invalid) naming the place
 */
export function checkTranslation(
  value: unknown,
  entries: Entries,
  again: (notes: ReadingNotes) => unknown,
  file: string,
): void {
  const got = /: got (.+?): /.exec(validationProblem(value)?.message ?? '')?.[1];
  const problem = translatedProblem(value, likeliestFirst(placesOf(entries, ''), got), function* ({ value: place }) {
    const { content } = place;
    try {
      for (const harmless of harmlessContents(content)) {
        place.content = harmless;
        yield () => again({ idle: new Set(), notices: new Set() });
      }
    } finally {
      place.content = content;
    }
  });
  if (problem === undefined) return;
  const { candidate, message } = problem;
  const line = candidate === undefined || candidate.line === 0 ? '' : `:${candidate.line}`;
  const where = candidate?.line === 0 ? '--set' : `${file}${line}`;
  const place = candidate === undefined ? `${file}, translated: ` : `${where}: ${candidate.path}: as `;
  throw new InputError('config-invalid', `${place}${message}`);
}

interface Place {
  readonly path: string;
  readonly line: number;
  readonly value: PythonValue;
}

/** Numbers, texts and lists, from the outside in. */
function* placesOf(entries: Entries, prefix: string): Iterable<Place> {
  for (const [key, { line, value }] of entries) yield* placesIn(value, `${prefix}${key}`, line);
}

function* placesIn(value: PythonValue, path: string, line: number): Iterable<Place> {
  const { content } = value;
  if (content.kind === 'dict') yield* placesOf(content.entries, `${path}.`);
  else if (content.kind === 'list') {
    yield { path, line, value };
    for (const [index, item] of content.items.entries()) yield* placesIn(item, `${path}.${index}`, item.line);
  } else if (typeof content.value !== 'boolean' && content.value !== null) yield { path, line, value };
}

/**
 * What is far from 1 or negative is likelier to be out of bounds, and a long list than a short one; the very value that is refused
 * before all: a table of names has more numbers than are tried.
 */
function likeliestFirst(places: Iterable<Place>, got: string | undefined): Place[] {
  const oddness = ({ value: { content } }: Place): number => {
    if (content.kind === 'plain' && String(content.value) === got) return Number.POSITIVE_INFINITY;
    if (content.kind === 'list') return Math.log10(content.items.length + 1);
    const number = content.kind === 'plain' && typeof content.value === 'number' ? content.value : 1;
    return number === 0 ? 0 : Math.abs(Math.log10(Math.abs(number))) + (number < 0 ? 1 : 0);
  };
  return [...places]
    .map((place) => ({ place, oddness: oddness(place) }))
    .sort((a, b) => (a.oddness === b.oddness ? 0 : b.oddness - a.oddness))
    .map(({ place }) => place);
}

/** Values in the place of one that may be out of bounds. */
function harmlessContents(content: PythonContent): PythonContent[] {
  if (content.kind === 'list') return [{ ...content, items: content.items.slice(0, 1) }];
  if (content.kind === 'plain' && typeof content.value === 'string') return [{ kind: 'plain', value: 'x' }];
  return [1, 2, 32, 0.5, 0].map((value) => ({ kind: 'plain', value }));
}
