// The categories of a results file: ids, and names where it has them.
import type { DataIssueList } from './data-issue.js';
import { describeValue } from './data-issue.js';
import type { Category } from './dataset.js';
import { matchCategories, type NamedCategory } from './match-categories.js';

/** What was found for an id and a name. */
export interface SettledCategory {
  /** Undefined where the ground truth lacks it, or after an error. */
  readonly category: Category | undefined;
}

/**
 * Finds the ground truth's category of each entry. Without `category_name` the id decides. With it the name does: exchanged or
 * other ids of the same names are matched by name ({@link matchCategories}).
 */
export class ResultCategories {
  private readonly categories: readonly Category[];
  private readonly byId: ReadonlyMap<number, Category>;
  private readonly names: ReadonlySet<string>;
  private readonly issues: DataIssueList;
  /** By id and name as the file has them. */
  private readonly found = new Map<string, SettledCategory>();
  private readonly named: NamedCategory[] = [];
  private known = 0;
  /** Of those with a name. */
  private firstUnknown: string | undefined;
  private moved: string | undefined;
  private firstUnnamed: string | undefined;

  constructor(categories: readonly Category[], issues: DataIssueList) {
    this.categories = categories;
    this.byId = new Map(categories.map((category) => [category.id, category]));
    this.names = new Set(categories.map(({ name }) => name));
    this.issues = issues;
  }

  /**
   * The category that is meant; undefined after an error, and where the ground truth lacks it, of which the first entry of each warns.
   * @param path of the entry, for messages
   */
  of(id: number, name: unknown, path: string): Category | undefined {
    const isNamed = name !== undefined && name !== null && name !== '';
    if (!isNamed) this.firstUnnamed ??= path;
    const key = keyOf(id, isNamed ? String(name) : undefined);
    const found = this.found.get(key);
    if (found !== undefined) return found.category;
    const category = isNamed ? this.byName(id, name, path) : this.byId.get(id);
    if (!isNamed && category === undefined) this.warnUnknown(id, path);
    this.found.set(key, { category });
    if (category !== undefined) this.known++;
    return category;
  }

  /** What {@link of} gave for an earlier entry with this id and name. */
  settled(id: number, name: string | undefined): SettledCategory | undefined {
    return this.found.get(keyOf(id, name));
  }

  finish(): void {
    if (this.known === 0 && this.firstUnknown !== undefined)
      this.issues.error(
        'unknown-category',
        '',
        `has no category of the ground truth (the first is ${this.firstUnknown}): pass the ground truth that these results belong to`,
      );
    if (this.moved === undefined) return;
    if (this.firstUnnamed !== undefined)
      this.issues.error(
        'category-ids',
        `${this.firstUnnamed}.category_name`,
        `is missing, and other entries have ids that differ from the ground truth's (${this.moved}): name the category of each`,
      );
    else
      this.issues.warning(
        'category-ids',
        '',
        `its category ids are not those of the ground truth (${this.moved}): matched by name`,
      );
  }

  private byName(id: number, name: unknown, path: string): Category | undefined {
    if (typeof name !== 'string') {
      this.issues.error(
        'wrong-value',
        `${path}.category_name`,
        `is ${describeValue(name)} (expected the category's name): correct or drop it`,
      );
      return undefined;
    }
    if (!this.names.has(name) && !this.byId.has(id)) {
      this.warnUnknown(id, path, name);
      return undefined;
    }
    if (!this.names.has(name)) {
      this.issues.error(
        'unknown-category',
        `${path}.category_name`,
        `is ${describeValue(name)}, which the ground truth does not have (its id ${id} is ${describeValue(this.byId.get(id)!.name)}): pass the ground truth that these results belong to`,
        `category id ${id}`,
      );
      return undefined;
    }
    this.named.push({ id, name });
    const match = matchCategories(this.named, this.categories, { allowMore: true });
    if (match.kind === 'different') {
      this.named.pop();
      this.issues.error(
        'category-ids',
        `${path}.category_name`,
        `is ${describeValue(name)}, but categories cannot be matched by name (${match.words}): write the ground truth's ids`,
        `category id ${id}`,
      );
      return undefined;
    }
    if (match.differs === 'ids') this.moved ??= match.words;
    return this.byId.get(match.idOf.get(id)!);
  }

  private warnUnknown(id: number, path: string, name?: string): void {
    if (name !== undefined) this.firstUnknown ??= `id ${id}, ${describeValue(name)}`;
    this.issues.warning(
      'unknown-category',
      `${path}.category_id`,
      `is ${id}${name === undefined ? '' : ` (${describeValue(name)})`}, which the ground truth does not have: its detections are ignored; write category ids, not class indices`,
      `category id ${id}`,
    );
  }
}

function keyOf(id: number, name: string | undefined): string {
  return name === undefined ? String(id) : `${id} ${name}`;
}
