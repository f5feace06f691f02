import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { matchCategories } from './match-categories.js';

/** Categories from `1 cat`, `2 dog`, ... */
const list = (...entries: readonly string[]) =>
  entries.map((entry) => ({ id: Number.parseInt(entry, 10), name: entry.replace(/^\S+ /, '') }));

describe('matchCategories', () => {
  test('equal lists are the same', () => {
    const match = matchCategories(list('1 cat', '2 dog'), list('1 cat', '2 dog'));
    assert.deepEqual(match, {
      kind: 'same',
      idOf: new Map([
        [1, 1],
        [2, 2],
      ]),
      differs: 'nothing',
      words: '',
    });
    assert.equal(matchCategories([], []).kind, 'same');
  });

  test('exchanged names, other ids and both are matched by name', () => {
    const cases: [string[], string[], [number, number][], string][] = [
      [
        ['1 cat', '2 dog'],
        ['1 dog', '2 cat'],
        [
          [1, 2],
          [2, 1],
        ],
        "'cat' is id 1 there and id 2 here",
      ],
      [
        ['0 cat', '1 dog'],
        ['1 cat', '2 dog'],
        [
          [0, 1],
          [1, 2],
        ],
        "'cat' is id 0 there and id 1 here",
      ],
      [
        ['1 cat', '2 dog', '3 hen'],
        ['3 cat', '2 dog', '1 hen'],
        [
          [1, 3],
          [2, 2],
          [3, 1],
        ],
        "'cat' is id 1 there and id 3 here",
      ],
    ];
    for (const [from, to, pairs, words] of cases) {
      const match = matchCategories(list(...from), list(...to));
      assert.equal(match.kind, 'by-name');
      assert.ok(match.kind === 'by-name' && match.differs === 'ids');
      assert.deepEqual(new Map([...match.idOf].sort()), new Map(pairs));
      assert.equal(match.words, words);
    }
  });

  test('another order with the same ids is said as that', () => {
    const match = matchCategories(list('1 cat', '2 dog'), list('2 dog', '1 cat'));
    assert.ok(match.kind === 'by-name' && match.differs === 'order');
    assert.equal(match.words, "number 1 is 'cat' there and 'dog' here");
    assert.deepEqual([...match.idOf].sort(), [
      [1, 1],
      [2, 2],
    ]);
  });

  test('another name is a difference, and named', () => {
    const words = (from: string[], to: string[], allowMore = false) => {
      const match = matchCategories(list(...from), list(...to), { allowMore });
      return match.kind === 'different' ? match.words : match.kind;
    };
    assert.equal(words(['1 cat', '2 dog'], ['1 cat', '2 Dog']), "'dog' (id 2) is there and not here");
    assert.equal(words(['1 cat', '2 dog'], ['1 cat']), "'dog' (id 2) is there and not here");
    assert.equal(words(['1 cat'], ['1 cat', '2 dog']), "'dog' (id 2) is here and not there");
    assert.equal(words(['1 cat'], ['1 cat', '2 dog'], true), 'same');
    assert.equal(words(['2 cat'], ['1 dog', '3 cat'], true), 'by-name');
  });

  test('categories of one name are told apart by their ids, and by nothing else', () => {
    const twins = list('1 cat', '2 cat', '3 dog');
    assert.equal(matchCategories(twins, twins).kind, 'same');
    const moved = matchCategories(list('1 cat', '2 cat', '3 dog'), list('1 cat', '2 cat', '4 dog'));
    assert.ok(moved.kind === 'by-name' && moved.idOf.get(3) === 4);
    const words = "'cat' is the name of ids 5 and 6, which only ids tell apart";
    assert.deepEqual(matchCategories(list('5 cat', '6 cat'), list('1 cat', '2 cat')), { kind: 'different', words });
    assert.deepEqual(matchCategories(list('1 cat'), list('5 cat', '6 cat')), { kind: 'different', words });
  });

  test('a list of one category more than once does not pass for two', () => {
    const match = matchCategories(list('1 cat', '5 cat'), list('1 cat'));
    assert.deepEqual(match, { kind: 'different', words: "'cat' (id 5) is there and not here" });
  });
});
