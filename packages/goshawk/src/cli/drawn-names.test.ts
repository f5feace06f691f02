import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DrawnNames } from './drawn-names.js';

test("a folder's pictures keep their places, one named by itself its last part, and no name comes twice", () => {
  const names = new DrawnNames(['sheet.png']);
  const inFolder = (fileName: string) => names.of({ path: `photos/${fileName}`, fileName });
  assert.equal(inFolder('a/b.jpg'), 'a/b.png');
  assert.equal(inFolder('a/b.webp'), 'a/b-2.png');
  assert.equal(inFolder('sheet.jpg'), 'sheet-2.png');
  assert.equal(names.of({ path: 'elsewhere/c.jpg', fileName: 'elsewhere/c.jpg' }), 'c.png');
});

test('names that would be too long are cut between characters, and stay different', () => {
  const names = new DrawnNames();
  const of = (fileName: string) => names.of({ path: `photos/${fileName}`, fileName });
  assert.equal(of(`${'x'.repeat(251)}.jpg`), `${'x'.repeat(251)}.png`);
  const drawn = [
    `${'é'.repeat(126)}.j`,
    `${'é'.repeat(126)}.k`,
    `below/${'x'.repeat(252)}.j`,
    `${'x'.repeat(251)}.gif`,
  ].map(of);
  for (const name of drawn) {
    assert.ok(Buffer.byteLength(name.replace('below/', '')) <= 255, name);
    assert.match(name, /^(below\/)?(é+|x+)-[0-9a-f]{8}\.png$/);
  }
  assert.equal(new Set(drawn).size, drawn.length);
});
