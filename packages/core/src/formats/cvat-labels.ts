// The labels of a CVAT task, project or job, from the `meta` of its XML.
import type { Element } from '@xmldom/xmldom';
import type { DataIssueList } from './data-issue.js';
import { describeValue } from './data-issue.js';
import type { Category } from './dataset.js';
import { childElements, childText } from './voc-xml.js';

export interface CvatLabel {
  readonly category: Category;
}

/** By name, in the order of the file; those of a skeleton's points are its keypoints. Where meta names none, the labels of the shapes, sorted. */
export function readCvatLabels(root: Element, issues: DataIssueList): ReadonlyMap<string, CvatLabel> {
  const meta = childElements(root, 'meta')[0];
  const holders = meta === undefined ? [] : ['task', 'project', 'job'].flatMap((name) => childElements(meta, name));
  const lists = [...holders, ...(meta === undefined ? [] : [meta])].flatMap((holder) =>
    childElements(holder, 'labels'),
  );
  const entries = lists[0] === undefined ? [] : childElements(lists[0], 'label');
  const points = new Map<string, string[]>();
  const names: string[] = [];
  for (const [i, entry] of entries.entries()) {
    const name = childText(entry, 'name');
    const parent = childText(entry, 'parent');
    if (!name)
      issues.error(
        name === undefined ? 'missing-field' : 'wrong-value',
        `meta.labels: label ${i + 1}.name`,
        `is ${describeValue(name)} (expected a name): name the label`,
      );
    else if (parent) points.set(parent, [...(points.get(parent) ?? []), name]);
    else if (!names.includes(name)) names.push(name);
  }
  if (names.length === 0) names.push(...labelsOfShapes(root));
  return new Map(
    names.map((name, i) => {
      const keypoints = points.get(name);
      return [name, { category: { id: i + 1, name, ...(keypoints === undefined ? {} : { keypoints }) } }];
    }),
  );
}

function labelsOfShapes(root: Element): string[] {
  const names = new Set(childElements(root, 'track').flatMap((track) => track.getAttribute('label') || []));
  for (const image of childElements(root, 'image'))
    for (let node = image.firstChild; node !== null; node = node.nextSibling) {
      const label = 'getAttribute' in node ? (node as Element).getAttribute('label') : null;
      if (label && node.nodeName !== 'tag') names.add(label);
    }
  return [...names].sort();
}
