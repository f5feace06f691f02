import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { dataRules, formatDataRules } from '@goshawk/core';

const page = readFileSync(new URL('../../../../docs/data-rules.md', import.meta.url), 'utf8');

test('docs/data-rules.md has the list that the code goes by: else run scripts/write-data-rules.mjs', () => {
  assert.ok(page.includes(formatDataRules()));
  for (const code of Object.keys(dataRules)) assert.ok(page.includes(`| \`${code}\` |`), code);
});
