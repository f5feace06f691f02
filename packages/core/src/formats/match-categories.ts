// Whether two lists of categories mean the same things. Ids are only numbers that a file chose: exporters count them from 0
// or 1, or in another order each time, and results compared by such ids are wrong without a sign of it. Names decide.
import type { Category } from './dataset.js';

/** What of a category is compared. */
export type NamedCategory = Pick<Category, 'id' | 'name'>;

export type CategoryMatch =
  | {
      /**
       * `same`: every id has the same name, in the same order. `by-name`: the names are the same, the order of the lists or the
       * ids are not.
       */
      readonly kind: 'same' | 'by-name';
      /** From the ids of the one list to those of the other; ids of one name map to one another. */
      readonly idOf: ReadonlyMap<number, number>;
      /** What differs; `ids` may go with another order. */
      readonly differs: 'nothing' | 'order' | 'ids';
      /** The first difference in words, such as `'cat' is id 1 there and id 2 here`; empty where nothing differs. */
      readonly words: string;
    }
  | {
      readonly kind: 'different';
      /** The first difference in words, for the brackets of a message. */
      readonly words: string;
    };

export interface MatchCategoriesOptions {
  /** true: `to` may have categories that `from` lacks, as where `from` are those that occur in a results file. Default false. */
  readonly allowMore?: boolean;
}

/**
 * Matches the categories of `from` to those of `to`. A category with the same id and name in both is itself. The others go by
 * their names, which then have to be names of one category in each list.
 * @param from for instance a checkpoint's or a results file's
 * @param to for instance the ground truth's
 */
export function matchCategories(
  from: readonly NamedCategory[],
  to: readonly NamedCategory[],
  { allowMore = false }: MatchCategoriesOptions = {},
): CategoryMatch {
  const nameAt = new Map(to.map(({ id, name }) => [id, name]));
  const idOf = new Map<number, number>();
  for (const { id, name } of from) if (nameAt.get(id) === name) idOf.set(id, id);
  const leftFrom = from.filter(({ id }) => !idOf.has(id));
  const leftTo = groupByName(to.filter(({ id }) => !idOf.has(id)));
  const twice = [...groupByName(leftFrom)].find(([name, ids]) => ids.length > 1 && leftTo.has(name));
  if (twice !== undefined) return { kind: 'different', words: sharedName(twice[0], twice[1]) };
  for (const { id, name } of leftFrom) {
    const ids = leftTo.get(name);
    if (ids === undefined) return { kind: 'different', words: `'${name}' (id ${id}) is there and not here` };
    if (ids.length > 1) return { kind: 'different', words: sharedName(name, ids) };
    idOf.set(id, ids[0]!);
    leftTo.delete(name);
  }
  const [missing] = leftTo;
  if (missing !== undefined && !allowMore)
    return { kind: 'different', words: `'${missing[0]}' (id ${missing[1][0]}) is here and not there` };
  const moved = leftFrom[0];
  if (moved !== undefined) {
    const words = `'${moved.name}' is id ${moved.id} there and id ${idOf.get(moved.id)} here`;
    return { kind: 'by-name', idOf, differs: 'ids', words };
  }
  // Which categories a results file has first says nothing.
  const at = allowMore ? -1 : from.findIndex(({ id }, index) => id !== to[index]?.id);
  if (at < 0) return { kind: 'same', idOf, differs: 'nothing', words: '' };
  const words = `number ${at + 1} is '${from[at]!.name}' there and '${to[at]!.name}' here`;
  return { kind: 'by-name', idOf, differs: 'order', words };
}

function sharedName(name: string, ids: readonly number[]): string {
  return `'${name}' is the name of ids ${ids.join(' and ')}, which only ids tell apart`;
}

function groupByName(categories: readonly NamedCategory[]): Map<string, number[]> {
  const ids = new Map<string, number[]>();
  for (const { id, name } of categories) {
    const group = ids.get(name);
    if (group === undefined) ids.set(name, [id]);
    else group.push(id);
  }
  return ids;
}
