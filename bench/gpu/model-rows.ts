// Models of every kind on the card beside the CPU (packages/goshawk/src/testing/models-on-device.ts) as rows of the report, one a kind.
import type { ModelLine } from '../../packages/goshawk/dist/testing/models-on-device.js';
import type { Row } from './child-lines.js';
import { eachAnswering } from './each-answering.js';
import type { KernelCheck } from './kernel-rows.js';
import { endOf, programPath, runProgram } from './programs.js';

export async function checkModels(check: KernelCheck & { readonly choice: ModelChoice }): Promise<Row[]> {
  const { device, env, limit, atOnce, choice } = check;
  const ending = Date.now() + limit * 1000;
  const program = programPath('../../../packages/goshawk/dist/testing/models-on-device.js');
  const listed = await runProgram([program, '--list'], { env, limit });
  if (listed.code !== 0) throw new Error(endOf(listed));
  const every = listed.lines.map((line) => JSON.parse(line) as ModelLine);
  const models = every.filter((one) => isChosen(one, choice, every));
  const lines: ModelLine[] = [];
  const ends = await eachAnswering({
    ...{ program: [program, device], names: models.map(({ name }) => name), env, atOnce },
    limit: (ending - Date.now()) / 1000,
    onLine: (text) => {
      const line = JSON.parse(text) as ModelLine;
      lines.push(line);
      return line.name;
    },
  });
  const kinds = [...new Set(models.map(({ detector }) => detector))];
  return kinds.map((kind) => {
    const own = models.filter(({ detector }) => detector === kind);
    return rowOf(
      kind,
      own,
      lines.filter(({ detector }) => detector === kind),
      ends,
    );
  });
}

/** Which models: the first of each kind, all backbones with one neck and one backbone with all necks, or all of them. */
export type ModelChoice = 'kinds' | 'parts' | 'all';

function isChosen(one: ModelLine, choice: ModelChoice, all: readonly ModelLine[]): boolean {
  const backboneOf = ({ name }: ModelLine): string => name.split(' with ')[0]!;
  const firstOfKind = all.find(({ detector }) => detector === one.detector)!;
  if (choice === 'all' || one === firstOfKind) return true;
  if (choice === 'kinds') return false;
  const firstOfBackbone = all.find((other) => backboneOf(other) === backboneOf(one));
  return backboneOf(one) === backboneOf(firstOfKind) || one === firstOfBackbone;
}

function rowOf(
  kind: string,
  models: readonly ModelLine[],
  lines: readonly ModelLine[],
  ends: ReadonlyMap<string, string>,
): Row {
  const right = lines.filter(({ problem }) => problem === undefined);
  const name = `model ${kind}`;
  const worst = (part: 'losses' | 'gradients' | 'corners' | 'scores' | 'shapes'): string =>
    Math.max(0, ...lines.map((line) => line[part] ?? 0)).toExponential(1);
  const sumOf = (part: 'detections' | 'ties'): number => lines.reduce((sum, line) => sum + (line[part] ?? 0), 0);
  const detail =
    `${right.length} of ${models.length} as on the CPU in float64: losses within ${worst('losses')}, ` +
    `gradients ${worst('gradients')}, ${sumOf('detections')} detections (${sumOf('ties')} of equal scores left out): corners ${worst('corners')} px, scores ${worst('scores')}, masks and keypoints ${worst('shapes')}`;
  if (right.length === models.length) return { name, state: 'ok', detail };
  const wrong = lines.filter(({ problem }) => problem !== undefined).map((line) => `${line.name}: ${line.problem}`);
  const ended = models.flatMap((one) => (ends.has(one.name) ? [`${one.name}: ${ends.get(one.name)}`] : []));
  return { name, state: 'failed', detail: `${detail}; ${[...wrong, ...ended].slice(0, 6).join('; ')}` };
}
