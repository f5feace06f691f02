// report.html: what a model learned and where it errs, in one page with its pictures beside it.
import { join } from 'node:path';
import type { Category, Dataset, Detection } from '@goshawk/core';
import type { ModelConfig, PreprocessConfig } from '../config/index.js';
import type { DatasetSample, DetectionDataset } from '../data/index.js';
import { writeFileAtomic } from '../files/atomic-file.js';
import type { DetectorMeasures } from '../infer/evaluate-detector.js';
import { dataFigures } from './data-figures.js';
import type { ErrorFigures } from './error-figures.js';
import { errorsData, goodPictures, type KeptErrors, keptErrors } from './errors-data.js';
import type { SeenPicture, StoredReport } from './page/report-data.js';
import { pageText } from './page-text.js';
import { ReportPictures } from './report-pictures.js';
import { PICTURE_LIMITS, type Thumbnails } from './thumbnails.js';
import { type HistoryRecord, trainingHistory } from './training-history.js';

export const REPORT_FILE = 'report.html';

export interface ReportInput {
  readonly title: string;
  /** Name and value of what a reader wants to know first. */
  readonly about: readonly (readonly [string, string])[];
  readonly model: ModelConfig;
  readonly preprocess: PreprocessConfig;
  /** What was evaluated, and what it is called. */
  readonly name: string;
  readonly dataset: Pick<DetectionDataset, 'annotations' | 'samples' | 'exifOrientation' | 'load'>;
  readonly detections: readonly Detection[];
  readonly measures: DetectorMeasures;
  /** Absent for a model that gives proposals. */
  readonly errors: ErrorFigures | undefined;
  /** What it was trained on. */
  readonly training?: { readonly name: string; readonly dataset: Dataset };
  /** The lines of metrics.jsonl. */
  readonly history?: readonly HistoryRecord[];
  readonly batch?: readonly SeenPicture[];
}

/** Writes the page, and the pictures that it shows and that are not there yet. */
export async function writeReport(output: string, input: ReportInput, thumbnails: Thumbnails): Promise<void> {
  const { dataset, errors } = input;
  const kept: KeptErrors = errors ? keptErrors(errors) : { pairs: [], examples: [] };
  await thumbnails.add(worstFirst(input, kept), dataset);
  writeFileAtomic(join(output, REPORT_FILE), pageText(reportData(input, kept, thumbnails)));
}

/** What the page shows. */
export function reportData(
  input: ReportInput,
  kept: KeptErrors,
  thumbnails: Pick<Thumbnails, 'fileOf' | 'count'>,
): StoredReport {
  const { dataset, detections, measures, errors, training, history, model, preprocess } = input;
  const { annotations } = dataset;
  const pictures = new ReportPictures({
    dataset: annotations,
    detections,
    counted: kept.examples,
    overlapping: errors?.overlapping ?? [],
  });
  const evaluation = errors && (measures.evaluations.get(errors.iouType) ?? [...measures.evaluations.values()][0]);
  const curves = history && trainingHistory(history);
  const common = { model, preprocess };
  const total = annotations.images.length;
  return {
    title: input.title,
    made: `written ${new Date().toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    about: [...input.about, [input.name, `${total.toLocaleString('en')} pictures`]],
    figures: measures.figures,
    ...(curves && { history: curves }),
    categories: sorted(annotations.categories).map(({ name }) => name),
    ...(errors && evaluation && { errors: errorsData({ figures: errors, evaluation, kept, pictures }) }),
    pictures: pictures.data(({ id }) => thumbnails.fileOf(id)),
    packed: pictures.packed(),
    pictureLimit:
      thumbnails.count === total
        ? ''
        : `The report has ${thumbnails.count.toLocaleString('en')} of ${total.toLocaleString('en')} pictures, those with the worst mistakes first: at most ${PICTURE_LIMITS.pictures.toLocaleString('en')}, and ${PICTURE_LIMITS.bytes / 1e6} MB. Of the others it shows the boxes.`,
    data: [
      dataFigures({ name: input.name, dataset: annotations, isShown: true, ...common }),
      ...(training ? [dataFigures({ ...training, isShown: false, ...common })] : []),
    ],
    batch: input.batch ?? [],
  };
}

function sorted(categories: readonly Category[]): Category[] {
  return [...categories].sort((a, b) => a.id - b.id);
}

// Of each kind of mistake, and of the good ones, so many come first.
const FIRST = 200;

/** Pictures in the order in which they are wanted. */
function worstFirst({ dataset, errors }: ReportInput, kept: KeptErrors): DatasetSample[] {
  const order = new Set<number>();
  const background = errors?.confusion.categories.length;
  const kinds = [
    kept.pairs.filter(({ truth }) => truth === background),
    kept.pairs.filter(({ found }) => found === background),
    kept.pairs.filter(({ truth, found }) => truth !== found && truth !== background && found !== background),
  ];
  const good = errors ? goodPictures(errors, dataset.annotations) : [];
  const lists = [
    ...kinds.map((pairs) => [...pairs].sort((a, b) => weight(b) - weight(a)).map(({ image }) => image.id)),
    good.map((place) => dataset.annotations.images[place]!.id),
  ];
  for (const list of lists) for (const id of list.slice(0, FIRST)) order.add(id);
  for (const list of [...lists, kept.examples.map(({ image }) => image.id)]) for (const id of list) order.add(id);
  const samples = new Map(dataset.samples.map((sample) => [sample.image.id, sample]));
  for (const id of samples.keys()) order.add(id);
  return [...order].flatMap((id) => samples.get(id) ?? []);
}

function weight({ detection, object }: KeptErrors['pairs'][number]): number {
  return detection?.score ?? object!.area;
}
