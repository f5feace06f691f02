// A config as a YAML text that reads back to the same value.
import { Document, isCollection, isScalar, isSeq, visit } from 'yaml';
import type { RunConfig } from './run-config.js';

/** The complete config, every default written out; lists of numbers on one line. */
export function configToYaml(config: RunConfig): string {
  const document = new Document(config, { aliasDuplicateObjects: false });
  visit(document, {
    Seq(_, list) {
      const isShort = list.items.every((item) => isScalar(item) || (isSeq(item) && !item.items.some(isCollection)));
      if (isShort) list.flow = true;
    },
  });
  return document.toString({ lineWidth: 120, flowCollectionPadding: false });
}
