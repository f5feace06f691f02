// A data set in parts for training, validation and testing: pictures that belong together stay together, and every category is
// spread over the parts.
import { InputError } from '../errors/index.js';
import type { Dataset } from '../formats/dataset.js';
import { createRandom, randomPermutation } from '../random/index.js';

export interface SplitPart {
  readonly name: string;
  /** Its share of the pictures; the shares of all parts add up to 1. */
  readonly share: number;
}

export interface SplitDatasetOptions {
  readonly parts: readonly SplitPart[];
  /** Another seed is another split. Default 0. */
  readonly seed?: number;
  /** Ids of pictures that must not be in different parts: the same scene twice, frames of one film. */
  readonly together?: readonly (readonly number[])[];
}

/**
 * The parts in the given order, pictures and annotations in the order of the data set; ids stay, and each part has all
 * categories. Groups of pictures are dealt out one after the other, those with the rarest category first, each to the part
 * that lacks most objects of it (after Sechidis, Tsoumakas and Vlahavas, "On the Stratification of Multi-label Data", ECML 2011).
 * @throws InputError for parts that do not add up, and for more parts than groups of pictures
 */
export function splitDataset(dataset: Dataset, options: SplitDatasetOptions): { name: string; dataset: Dataset }[] {
  const { parts, seed = 0, together = [] } = options;
  const total = parts.reduce((sum, { share }) => sum + share, 0);
  if (parts.length === 0 || parts.some(({ share }) => !(share > 0)) || Math.abs(total - 1) > 1e-6)
    throw new InputError('usage', `splitDataset: shares must be above 0 and add up to 1, got ${total}: correct them`);
  const groups = groupsOf(dataset, together);
  if (groups.length < parts.length)
    throw new InputError(
      'annotation-invalid',
      `splitDataset: ${groups.length} pictures or groups of them cannot fill ${parts.length} parts: ask for fewer parts`,
    );
  const order = randomPermutation(groups.length, createRandom(seed));
  const partOf = deal(
    Array.from(order, (index) => groups[index]!),
    parts,
  );
  return parts.map(({ name }, part) => ({ name, dataset: only(dataset, (id) => partOf.get(id) === part) }));
}

interface PictureGroup {
  readonly images: readonly number[];
  /** Objects by category id. */
  readonly objects: ReadonlyMap<number, number>;
}

function groupsOf({ images, annotations }: Dataset, together: readonly (readonly number[])[]): PictureGroup[] {
  // A picture's group is found by its first member, which stands for it.
  const leader = new Map(images.map(({ id }) => [id, id]));
  const find = (id: number): number => {
    let at = id;
    while (leader.get(at) !== at) at = leader.get(at)!;
    return at;
  };
  for (const [first, ...others] of together) {
    if (first === undefined || !leader.has(first)) continue;
    for (const other of others) if (leader.has(other)) leader.set(find(other), find(first));
  }
  const groups = new Map<number, { images: number[]; objects: Map<number, number> }>();
  for (const { id } of images) {
    const group = groups.get(find(id));
    if (group === undefined) groups.set(find(id), { images: [id], objects: new Map() });
    else group.images.push(id);
  }
  for (const { imageId, categoryId } of annotations) {
    const objects = groups.get(find(imageId))?.objects;
    objects?.set(categoryId, (objects.get(categoryId) ?? 0) + 1);
  }
  return [...groups.values()];
}

/** By picture the index of its part. */
function deal(groups: readonly PictureGroup[], parts: readonly SplitPart[]): Map<number, number> {
  const totals = new Map<number, number>();
  for (const { objects } of groups) for (const [id, count] of objects) totals.set(id, (totals.get(id) ?? 0) + count);
  const rarity = ({ objects }: PictureGroup) => Math.min(...[...objects.keys()].map((id) => totals.get(id)!));
  const pictures = groups.reduce((sum, { images }) => sum + images.length, 0);
  const lacks = parts.map(({ share }) => ({
    pictures: share * pictures,
    objects: new Map([...totals].map(([id, count]) => [id, share * count])),
  }));
  const partOf = new Map<number, number>();
  const sizes = parts.map(() => 0);
  // Infinity for those without objects: they fill up at the end.
  const sorted = [...groups].sort((a, b) => compare(rarity(a), rarity(b)) || b.images.length - a.images.length);
  sorted.forEach((group, turn) => {
    const rarest = [...group.objects.keys()].sort((a, b) => totals.get(a)! - totals.get(b)! || a - b)[0];
    const need = (part: number) => (rarest === undefined ? 0 : lacks[part]!.objects.get(rarest)!);
    const left = sorted.length - turn;
    const empty = sizes.filter((size) => size === 0).length;
    let best = -1;
    for (let part = 0; part < parts.length; part++) {
      // The last groups are for the parts that have none.
      if (left <= empty && sizes[part]! > 0) continue;
      if (best < 0 || need(part) > need(best)) best = part;
      else if (need(part) === need(best) && lacks[part]!.pictures > lacks[best]!.pictures) best = part;
    }
    for (const id of group.images) partOf.set(id, best);
    sizes[best]!++;
    lacks[best]!.pictures -= group.images.length;
    for (const [id, count] of group.objects) lacks[best]!.objects.set(id, lacks[best]!.objects.get(id)! - count);
  });
  return partOf;
}

function compare(a: number, b: number): number {
  return a === b ? 0 : a < b ? -1 : 1;
}

/** The pictures whose ids are kept, with their objects. */
function only(dataset: Dataset, isKept: (imageId: number) => boolean): Dataset {
  return {
    ...dataset,
    images: dataset.images.filter(({ id }) => isKept(id)),
    annotations: dataset.annotations.filter(({ imageId }) => isKept(imageId)),
  };
}
